//! The README.md beside a balancer's configuration: what it is, three commands, why the values are what they are, and which
//! classic mistakes it avoids.

use std::fmt::Write;

use super::front::{Ask, Front, Speech};
use crate::render::SIGN;
use fermata_spec::balancers::{Announces, Carries, Client, Drain, Idle, Lifetime, duration};

/// What a provider's file tells beside its configuration.
pub(super) struct Guide {
    /// What to have before, a line each.
    pub(super) before: Vec<String>,
    pub(super) apply: String,
    /// Where it is afterwards: a shell word.
    pub(super) host: String,
    pub(super) undo: String,
    /// Mistakes that were avoided, a sentence each.
    pub(super) avoids: Vec<String>,
    /// What has to be known.
    pub(super) notes: Vec<String>,
}

impl Guide {
    /// For Terraform.
    pub(super) fn terraform(avoids: &[&str], notes: &[&str]) -> Guide {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Guide {
            before: vec![
                "Terraform, or OpenTofu, and the provider's credentials in the environment.".to_owned(),
                "`terraform plan` asks for the variables; each says what it is. A `terraform.tfvars` answers for good."
                    .to_owned(),
            ],
            apply: "terraform init && terraform apply".to_owned(),
            host: "$(terraform output -raw address)".to_owned(),
            undo: "terraform destroy".to_owned(),
            avoids: own(avoids),
            notes: own(notes),
        }
    }
}

/// The whole text.
pub(super) fn write(front: &Front<'_>, file: &str, guide: &Guide) -> String {
    let title = front.balancer.title;
    let mut text = format!("<!-- {SIGN} -->\n# {title} before Fermata\n\n");
    let _ = writeln!(
        text,
        "`{file}`: {title} in front of machines that run `fermata up` with this service.yml.\n\n\
         | public port | speaks | goes to the servers' port |\n| --- | --- | --- |"
    );
    for listener in &front.listeners {
        let at = match (listener.speech, front.balancer.carries) {
            (Speech::Tcp, Carries::Bytes) => "whatever passes, byte for byte".to_owned(),
            (Speech::Https, Carries::Requests) => "https, ended here".to_owned(),
            _ => listener.word().to_owned(),
        };
        let _ = writeln!(text, "| {} | {at} | {} |", listener.port, listener.target);
    }
    section(&mut text, "Before", &guide.before);
    commands(&mut text, front, guide);
    values(&mut text, front);
    section(&mut text, "Classic mistakes that it avoids", &guide.avoids);
    section(&mut text, "Good to know", &notes(front, guide));
    text
}

fn section(text: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n## {title}\n");
    for line in lines {
        let _ = writeln!(text, "- {line}");
    }
}

fn commands(text: &mut String, front: &Front<'_>, guide: &Guide) {
    let (scheme, port) = front.try_it();
    let wait = front.ping().map_or(60, |ping| ping * 3);
    let default = if scheme == "wss" { 443 } else { 80 };
    let port = if port == default { String::new() } else { format!(":{port}") };
    let _ = writeln!(
        text,
        "\n## Three commands\n\n```sh\n{}\nfermata probe {scheme}://{}{port}/ --idle {wait}s\n{}\n```\n\n\
         The first applies, the second tests hop by hop and keeps a silent socket open for longer than three Pings, the \
         third undoes.",
        guide.apply, guide.host, guide.undo
    );
}

fn values(text: &mut String, front: &Front<'_>) {
    let _ = writeln!(text, "\n## Values\n\n| | here | why |\n| --- | --- | --- |");
    let pings = front.ping().map_or("nobody sends Pings".to_owned(), |ping| format!("Pings every {}", duration(ping)));
    let idle = duration(front.idle);
    match front.balancer.idle {
        Idle::Set(range, _) => {
            let (default, max) = (duration(range.default), duration(range.max));
            let _ = writeln!(text, "| idle limit | {idle} | {pings}; its default is {default}, its most {max} |");
        }
        Idle::Fixed(_) => _ = writeln!(text, "| idle limit | {idle}, cannot be set | {pings} |"),
        Idle::Assumed(_) => _ = writeln!(text, "| idle limit | {idle}, assumed: it is not documented | {pings} |"),
        Idle::Unlimited => {}
    }
    if let Lifetime::Set(range, _) = front.balancer.lifetime {
        let (here, default) = (duration(front.lifetime), duration(range.default));
        let _ = writeln!(text, "| lifetime | {here} | ends open sockets, idle or not; its default is {default} |");
    }
    let drain = match front.balancer.drain {
        Drain::Set(_) => duration(front.drain),
        Drain::Unbounded => "not its own".to_owned(),
    };
    let longest = duration(front.drain);
    let _ = writeln!(text, "| time to leave | {drain} | the longest `drain` of the file is {longest} |");
    let health = match &front.health.ask {
        Ask::Http(path) | Ask::Https(path) => format!("GET {path}"),
        Ask::Tcp => "a TCP connection".to_owned(),
    };
    let why = "a plain path: a WebSocket's answers 400 or 426 to a GET";
    let _ = writeln!(text, "| health | {health} | {why} |\n\nSource: {}.", front.balancer.source);
}

fn notes(front: &Front<'_>, guide: &Guide) -> Vec<String> {
    let mut notes = guide.notes.clone();
    notes.push(match front.balancer.client {
        _ if front.listeners.iter().any(|listener| front.announces(listener)) => {
            "PROXY protocol is on here and, by `gateway.proxy_protocol`, in Fermata: change both at once. Health is asked on a \
             port that expects none, or, without one, only whether a server takes connections."
                .to_owned()
        }
        Client::Forwarded => "Clients' addresses come in X-Forwarded-For: `gateway.trusted_proxies` has to have the \
                              networks that the balancer connects from, or all clients look like it."
            .to_owned(),
        Client::Preserved => {
            "Connections come from the clients' own addresses, so the servers' firewall has to admit them.".to_owned()
        }
        Client::Hidden if front.balancer.announces != Announces::Never => {
            "PROXY protocol is off here and in Fermata alike: on one side only, nothing would work. Services see the \
             balancer's address, unless `gateway: {proxy_protocol: true}` and its networks under `trusted_proxies` switch it \
             on at both."
                .to_owned()
        }
        Client::Hidden => "PROXY protocol is off here and in Fermata alike: on one side only, nothing would work. \
                           Services see the balancer's address."
            .to_owned(),
    });
    let names = "Stop the containers or machines behind it no sooner than `drain` after they were taken out: give Docker, \
                 ECS or systemd a stop time of at least";
    notes.push(format!("{names} {}.", duration(front.drain + 10)));
    notes
}
