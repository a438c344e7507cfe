//! `fermata probe`.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::{Answer, Failure};
use crate::cli::{Probe, ReportFormat};
use crate::probe::{self, Addresses, Question, Target, Trust};
use crate::report::{Junit, Outcome};

/// Runs it.
pub fn run(args: &Probe) -> Result<Answer, Failure> {
    let question = question(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::No(format!("cannot start: {error}")))?;
    if let Some(idle) = question.idle {
        anstream::eprintln!("being silent for {} s takes its time …", idle.as_secs());
    }
    let report = runtime.block_on(probe::probe(&question));
    // A resolver that hangs holds a thread that nobody has to wait for.
    runtime.shutdown_background();
    match args.format {
        ReportFormat::Human => anstream::print!("{report}"),
        ReportFormat::Junit => anstream::print!("{}", Junit(&report)),
        ReportFormat::Json => anstream::println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default()),
    }
    Ok(if report.outcome == Outcome::Broken { Answer::No } else { Answer::Yes })
}

fn question(args: &Probe) -> Result<Question, Failure> {
    let target = Target::read(&args.url).map_err(|bad| Failure::Usage(bad.to_string()))?;
    let roots = rustls_native_certs::load_native_certs().certs;
    let trust = if args.insecure { Trust::Anything(roots) } else { Trust::Roots(roots) };
    let headers = args.header.iter().map(|line| header(line)).collect::<Result<_, _>>()?;
    if args.timeout == 0 {
        return Err(Failure::Usage("--timeout 0 leaves no time to answer; give each hop a second at least".to_owned()));
    }
    if let Some(name) = args.subprotocol.iter().find(|name| !is_token(name)) {
        return Err(Failure::Usage(format!(
            "--subprotocol \"{name}\": a subprotocol is a name of letters, digits and -_.+ without blanks; give several \
             with several --subprotocol"
        )));
    }
    let addresses = args.through.map_or(Addresses::Resolver, |address| Addresses::Given(vec![address]));
    let idle = args.idle.as_deref().map(duration).transpose()?;
    Ok(Question {
        addresses,
        idle,
        protocols: args.subprotocol.clone(),
        headers,
        hop_timeout: Duration::from_secs(args.timeout),
        ..Question::new(target, trust)
    })
}

fn header(line: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let read = || {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
    };
    read().ok_or_else(|| {
        Failure::Usage(format!("--header \"{line}\" is no header; one looks like \"Cookie: session=abc\""))
    })
}

/// `90`, `90s` or `5m`.
fn duration(text: &str) -> Result<Duration, Failure> {
    let (number, seconds) = match text.strip_suffix('m') {
        Some(number) => (number, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let read = number.parse::<u32>().ok().filter(|number| *number > 0);
    let read =
        read.ok_or_else(|| Failure::Usage(format!("--idle \"{text}\" is no duration; one looks like 90s or 5m")))?;
    Ok(Duration::from_secs(u64::from(read) * seconds))
}

/// RFC 9110 5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
