//! A hop that is there only where Socket.IO answers: long polling, whose requests all have to come to one instance.
//!
//! Engine.IO, protocol 4: a GET opens a session, whose id every later request names; packets are a digit and a payload.
//! Each request comes on a connection of its own, as it may from a browser, with the cookies that were set.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tokio::time::Instant;

use super::http::{self as web, Answer};
use super::stream::Way;
use super::target::Question;

/// Requests in one session. If a balancer has two instances behind it and does not look at the session, all but one time
/// in 64 some of them come to the wrong one.
const REQUESTS: usize = 6;

/// What polling showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Polling {
    /// Requests that were answered, after the first.
    pub(super) answered: usize,
    /// Requests that came to somebody who did not know the session.
    pub(super) strangers: usize,
    /// What else came: a status, or `None` for no answer.
    pub(super) others: Vec<Option<u16>>,
    pub(super) took: Duration,
}

/// Opens a session and uses it; `None` where nobody speaks Socket.IO.
pub(super) async fn look(question: &Question, way: &Way) -> Option<Polling> {
    let start = Instant::now();
    let path = base(question.target.path());
    let query = "?EIO=4&transport=polling";
    let opening = ask(question, way, "GET", &format!("{path}{query}"), "").await.ok()?;
    let session = session(&opening)?;
    let question = with_cookies(question, &opening);
    let path = format!("{path}{query}&sid={session}");
    let mut polling = Polling { answered: 0, strangers: 0, others: Vec::new(), took: Duration::ZERO };
    for _ in 0..REQUESTS {
        // A Pong is welcome at any time, and changes nothing.
        match ask(&question, way, "POST", &path, "3").await {
            Ok(answer) if answer.status == 200 => polling.answered += 1,
            Ok(answer) if answer.status == 400 && answer.says("Session ID unknown") => polling.strangers += 1,
            Ok(answer) => polling.others.push(Some(answer.status)),
            Err(_) => {
                polling.others.push(None);
                break;
            }
        }
    }
    let _ = ask(&question, way, "POST", &path, "1").await;
    polling.took = start.elapsed();
    Some(polling)
}

async fn ask(question: &Question, way: &Way, method: &str, path: &str, body: &str) -> Result<Answer, web::Trouble> {
    let length = body.len().to_string();
    let mut lines = vec![("accept", "*/*"), ("connection", "close")];
    if method == "POST" {
        lines.extend([("content-type", "text/plain;charset=UTF-8"), ("content-length", length.as_str())]);
    }
    let mut request = web::request(question, method, path, &lines);
    request.extend_from_slice(body.as_bytes());
    web::exchange(way, &request, question.hop_timeout).await.map(|(_, answer)| answer)
}

/// Where Socket.IO is: in the path that was given, or at its usual place.
fn base(path: &str) -> String {
    let prefix = path.split_once("/socket.io").map_or("", |(prefix, _)| prefix);
    format!("{prefix}/socket.io/")
}

/// The id in `0{"sid":"…",…}`. Its letters go into an address.
fn session(answer: &Answer) -> Option<String> {
    let text = String::from_utf8_lossy(&answer.rest);
    // A body may come in chunks: the packet stands on a line of its own then.
    let packet = text.lines().find_map(|line| line.strip_prefix("0{"))?;
    let (_, rest) = packet.split_once("\"sid\":\"")?;
    let (session, _) = rest.split_once('"')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (answer.status == 200 && !session.is_empty() && session.bytes().all(plain)).then(|| session.to_owned())
}

/// The question with the cookies of an answer, as a browser would send them back.
fn with_cookies(question: &Question, answer: &Answer) -> Question {
    let set = answer.headers.get_all("set-cookie").iter().filter_map(|line| line.to_str().ok()?.split(';').next());
    let set: Vec<&str> = set.collect();
    let mut question = question.clone();
    let own = question.headers.iter().position(|(name, _)| name == "cookie").map(|at| question.headers.remove(at).1);
    let own = own.as_ref().and_then(|value| value.to_str().ok());
    let all = own.into_iter().chain(set).collect::<Vec<_>>().join("; ");
    if let Ok(value) = HeaderValue::from_str(&all)
        && !all.is_empty()
    {
        question.headers.push((HeaderName::from_static("cookie"), value));
    }
    question
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_io_is_looked_for_where_the_path_says_or_at_its_usual_place() {
        assert_eq!(base("/"), "/socket.io/");
        assert_eq!(base("/chat"), "/socket.io/");
        assert_eq!(base("/socket.io/?EIO=4&transport=websocket"), "/socket.io/");
        assert_eq!(base("/app/socket.io/?EIO=4"), "/app/socket.io/");
    }
}
