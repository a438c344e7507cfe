//! The life of one connection: the file to read first.
//!
//! ```text
//! accept ─▶ greet ─▶ request ─▶ route ─▶ pick ─▶ dial ─▶ upgrade ─▶ verify ─▶ 101 ─▶ tunnel
//!             │         └─ an ordinary one: forward, answer, again
//!             └─ not HTTP: a word, and goodbye
//! ```
//!
//! Here the front, the routes and the tunnel engine meet; none of them knows the others.

mod passage;

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use fermata_spec::Gateway;
use fermata_wire::handshake::{self, Chosen};
use fermata_wire::{Close, Rules};
use http::header::{CONNECTION, HOST, HeaderMap, HeaderValue, UPGRADE};
use http::{Method, Request, Response};
use hyper::body::Incoming;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

use self::passage::{Passage, turn_away};
use crate::front::{self, Answer, Ended, HeadLimits, Seen};
use crate::http::{
    Attempts, Body, Exchanged, Patience, REQUEST_ID, Refusal, Upstreams, Visitor, empty, exchange, has_been_here, mark,
    passed_on, request_for_service, response_for_client, settle_host, whole,
};
use crate::net::{Arrival, Leg, Unannounced, announced, dial};
use crate::page;
use crate::route::{Admission, Asked, Denied, Hop, Lease, Place, Places, Route, Table, TooMany};
use crate::tls::{Challenges, Session};
use crate::tunnel::{Card, Engine, Kind, Ledger, Opened};

/// What is spoken on a public port.
#[derive(Clone)]
pub enum Speaks {
    /// HTTP.
    Http,
    /// HTTP over TLS.
    Https(Arc<ServerConfig>),
    /// TLS that is passed on, by the name that it asks for.
    Tls,
    /// Whatever the service speaks.
    Raw,
}

/// What the connections of one thread share.
pub struct Worker {
    /// Where requests go now.
    pub table: Arc<ArcSwap<Table>>,
    /// The figures of all tunnels.
    pub ledger: Arc<Ledger>,
    /// How much the whole gateway carries.
    pub places: Arc<Places>,
    /// What a certificate authority may ask.
    pub challenges: Challenges,
    /// This thread's tunnels.
    pub engine: Rc<RefCell<Engine>>,
    /// This thread's connections to services.
    pub upstreams: Arc<Upstreams>,
}

/// Whether the gateway stays. Held by every connection until it ends.
pub type Leaving = watch::Receiver<Stay>;

/// How long the gateway stays.
#[derive(Debug, Clone, Default)]
pub enum Stay {
    /// Until further notice.
    #[default]
    On,
    /// Another process has taken its place: nobody new is let in, and who is in may go on.
    Behind,
    /// It leaves, and its tunnels are told this.
    Off(Arc<Close>),
}

impl Stay {
    /// Whether nobody new is let in.
    pub fn is_over(&self) -> bool {
        !matches!(self, Stay::On)
    }
}

/// What a tunnel needs beside the client's leg.
struct Agreed {
    service: Leg,
    card: Card,
}

/// Serves one accepted connection until it ends or becomes a tunnel.
pub async fn connection(
    worker: Rc<Worker>,
    (stream, peer): (TcpStream, SocketAddr),
    speaks: Speaks,
    mut leaving: Leaving,
) -> io::Result<()> {
    let mut arrival = Arrival::new(peer, stream.local_addr()?);
    let (mut leg, gateway) = (Leg::tcp(stream, peer), worker.gateway());
    if is_announced(&gateway, &arrival) {
        let told = tokio::select! {
            told = announced(&mut leg, gateway.head_timeout) => told,
            () = off(&mut leaving) => return Ok(()),
        };
        match told {
            Ok(way) => way.into_iter().for_each(|way| arrival.believe(way)),
            Err(Unannounced::Gone) => return Ok(()),
            Err(why) => {
                tracing::info!(target: "refused", proxy = %peer.ip(), port = arrival.port(), "not announced: {why}");
                front::goodbye(leg, b"").await;
                return Ok(());
            }
        }
    }
    let passage = tokio::select! {
        passage = worker.passage(&mut leg, &speaks, arrival.port(), gateway.head_timeout) => passage,
        () = off(&mut leaving) => return Ok(()),
    };
    match passage {
        Passage::Here => {}
        Passage::Through(route) => {
            worker.carry_raw(leg, arrival, &route, &leaving).await;
            return Ok(());
        }
        Passage::Nowhere(wanted) => {
            turn_away(leg, &wanted, &arrival).await;
            return Ok(());
        }
    }
    let config = if let Speaks::Https(config) = speaks { Some(config) } else { None };
    let seen = tokio::select! {
        seen = front::greet(leg, config, arrival.port(), gateway.head_timeout) => seen,
        // Behind another process, who has come here already is served here.
        () = off(&mut leaving) => Seen::Gone,
    };
    let leg = match seen {
        Seen::Clear(leg) => leg,
        Seen::Refused(leg, refusal) => {
            refuse(leg, &refusal, arrival.peer.ip()).await;
            return Ok(());
        }
        Seen::NoTls(leg, error) => {
            tracing::info!(target: "refused", client = %arrival.peer.ip(), port = arrival.port(), "no TLS: {error}");
            front::goodbye(leg, b"").await;
            return Ok(());
        }
        Seen::Gone => return Ok(()),
    };
    arrival.tls = leg.tls().map(Session::version).or(arrival.tls);
    let limits = HeadLimits { size: gateway.max_head, time: gateway.head_timeout };
    let begun = Notify::new();
    let open = async |request| worker.answer_first(request, arrival).await;
    let answer = |request| {
        begun.notify_one();
        worker.answer(request, arrival)
    };
    let ended = front::converse(leg, limits, last_request(&mut leaving, &begun), open, answer).await;
    match ended {
        Ended::Tunnel(client, Agreed { service, card }) => {
            worker.hold(client, service, Kind::WebSocket, card, &leaving);
        }
        Ended::Over(leg) => front::goodbye(leg, b"").await,
        Ended::Refused(leg, refusal) => refuse(leg, &refusal, arrival.peer.ip()).await,
        Ended::Broken(leg, error) => {
            tracing::debug!(%error, "a client's connection ended early");
            leg.abort();
        }
    }
    Ok(())
}

/// Whether a connection has to begin with a PROXY header: from whom it would be believed, on ports that have it.
fn is_announced(gateway: &Gateway, arrival: &Arrival) -> bool {
    let is_trusted = || gateway.trusted_proxies.iter().any(|network| network.contains(arrival.peer.ip()));
    gateway.proxy_protocol.includes(arrival.port()) && is_trusted()
}

/// Returns when the request of now is to be the last: behind another process, once there is one.
async fn last_request(leaving: &mut Leaving, begun: &Notify) {
    // Without anybody who could say so, the gateway has left.
    let is_off = leaving.wait_for(Stay::is_over).await.map_or(true, |stay| matches!(*stay, Stay::Off(_)));
    if !is_off {
        tokio::select! {
            () = begun.notified() => {}
            () = off(leaving) => {}
        }
    }
}

async fn off(leaving: &mut Leaving) {
    let _ = leaving.wait_for(|stay| matches!(stay, Stay::Off(_))).await;
}

async fn refuse(leg: Leg, refusal: &Refusal, client: IpAddr) {
    tracing::info!(target: "refused", status = refusal.status().as_u16(), %client, "{}", refusal.summary());
    front::goodbye(leg, &refusal.bytes()).await;
}

impl Worker {
    /// The file's `gateway:`, as it is now.
    fn gateway(&self) -> Arc<Gateway> {
        self.table.load().gateway.clone()
    }

    /// Answers one request.
    async fn answer(&self, request: Request<Incoming>, arrival: Arrival) -> Answer<Agreed> {
        if let Some(answer) = self.proof(&request, &arrival).or_else(|| self.own_page(&request, &arrival)) {
            return Answer::Response(answer);
        }
        self.serve(request, arrival, async |request, route, visitor| {
            if handshake::asks(request.headers()) {
                self.open(request.map(drop), arrival, route, visitor).await
            } else {
                self.forward(request, arrival, route, visitor).await.map(Answer::Response)
            }
        })
        .await
    }

    /// Answers a handshake that was the first thing on its connection.
    async fn answer_first(&self, request: Request<()>, arrival: Arrival) -> Answer<Agreed> {
        self.serve(request, arrival, async |request, route, visitor| self.open(request, arrival, route, visitor).await)
            .await
    }

    /// Finds out who asks whom, has that done, and names the request in the answer.
    async fn serve<B>(
        &self,
        mut request: Request<B>,
        arrival: Arrival,
        what: impl AsyncFnOnce(Request<B>, &Route, &Visitor) -> Result<Answer<Agreed>, Refusal>,
    ) -> Answer<Agreed> {
        settle_host(&mut request, &arrival);
        let visitor = Visitor::of(request.headers(), &arrival, &self.gateway().trusted_proxies);
        let (host, port) = (host_of(&request), arrival.port());
        let route = self.table.load().find(port, &host).cloned();
        let outcome = match route {
            Some(route) if route.hop == Hop::Gateway && has_been_here(request.headers()) => {
                Err(Refusal::Loop { service: route.service().to_string() })
            }
            Some(route) => what(request, &route, &visitor).await,
            None => Err(Refusal::NoService { host, port }),
        };
        let mut answer = outcome.unwrap_or_else(|refusal| {
            tracing::info!(target: "refused", status = refusal.status().as_u16(), client = %visitor.client, id = ?visitor.request_id, "{}", refusal.summary());
            Answer::Response(refusal.response())
        });
        let (Answer::Response(response) | Answer::Tunnel(response, _)) = &mut answer;
        response.headers_mut().insert(REQUEST_ID, visitor.request_id);
        answer
    }

    /// An ordinary request.
    async fn forward(
        &self,
        request: Request<Incoming>,
        arrival: Arrival,
        route: &Route,
        visitor: &Visitor,
    ) -> Result<Response<Body>, Refusal> {
        let place = self.place()?;
        let wish = route.wish(visitor.client, request.headers());
        let mut request = request_for_service(request, visitor);
        leave_a_mark(route, request.headers_mut());
        let first = route.introduction(&visitor.way(&arrival));
        let (instance, mut response) =
            self.upstreams.forward(route, &wish, &first, request, self.patience(), place).await?;
        response_for_client(&mut response);
        route.remember(&wish, &instance, arrival.tls.is_some(), response.headers_mut());
        Ok(response)
    }

    /// The wish for a tunnel. The client gets its 101 only after the service's has been verified.
    async fn open(
        &self,
        request: Request<()>,
        arrival: Arrival,
        route: &Route,
        visitor: &Visitor,
    ) -> Result<Answer<Agreed>, Refusal> {
        let offer = handshake::read_request(request.method(), request.version(), request.headers())
            .map_err(Refusal::BadHandshake)?;
        let (admission, place) = (admit(&request, route, visitor)?, self.place()?);
        wait_for_a_turn(route).await?;
        let service = route.service();
        let wish = route.wish(visitor.client, request.headers());
        let patience = self.patience();
        let first = route.introduction(&visitor.way(&arrival));
        let mut request = handshake_for_service(request, visitor);
        leave_a_mark(route, request.headers_mut());
        let (mut attempts, secure) = (Attempts::at(route, Asked::WebSocket, &wish), route.secure.as_ref());
        let (lease, exchanged) = loop {
            let (lease, leg) =
                attempts.connect(async |lease| dial(lease.target(), &first, secure, patience.connect).await).await?;
            match exchange(leg, &request, service, patience.answer).await {
                Ok(exchanged) => break (lease, exchanged),
                // A handshake may be repeated: nothing has been said in its tunnel.
                Err(refusal) => attempts.unanswered(lease, refusal)?,
            }
        };
        match exchanged {
            Exchanged::Answered(mut response) => {
                // It has its own opinion (401, 404, 426…): that is the answer.
                response_for_client(&mut response);
                route.remember(&wish, lease.instance(), arrival.tls.is_some(), response.headers_mut());
                Ok(Answer::Response(passed_on(response, lease, place)))
            }
            Exchanged::Switched(headers, leg) => {
                let chosen = handshake::read_answer(&offer, &headers)
                    .map_err(|problem| Refusal::BadUpgrade { service: service.to_string(), problem })?;
                let mut response = front::accepted(headers);
                route.remember(&wish, lease.instance(), arrival.tls.is_some(), response.headers_mut());
                let rules = rules(route, &chosen);
                let mut card = self.card(arrival, route, Taken { lease, admission, place }, rules);
                card.protocol = chosen.protocol.map(Arc::from);
                Ok(Answer::Tunnel(response, Agreed { service: leg, card }))
            }
        }
    }

    fn place(&self) -> Result<Place, Refusal> {
        let place = self.places.take(self.gateway().max_connections);
        place.ok_or_else(|| Refusal::Full { of: "This gateway".into() })
    }

    /// Gives both legs to the tunnel engine.
    fn hold(&self, client: Leg, service: Leg, kind: Kind, card: Card, leaving: &Leaving) {
        let id = card.id;
        let mut engine = self.engine.borrow_mut();
        let opened = client.into_parts().and_then(|client| {
            let service = service.into_parts()?;
            engine.adopt(Opened { client, service, kind, card })
        });
        if let Err(error) = opened {
            tracing::warn!(%error, "a tunnel could not be opened");
        }
        // The others have been told already.
        if let Stay::Off(close) = &*leaving.borrow() {
            engine.drain(|card| card.id == id, close, Duration::ZERO, Instant::now());
        }
    }

    fn card(&self, arrival: Arrival, route: &Route, taken: Taken, rules: Rules) -> Card {
        let Taken { lease, admission, place } = taken;
        Card {
            id: self.ledger.name(),
            lease,
            admission,
            place,
            since: Instant::now(),
            tls: arrival.tls.is_some(),
            protocol: None,
            rules,
            limits: route.websocket.clone(),
        }
    }

    fn patience(&self) -> Patience {
        let gateway = self.gateway();
        Patience { connect: gateway.connect_timeout, answer: gateway.answer_timeout }
    }

    /// What a certificate authority asks for while it issues a certificate (RFC 8555 8.3).
    fn proof(&self, request: &Request<Incoming>, arrival: &Arrival) -> Option<Response<Body>> {
        let answer = arrival.tls.is_none().then(|| self.challenges.answer(request.uri().path()))??;
        Some(Response::new(whole(answer.into())))
    }

    /// The tester page, where it is switched on: by default only for those on this machine.
    fn own_page(&self, request: &Request<Incoming>, arrival: &Arrival) -> Option<Response<Body>> {
        let page = match request.uri().path() {
            _ if handshake::asks(request.headers()) => return None,
            page::HEALTH_PATH => page::health(self.table.load().is_ready(arrival.port())),
            page::TESTER_PATH => self.gateway().tester.unwrap_or_else(|| arrival.is_near()).then(page::answer)?,
            _ => return None,
        };
        Some(if request.method() == Method::HEAD { page.map(|_| empty()) } else { page.map(whole) })
    }
}

/// So that a request is known if it comes back.
fn leave_a_mark(route: &Route, headers: &mut HeaderMap) {
    if route.hop == Hop::Gateway {
        mark(headers);
    }
}

/// What was taken for a tunnel, and is given back at its end.
struct Taken {
    lease: Lease,
    admission: Admission,
    place: Place,
}

fn admit(request: &Request<()>, route: &Route, visitor: &Visitor) -> Result<Admission, Refusal> {
    let service = route.service();
    front::allowed(&route.websocket.origins, request.headers())
        .map_err(|origin| Refusal::Origin { service: service.to_string(), origin })?;
    let limits = &route.websocket;
    route.guests.admit(visitor.client, limits.max_connections, limits.max_connections_per_ip).map_err(|denied| {
        match denied {
            Denied::Full => Refusal::Full { of: format!("The service \"{service}\"") },
            Denied::FullForAddress => Refusal::FullForAddress { service: service.to_string() },
        }
    })
}

/// Where a service takes only so many handshakes a second, waits until this one's turn.
async fn wait_for_a_turn(route: &Route) -> Result<(), Refusal> {
    let Some(rate) = route.websocket.max_handshake_rate else { return Ok(()) };
    let instances = route.pool_for(Asked::WebSocket).count().max(1) as u32;
    match route.guests.arrivals.take(rate.saturating_mul(instances), Instant::now()) {
        Ok(wait) if wait.is_zero() => Ok(()),
        Ok(wait) => {
            tokio::time::sleep(wait).await;
            Ok(())
        }
        Err(TooMany(wait)) => Err(Refusal::TooManyHandshakes { service: route.service().to_string(), wait }),
    }
}

fn rules(route: &Route, chosen: &Chosen) -> Rules {
    let max_message = route.websocket.max_message.and_then(|most| u32::try_from(most).ok()).unwrap_or(u32::MAX);
    Rules { frames: chosen.frames, max_message }
}

/// The name that a request is for, without a port.
fn host_of<B>(request: &Request<B>) -> String {
    let authority = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host.to_ascii_lowercase()
}

/// The handshake as the service gets it: the client's own key, offers and headers, on this hop.
fn handshake_for_service(request: Request<()>, visitor: &Visitor) -> Request<()> {
    let mut request = request_for_service(request, visitor);
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    request.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    request
}
