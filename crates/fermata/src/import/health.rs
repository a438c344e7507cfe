//! Checks by command: `curl` and `wget` against the service itself are requests, anything else stays a command.

use std::time::Duration;

use super::amounts::seconds;
use crate::render::yaml::{Map, Value};

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Check {
    /// A request.
    Request { https: bool, port: Option<u16>, endpoint: String },
    /// A command that exits with 0.
    Command(String),
}

/// How often, and how patiently.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rhythm {
    pub(super) period: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) failures: Option<u32>,
    pub(super) delay: Option<Duration>,
}

impl Check {
    /// `health`, with this check as the gate for traffic.
    pub(super) fn health(&self, rhythm: Rhythm) -> Map {
        let mut check = Map::default();
        match self {
            Check::Request { https, port, endpoint } => {
                check.put("type", Value::text(if *https { "https" } else { "http" }));
                check.put("endpoint", Value::text(endpoint));
                check.put_some("port", port.map(Value::bare));
            }
            Check::Command(command) => {
                check.put("type", Value::text("exec"));
                check.put("command", Value::text(command));
            }
        }
        let time = |time: Duration| Value::Bare(seconds(time));
        check.put_some("initial_delay", rhythm.delay.map(time));
        check.put_some("period", rhythm.period.map(time));
        check.put_some("timeout", rhythm.timeout.map(time));
        check.put_some("failure_threshold", rhythm.failures.map(Value::bare));
        let mut health = Map::default();
        health.put("ready", check);
        health
    }

    /// A command's words.
    pub(super) fn of_words(words: &[String]) -> Option<Check> {
        if let [shell, "-c" | "-ec", script] = words.iter().map(String::as_str).collect::<Vec<_>>().as_slice()
            && matches!(*shell, "sh" | "/bin/sh" | "bash" | "/bin/bash")
            && let Some(request) = of_request(script)
        {
            return Some(request);
        }
        if let Some(request) = request(words) {
            return Some(request);
        }
        shlex::try_join(words.iter().map(String::as_str)).ok().filter(|text| !text.is_empty()).map(Check::Command)
    }

    /// A line for a shell.
    pub(super) fn of_script(script: &str) -> Option<Check> {
        if let Some(request) = of_request(script) {
            return Some(request);
        }
        let plain = without_exit(script);
        let simple = !plain.contains(|letter: char| "|&;<>()$`\\\"'*?[]#~=%!{}\n".contains(letter));
        if simple && !plain.is_empty() {
            return Some(Check::Command(plain.to_owned()));
        }
        let quoted = shlex::try_quote(script).ok()?;
        Some(Check::Command(format!("/bin/sh -c {quoted}")))
    }
}

/// Without the `|| exit 1` that does nothing here.
fn without_exit(script: &str) -> &str {
    let script = script.trim();
    script.rsplit_once("||").filter(|(_, rest)| rest.trim() == "exit 1").map_or(script, |(first, _)| first.trim())
}

fn of_request(script: &str) -> Option<Check> {
    request(&shlex::split(without_exit(script))?)
}

/// `curl -f http://localhost:3000/healthz`, with options that change nothing about the request.
fn request(words: &[String]) -> Option<Check> {
    let (program, rest) = words.split_first()?;
    let curl = program == "curl" || program.ends_with("/curl");
    if !curl && program != "wget" && !program.ends_with("/wget") {
        return None;
    }
    let mut found = None;
    let mut rest = rest.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        if !word.starts_with('-') {
            if found.replace(url(word)?).is_some() {
                return None;
            }
            continue;
        }
        let alone = if curl {
            matches!(word, "--fail" | "--silent" | "--show-error" | "--location" | "--insecure")
                || (!word.starts_with("--") && word[1..].chars().all(|letter| "fsSLkI".contains(letter)))
        } else {
            matches!(
                word,
                "--spider"
                    | "--quiet"
                    | "--no-verbose"
                    | "-q"
                    | "-nv"
                    | "-S"
                    | "--no-check-certificate"
                    | "-qO-"
                    | "-O-"
            ) || ["--tries=", "--timeout=", "-O/dev/null", "-qO/dev/null"].iter().any(|start| word.starts_with(start))
        };
        let valued: &[&str] = if curl { &["-o", "--output", "-m", "--max-time"] } else { &["-O", "-qO", "-t", "-T"] };
        if valued.contains(&word) {
            rest.next()?;
        } else if !alone {
            return None;
        }
    }
    found
}

/// A URL of the service itself.
fn url(text: &str) -> Option<Check> {
    let (https, rest) = match text.split_once("://") {
        Some(("http", rest)) => (false, rest),
        Some(("https", rest)) => (true, rest),
        Some(_) => return None,
        None => (false, text),
    };
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port.parse().ok().filter(|port| *port > 0)?)),
        _ => (host, None),
    };
    let own = matches!(name, "localhost" | "127.0.0.1" | "0.0.0.0" | "[::1]");
    let good = !path.contains(|letter: char| letter.is_whitespace() || letter.is_control() || letter == '$');
    let port = port.or(Some(if https { 443 } else { 80 }));
    (own && good).then(|| Check::Request { https, port, endpoint: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(port: u16, endpoint: &str) -> Check {
        Check::Request { https: false, port: Some(port), endpoint: endpoint.to_owned() }
    }

    #[test]
    fn a_request_to_the_service_itself_is_a_request() {
        for script in [
            "curl -f http://localhost:3000/up || exit 1",
            "curl -fsS -o /dev/null http://127.0.0.1:3000/up",
            "wget -q --spider http://localhost:3000/up",
            "wget --no-verbose --tries=1 -O /dev/null http://localhost:3000/up || exit 1",
        ] {
            assert_eq!(Check::of_script(script), Some(get(3000, "/up")), "{script}");
        }
        let words = ["sh", "-c", "curl -f localhost"].map(str::to_owned);
        assert_eq!(Check::of_words(&words), Some(get(80, "/")));
    }

    #[test]
    fn anything_else_stays_a_command() {
        let cases = [
            ("pg_isready -U app", "pg_isready -U app"),
            ("redis-cli ping || exit 1", "redis-cli ping"),
            ("curl -f http://other/up", "curl -f http://other/up"),
            ("curl -f -X POST http://localhost/up", "curl -f -X POST http://localhost/up"),
            ("redis-cli ping | grep PONG", "/bin/sh -c 'redis-cli ping | grep PONG'"),
        ];
        for (script, command) in cases {
            assert_eq!(Check::of_script(script), Some(Check::Command(command.to_owned())), "{script}");
        }
    }
}
