//! Connections that are passed through byte for byte: those of raw ports, and TLS of names that stay with the servers.

use std::sync::Arc;
use std::time::Duration;

use fermata_wire::Rules;
use fermata_wire::hello::{Alert, Problem};

use super::{Leaving, Speaks, Taken, Worker, refuse};
use crate::front::{self, Wanted};
use crate::http::Attempts;
use crate::net::{Arrival, Leg, Own, dial_others};
use crate::route::{Asked, Hop, Lease, Route, Wish};
use crate::tunnel::Kind;

/// Where a connection goes, as far as its first bytes tell.
pub(super) enum Passage {
    /// It ends here: what it says is understood.
    Here,
    /// It is passed through this way.
    Through(Arc<Route>),
    /// Nobody takes it.
    Nowhere(Wanted),
}

impl Worker {
    /// Whether a connection is passed through. What was read to find that out stays on the leg.
    pub(super) async fn passage(&self, leg: &mut Leg, speaks: &Speaks, port: u16, limit: Duration) -> Passage {
        match speaks {
            Speaks::Http => return Passage::Here,
            Speaks::Https(_) if !self.table.load().passes(port) => return Passage::Here,
            Speaks::Raw => {
                let route = self.table.load().find(port, "").cloned();
                // A port that has just left the file.
                return route.map_or(Passage::Nowhere(Wanted::Gone), Passage::Through);
            }
            Speaks::Https(_) | Speaks::Tls => {}
        }
        let wanted = front::wanted(leg, limit).await;
        let route = wanted.name().and_then(|name| self.table.load().passed(port, name).cloned());
        match (route, speaks) {
            (Some(route), _) => Passage::Through(route),
            // Who ends TLS here has an answer to all the others.
            (None, Speaks::Https(_)) if !matches!(wanted, Wanted::Gone) => Passage::Here,
            (None, _) => Passage::Nowhere(wanted),
        }
    }

    /// A tunnel at once.
    pub(super) async fn carry_raw(&self, client: Leg, arrival: Arrival, route: &Route, leaving: &Leaving) {
        let peer = arrival.peer.ip().to_canonical();
        let (Ok(admission), Ok(place)) = (route.guests.admit(peer, None, None), self.place()) else { return };
        let limit = self.patience().connect;
        let first = route.introduction(&arrival.way());
        let wish = Wish::of(peer);
        // Requests that come back are known by their mark; nothing else tells that these bytes do.
        let own = (route.hop == Hop::Gateway).then(|| {
            let table = self.table.load();
            Own::new(table.gateway.clone(), table.listening())
        });
        let mut attempts = Attempts::at(route, Asked::Other, &wish);
        let connect = async |lease: &Lease| dial_others(lease.target(), &first, None, limit, own.as_ref()).await;
        match attempts.connect(connect).await {
            Ok((lease, service)) => {
                let taken = Taken { lease, admission, place };
                let card = self.card(arrival, route, taken, Rules::default());
                self.hold(client, service, Kind::Raw, card, leaving);
            }
            Err(refusal) => {
                tracing::info!(target: "refused", client = %peer, port = arrival.port(), "{}", refusal.summary());
            }
        }
    }
}

/// Tells a client whom nobody takes, in the words that it understands.
pub(super) async fn turn_away(leg: Leg, wanted: &Wanted, arrival: &Arrival) {
    let (client, port) = (arrival.peer.ip(), arrival.port());
    match wanted {
        Wanted::Gone => {}
        Wanted::Other(Problem::NoTls) => {
            let refusal = front::no_tls(&leg, port);
            refuse(leg, &refusal, client).await;
        }
        _ => {
            let (alert, why) = wanted.refused();
            tracing::info!(target: "refused", %client, port, "not passed through: {why}");
            front::goodbye(leg, alert.map(Alert::record).as_ref().map_or(&[], |record| &record[..])).await;
        }
    }
}
