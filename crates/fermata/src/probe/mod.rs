//! `fermata probe`: connects to a WebSocket the way a browser does and tells, hop by hop, what it saw, which hop breaks
//! and what to change there.
//!
//! It looks from outside and never sees routes or tunnels. Each hop is a file that looks and says what it saw as a
//! value; a [`Report`] is what comes of it, and `advise` holds the words that tell somebody what to do. Nothing here
//! waits longer than it was told, and nothing prints.

mod advise;
mod burst;
mod certificate;
mod compare;
mod dialect;
mod dns;
mod h2;
mod http;
mod idle;
mod name;
mod polling;
mod product;
mod sizes;
mod socket;
mod stream;
mod talk;
mod target;
mod tcp;
mod tls;
mod ws;

pub(crate) use certificate::{Certificate, Problem, judge};
pub use compare::Comparison;
pub use name::{Hop, Name, Report};
pub use target::{Addresses, BadTarget, Question, Target, Trust};

use tokio::time::Instant;

use crate::report::Verdict;
use stream::Way;

/// Asks, hop by hop, until one breaks.
pub async fn probe(question: &Question) -> Report {
    let mut hops = Vec::new();
    walk(question, &mut hops).await;
    let last = hops.last().map(|hop| hop.name);
    let all = [
        Name::Dns,
        Name::Tcp,
        Name::Tls,
        Name::Http,
        Name::Upgrade,
        Name::Ping,
        Name::Messages,
        Name::Close,
        Name::Burst,
    ];
    let rest = all.into_iter().filter(|name| Some(*name) > last && (*name != Name::Tls || question.target.is_secure()));
    hops.extend(rest.map(Hop::skipped));
    Report::new(question.target.to_string(), hops)
}

/// The way from a name to a farewell; `None` where it ended early.
async fn walk(question: &Question, hops: &mut Vec<Hop>) -> Option<()> {
    let (hop, addresses) = dns::look(question).await;
    hops.push(hop);
    let (hop, address) = tcp::look(question, &addresses?).await;
    hops.push(hop);
    let address = address?;
    let way = if question.target.is_secure() {
        let (hop, way) = tls::look(question, address).await;
        hops.push(hop);
        way?
    } else {
        Way { address, tls: None, proxied: false, http2: None }
    };
    let mut socket = upgrade(question, &way, hops).await?;

    let start = Instant::now();
    let least = talk::ping(&mut socket, question.hop_timeout).await;
    hops.push(advise::ping(&least, start.elapsed()));
    (hops.last()?.verdict != Verdict::Broken).then_some(())?;

    let start = Instant::now();
    let said = talk::messages(&mut socket, question, &way).await;
    hops.push(advise::messages(&said, start.elapsed()));
    (hops.last()?.verdict != Verdict::Broken).then_some(())?;

    if socket.is_over() {
        socket = ws::open(question, &way).await?;
    }
    let start = Instant::now();
    let parting = talk::close(&mut socket, question.hop_timeout).await;
    let took = start.elapsed();
    let dead = talk::is_dead(&least, &said, &parting);
    let hop = if dead { advise::nothing_comes(took) } else { advise::parting(&parting, took) };
    if hop.verdict == Verdict::Broken {
        hops.push(hop);
        return None;
    }
    let leaving = talk::leave_without_a_word(question, &way).await;
    hops.push(leaving.iter().fold(hop, advise::leaving));

    hops.extend(polling::look(question, &way).await.map(|polling| advise::polling(&polling)));
    if let Some(wait) = question.idle
        && let Some(silence) = idle::look(question, &way, wait).await
    {
        hops.push(advise::idle(&silence));
    }
    hops.push(advise::burst(&burst::look(question, &way).await));
    Some(())
}

/// A plain request and the upgrade. They are judged together: a service may answer one of them only.
async fn upgrade(question: &Question, way: &Way, hops: &mut Vec<Hop>) -> Option<socket::Socket> {
    let plain = http::look(question, way).await;
    if plain.outcome.as_ref().is_err_and(http::Trouble::is_certain) {
        hops.push(advise::http(&plain, false, &question.target));
        return None;
    }
    let asked = ws::look(question, way).await;
    let answered = !matches!(asked.outcome, Err(ws::Trouble::NoAnswer(_)));
    hops.push(advise::http(&plain, answered, &question.target));
    (hops.last()?.verdict != Verdict::Broken).then_some(())?;
    hops.push(advise::upgrade(&asked, question));
    asked.outcome.ok().map(|open| open.socket)
}
