//! Socket.IO over long polling.

use super::super::name::{Hop, Name};
use super::super::polling::Polling;
use crate::report::Advice;

/// The hop of the polling.
pub(in super::super) fn polling(polling: &Polling) -> Hop {
    let Polling { answered, strangers, others, took } = polling;
    let requests = answered + strangers + others.len();
    let hop = |says: String| Hop::works(Name::Polling, Some(*took), says);
    if *strangers > 0 {
        let says = format!("Socket.IO: {strangers} of {requests} polls come to an instance without the session");
        return hop(says).remark(not_sticky());
    }
    if let Some(status) = others.first() {
        let what = status.map_or("no answer".to_owned(), |status| status.to_string());
        let says = format!("Socket.IO: {} of {requests} polls get {what}", others.len());
        return hop(says).remark(
            Advice::new("polling-fails", "Socket.IO begins with long polling, and some of its requests fail.")
                .then("Look into the log of the service, and of whatever stands before it, for POST /socket.io/."),
        );
    }
    hop(format!("Socket.IO: {requests} polls of one session, and all are answered"))
}

fn not_sticky() -> Advice {
    Advice::new(
        "polling-not-sticky",
        "Socket.IO begins with long polling, whose requests have to come to one instance; here they are spread. Clients \
         get 400 \"Session ID unknown\" and begin again and again.",
    )
    .then("Keep a visitor on one instance:")
    .write(
        "sticky: cookie                           Fermata's service.yml\n\
         cookie SERVERID insert indirect nocache  HAProxy, and cookie NAME at each server\n\
         ip_hash;                                 nginx, in the upstream\n\
         stickiness (lb_cookie)                   an AWS target group",
    )
    .then("Or have clients use no polling:")
    .write("io(url, {transports: [\"websocket\"]})")
}
