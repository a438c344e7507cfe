//! `fermata probe`.

use std::time::Duration;

use futures_util::future::join_all;
use http::{HeaderName, HeaderValue};

use super::{Answer, Failure, report};
use crate::cli::{Probe, ReportFormat};
use crate::probe::{self, Addresses, Comparison, Question, Target, Trust};
use crate::report::{Html, Junit};

/// Runs it.
pub fn run(args: &Probe) -> Result<Answer, Failure> {
    let urls = args.url.iter().chain(&args.compare);
    let questions: Vec<Question> = urls.map(|url| question(args, url)).collect::<Result<_, _>>()?;
    if questions.len() == 1 && !args.compare.is_empty() {
        let says = "--compare takes two URLs at least, from the clients' end of the chain to the service's";
        return Err(Failure::Usage(says.to_owned()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::No(format!("cannot start: {error}")))?;
    if let Some(idle) = questions.iter().find_map(|question| question.idle) {
        anstream::eprintln!("being silent for {} s takes its time …", idle.as_secs());
    }
    let reports = runtime.block_on(join_all(questions.iter().map(probe::probe)));
    // A resolver that hangs holds a thread that nobody has to wait for.
    runtime.shutdown_background();
    Ok(match reports.as_slice() {
        [report] => report::print(report, args.format),
        _ => compared(&Comparison::new(reports), args.format),
    })
}

fn compared(comparison: &Comparison, format: ReportFormat) -> Answer {
    let Comparison { outcome, says, reports } = comparison;
    match format {
        ReportFormat::Human => anstream::print!("{comparison}"),
        ReportFormat::Html => anstream::print!("{}", Html { lead: says, reports }),
        ReportFormat::Junit => anstream::print!("{}", Junit(reports)),
        ReportFormat::Json => anstream::println!("{}", super::json(comparison)),
    }
    report::answer(*outcome)
}

fn question(args: &Probe, url: &str) -> Result<Question, Failure> {
    let target = Target::read(url).map_err(|bad| Failure::Usage(bad.to_string()))?;
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
