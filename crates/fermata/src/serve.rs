//! The life of one connection: the file to read first.
//!
//! ```text
//! accept ─▶ greet ─▶ request ─▶ route ─▶ pick ─▶ dial ─▶ upgrade ─▶ verify ─▶ 101 ─▶ tunnel
//!             │         └─ an ordinary one: forward, answer, again
//!             └─ not HTTP: a word, and goodbye
//! ```
//!
//! Here the front, the routes and the tunnel engine meet; none of them knows the others.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use fermata_spec::Gateway;
use fermata_wire::{Rules, handshake};
use http::header::{CONNECTION, HOST, HeaderName, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use rustls::ServerConfig;
use tokio::net::TcpStream;

use crate::front::{self, Opening, Seen};
use crate::http::{
    Body, Patience, Refusal, Upstreams, Visitor, believe, connect_any, empty, exchange, keep_end_to_end, passed_on,
    request_for_service, whole,
};
use crate::net::{Arrival, Leg, dial};
use crate::page;
use crate::route::{Admission, Denied, Lease, Route, Table, Wish};
use crate::tunnel::{Card, Engine, Kind, Ledger, Opened};

/// What is spoken on a public port.
#[derive(Clone)]
pub enum Speaks {
    /// HTTP.
    Http,
    /// HTTP over TLS.
    Https(Arc<ServerConfig>),
    /// Whatever the service speaks.
    Raw,
}

/// What the connections of one thread share.
pub struct Worker {
    /// Where requests go now.
    pub table: Arc<ArcSwap<Table>>,
    /// The figures of all tunnels.
    pub ledger: Arc<Ledger>,
    /// This thread's tunnels.
    pub engine: Rc<RefCell<Engine>>,
    /// This thread's connections to services.
    pub upstreams: Arc<Upstreams>,
}

/// Serves one accepted connection until it ends or becomes a tunnel.
pub async fn connection(worker: Rc<Worker>, stream: TcpStream, speaks: Speaks) -> io::Result<()> {
    // Small frames must not wait for an acknowledgement (tcp(7), TCP_NODELAY).
    stream.set_nodelay(true)?;
    let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
    let arrival = Arrival { peer, local, tls: matches!(speaks, Speaks::Https(_)) };
    let config = match speaks {
        Speaks::Raw => return worker.carry_raw(stream.into(), arrival).await,
        Speaks::Https(config) => Some(config),
        Speaks::Http => None,
    };
    let gateway = worker.gateway();
    match front::greet(stream.into(), config, arrival.port(), gateway.max_head, gateway.head_timeout).await {
        Seen::Http1(leg) => {
            let answer = |request| worker.clone().answer(request, arrival);
            front::converse(leg, gateway.max_head, gateway.head_timeout, answer).await;
        }
        Seen::Refused(leg, refusal) => front::goodbye(leg, &refusal.bytes()).await,
        Seen::Gone => {}
    }
    Ok(())
}

impl Worker {
    /// The file's `gateway:`, as it is now.
    fn gateway(&self) -> Arc<Gateway> {
        self.table.load().gateway.clone()
    }

    /// Answers one request.
    async fn answer(self: Rc<Self>, request: Request<Incoming>, arrival: Arrival) -> Response<Body> {
        if let Some(page) = self.own_page(&request, &arrival) {
            return page;
        }
        let mut request = request;
        let host = host_of(&request);
        let visitor = believe(request.headers_mut(), &arrival, &self.gateway().trusted_proxies);
        let outcome = match self.table.load().find(arrival.port(), &host).cloned() {
            None => Err(Refusal::NoService { host, port: arrival.port() }),
            Some(route) if handshake::asks(request.headers()) => self.open(request, arrival, &route, &visitor).await,
            Some(route) => self.forward(request, arrival, &route, &visitor).await,
        };
        let mut response = outcome.unwrap_or_else(|refusal| {
            tracing::info!(target: "refused", status = refusal.status().as_u16(), client = %visitor.client, id = ?visitor.request_id, "{}", refusal.summary());
            refusal.response()
        });
        response.headers_mut().insert(REQUEST_ID, visitor.request_id);
        response
    }

    /// An ordinary request.
    async fn forward(
        &self,
        request: Request<Incoming>,
        arrival: Arrival,
        route: &Route,
        visitor: &Visitor,
    ) -> Result<Response<Body>, Refusal> {
        let wish = route.wish(visitor.client, request.headers());
        let request = request_for_service(request);
        let (instance, mut response) = self.upstreams.forward(route, &wish, request, self.patience()).await?;
        keep_end_to_end(response.headers_mut());
        route.remember(&wish, &instance, arrival.tls, response.headers_mut());
        Ok(response)
    }

    /// The wish for a tunnel. The client gets its 101 only after the service's has been verified.
    async fn open(
        self: Rc<Self>,
        mut request: Request<Incoming>,
        arrival: Arrival,
        route: &Route,
        visitor: &Visitor,
    ) -> Result<Response<Body>, Refusal> {
        let opening = Opening::read(&mut request).map_err(Refusal::BadHandshake)?;
        let admission = self.admit(&request, route, visitor)?;
        let service = route.service().clone();
        let wish = route.wish(visitor.client, request.headers());
        let patience = self.patience();
        let (lease, leg) =
            connect_any(route, &wish, async |lease| dial(lease.target(), patience.connect).await).await?;
        let mut response = exchange(leg, handshake_for_service(request), &service, patience.answer).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            // It has its own opinion (401, 404, 426…): that is the answer.
            route.remember(&wish, lease.instance(), arrival.tls, response.headers_mut());
            return Ok(passed_on(response, lease));
        }
        let chosen = handshake::read_answer(&opening.offer, response.headers())
            .map_err(|problem| Refusal::BadUpgrade { service: service.to_string(), problem })?;
        route.remember(&wish, lease.instance(), arrival.tls, response.headers_mut());
        let service_leg = front::leg_of(hyper::upgrade::on(&mut response));
        let (answer, client_leg) = opening.accept(response.into_parts().0.headers);
        let max_message = route.websocket.max_message.and_then(|most| u32::try_from(most).ok()).unwrap_or(u32::MAX);
        let rules = Rules { frames: chosen.frames, max_message };
        let card = self.card(arrival, route, visitor.client, (lease, admission), rules);
        tokio::task::spawn_local(async move {
            match tokio::try_join!(client_leg, service_leg) {
                Ok((client, service)) => self.hold(client, service, Kind::WebSocket, card),
                Err(error) => tracing::debug!(%error, "a connection ended before it was a tunnel"),
            }
        });
        Ok(answer)
    }

    fn admit(&self, request: &Request<Incoming>, route: &Route, visitor: &Visitor) -> Result<Admission, Refusal> {
        let service = route.service();
        front::allowed(&route.websocket.origins, request.headers())
            .map_err(|origin| Refusal::Origin { service: service.to_string(), origin })?;
        if self.gateway().max_connections.is_some_and(|most| self.ledger.live() >= u64::from(most)) {
            return Err(Refusal::Full { of: "This gateway".into() });
        }
        let limits = &route.websocket;
        route.guests.admit(visitor.client, limits.max_connections, limits.max_connections_per_ip).map_err(|denied| {
            match denied {
                Denied::Full => Refusal::Full { of: format!("The service \"{service}\"") },
                Denied::FullForAddress => Refusal::FullForAddress { service: service.to_string() },
            }
        })
    }

    /// A raw TCP port: a tunnel at once.
    async fn carry_raw(self: Rc<Self>, client: Leg, arrival: Arrival) -> io::Result<()> {
        let Some(route) = self.table.load().find(arrival.port(), "").cloned() else { return Ok(()) };
        let peer = arrival.peer.ip().to_canonical();
        let Ok(admission) = route.guests.admit(peer, None, None) else { return Ok(()) };
        let limit = self.patience().connect;
        let connected = connect_any(&route, &Wish::of(peer), async |lease| dial(lease.target(), limit).await).await;
        match connected {
            Ok((lease, service)) => {
                let card = self.card(arrival, &route, peer, (lease, admission), Rules::default());
                self.hold(client, service, Kind::Raw, card);
            }
            Err(refusal) => {
                tracing::info!(target: "refused", client = %peer, port = arrival.port(), "{}", refusal.summary());
            }
        }
        Ok(())
    }

    /// Gives both legs to the tunnel engine.
    fn hold(&self, client: Leg, service: Leg, kind: Kind, card: Card) {
        let opened = client.into_parts().and_then(|client| {
            let service = service.into_parts()?;
            self.engine.borrow_mut().adopt(Opened { client, service, kind, card })
        });
        if let Err(error) = opened {
            tracing::warn!(%error, "a tunnel could not be opened");
        }
    }

    fn card(
        &self,
        arrival: Arrival,
        route: &Route,
        client: std::net::IpAddr,
        (lease, admission): (Lease, Admission),
        rules: Rules,
    ) -> Card {
        Card {
            id: self.ledger.name(),
            client,
            lease,
            admission,
            since: Instant::now(),
            tls: arrival.tls,
            rules,
            limits: route.websocket.clone(),
        }
    }

    fn patience(&self) -> Patience {
        let gateway = self.gateway();
        Patience { connect: gateway.connect_timeout, answer: gateway.answer_timeout }
    }

    /// The tester page, where it is switched on: by default only for those on this machine.
    fn own_page(&self, request: &Request<Incoming>, arrival: &Arrival) -> Option<Response<Body>> {
        let on = self.gateway().tester.unwrap_or_else(|| arrival.local.ip().to_canonical().is_loopback());
        if !on || request.uri().path() != page::TESTER_PATH || handshake::asks(request.headers()) {
            return None;
        }
        let page = page::answer();
        Some(if request.method() == Method::HEAD { page.map(|_| empty()) } else { page.map(whole) })
    }
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The name that a request is for, without a port.
fn host_of(request: &Request<Incoming>) -> String {
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str())
        .or_else(|| request.headers().get(HOST).and_then(|host| host.to_str().ok()))
        .unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host.to_ascii_lowercase()
}

/// The handshake as the service gets it: the client's own key, offers and headers, on this hop.
fn handshake_for_service(request: Request<Incoming>) -> Request<Body> {
    let mut request = request_for_service(request).map(|_| empty());
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    request.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    request
}
