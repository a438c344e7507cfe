//! `healthcheck`: one command, run inside the container.

use fermata_spec::{Check, CheckKind, Health, Service};

use super::text;
use crate::render::Gaps;
use crate::render::yaml::{Map, Value};

/// Whether compose can wait until the service is ready.
pub(super) fn is_checked(service: &Service) -> bool {
    let Health::Checks { ready: Some(check), .. } = &service.health else { return false };
    match check.kind {
        CheckKind::WebSocket { .. } => false,
        CheckKind::Exec(_) => true,
        _ => port(check, service).is_some(),
    }
}

/// The `healthcheck` of a service.
pub(super) fn render(service: &Service, at: &str, gaps: &mut Gaps<'_>) -> Option<Map> {
    let Health::Checks { ready, alive, startup } = &service.health else { return None };
    for (name, check) in [("alive", alive), ("startup", startup)] {
        if check.is_some() {
            gaps.left_out(
                &format!("{at}.health.{name}"),
                "compose has one check, and restarts nothing that fails it",
                "let the program end when it is not well",
            );
        }
    }
    let check = ready.as_ref()?;
    let path = format!("{at}.health.ready");
    let test = test(check, service, &path, gaps)?;
    let mut map = Map::default();
    map.put("test", test);
    let seconds = |time: std::time::Duration| Value::text(duration(time));
    map.put("interval", seconds(check.period));
    map.put("timeout", seconds(check.timeout));
    map.put("retries", Value::bare(check.failure_threshold));
    if gaps.has(&format!("{path}.initial_delay")) {
        map.put("start_period", seconds(check.initial_delay));
    }
    gaps.left_out_if_there(
        &format!("{path}.success_threshold"),
        "one success is enough for compose",
        "nothing has to be done for most services",
    );
    Some(map)
}

fn test(check: &Check, service: &Service, path: &str, gaps: &mut Gaps<'_>) -> Option<Value> {
    if let CheckKind::Exec(command) = &check.kind {
        let command = text::with_variables(command, &format!("{path}.command"), gaps.spec, gaps);
        return Some(exec(&command));
    }
    let Some(port) = port(check, service) else {
        gaps.left_out(path, "no port to check", "give the check a port");
        return None;
    };
    let script = match &check.kind {
        CheckKind::Http { endpoint, headers } => request(&format!("http://127.0.0.1:{port}{endpoint}"), headers, ""),
        CheckKind::Https { endpoint, headers } => request(&format!("https://127.0.0.1:{port}{endpoint}"), headers, "k"),
        CheckKind::Tcp => format!("nc -z 127.0.0.1 {port}"),
        CheckKind::WebSocket { .. } | CheckKind::Exec(_) => {
            gaps.left_out(path, "no program in an image tries a WebSocket handshake", "check an HTTP path: type: http");
            return None;
        }
    };
    let program = if matches!(check.kind, CheckKind::Tcp) { "nc" } else { "wget or curl" };
    gaps.changed(
        path,
        format!("is run inside the container, whose image needs {program}"),
        "use type: exec with a program of the image, if it has neither",
    );
    Some(Value::words(["CMD-SHELL".to_owned(), script.replace('$', "$$")]))
}

/// A request by whichever program the image has.
fn request(url: &str, headers: &[(String, String)], insecure: &str) -> String {
    let quote = |text: &str| shlex::try_quote(text).map_or_else(|_| String::new(), std::borrow::Cow::into_owned);
    let url = quote(url);
    let of = |flag: &str| -> String {
        headers.iter().map(|(name, value)| format!(" {flag} {}", quote(&format!("{name}: {value}")))).collect()
    };
    let trust = if insecure.is_empty() { "" } else { " --no-check-certificate" };
    format!("wget -q{trust} -O /dev/null{} {url} || curl -fsS{insecure} -o /dev/null{} {url}", of("--header"), of("-H"))
}

/// A command as the words that are run, or as a line for the shell where that is what they are.
fn exec(command: &str) -> Value {
    match shlex::split(command) {
        Some(words) => match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["/bin/sh" | "sh", "-c", script] => Value::words(["CMD-SHELL", script]),
            words => Value::words(std::iter::once("CMD").chain(words.iter().copied())),
        },
        None => Value::words(["CMD-SHELL", command]),
    }
}

fn port(check: &Check, service: &Service) -> Option<u16> {
    check.port.or_else(|| service.ports.first().map(|port| port.container))
}

/// `30s`, `500ms`.
pub(super) fn duration(time: std::time::Duration) -> String {
    match time.as_millis() {
        millis if millis % 1000 == 0 => format!("{}s", millis / 1000),
        millis => format!("{millis}ms"),
    }
}
