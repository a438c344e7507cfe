//! Published ports: a number of the machine and a number of the container, and the guess what is spoken there.
//!
//! Other programs publish TCP and leave the rest to the service. service.yml says http, https, tcp or udp, so that is
//! guessed from the numbers, and the guess is written above it.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::known::{self, Speech};
use super::source::Value;
use crate::render::yaml::{self, Item, Map};

/// Most ports that one range is written out as.
const MAX_RANGE: usize = 100;

/// One entry of the other file.
#[derive(Debug, Clone)]
pub(super) struct Publication<'a> {
    pub(super) container: RangeInclusive<u16>,
    pub(super) machine: Machine,
    pub(super) address: Option<IpAddr>,
    /// What the file itself says is spoken.
    pub(super) speech: Option<Speech>,
    /// Where it stands.
    pub(super) value: Value<'a>,
}

/// The numbers of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Machine {
    /// Not published.
    None,
    /// Whichever is free.
    Any,
    /// These.
    Ports(RangeInclusive<u16>),
}

/// One entry of `ports`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opened {
    container: u16,
    public: Vec<(Speech, u16)>,
    comments: Vec<String>,
    /// What was guessed, for one comment about all of it.
    guesses: Vec<String>,
}

/// The short form that compose and Kamal share: `[[ADDRESS:]PORT:]CONTAINER[/PROTOCOL]`, each port perhaps a range.
pub(super) fn parse<'a>(text: &str, value: &Value<'a>) -> Option<Publication<'a>> {
    let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let speech = speech_of(protocol, value)?;
    let (rest, container) = numbers.rsplit_once(':').map_or((None, numbers), |(rest, last)| (Some(rest), last));
    let (address, machine) = match rest {
        None => (None, Machine::Any),
        Some(rest) => {
            let (address, ports) = rest.rsplit_once(':').map_or((None, rest), |(first, last)| (Some(first), last));
            let machine = if ports.is_empty() { Some(Machine::Any) } else { range(ports).map(Machine::Ports) };
            (address, machine.or_else(|| complain(text, value))?)
        }
    };
    let container = range(container).or_else(|| complain(text, value))?;
    let address = match address {
        None => None,
        Some(text) => Some(ip(text).or_else(|| complain(text, value))?),
    };
    Some(Publication { container, machine, address, speech, value: value.clone() })
}

fn complain<T>(text: &str, value: &Value<'_>) -> Option<T> {
    value.left_out(format!("\"{}\" is not a port", text.escape_debug()), "write it under ports by hand");
    None
}

/// What a protocol's name leaves to be spoken. The outer `None`: nothing that service.yml has.
#[allow(
    clippy::option_option,
    reason = "the outer one: whether it can be published; the inner one: whether it is known"
)]
pub(super) fn speech_of(protocol: &str, value: &Value<'_>) -> Option<Option<Speech>> {
    match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Some(None),
        "udp" => Some(Some(Speech::Udp)),
        _ => {
            value.left_out(format!("the protocol \"{}\" is not known here", protocol.escape_debug()), "use tcp or udp");
            None
        }
    }
}

/// `3000`, or `3000-3005`.
pub(super) fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some(first..=last)
}

/// An address, in brackets or not.
pub(super) fn ip(text: &str) -> Option<IpAddr> {
    text.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

impl Publication<'_> {
    /// An inside port, as `expose` has it.
    pub(super) fn inside<'a>(container: RangeInclusive<u16>, value: &Value<'a>) -> Publication<'a> {
        Publication { container, machine: Machine::None, address: None, speech: None, value: value.clone() }
    }

    /// The one address that it is published on.
    fn bound(&self) -> Option<IpAddr> {
        self.address.filter(|address| !address.is_unspecified())
    }
}

/// Every public port of the file to be, so that none is claimed twice.
#[derive(Debug, Default)]
pub(super) struct Doors {
    claimed: HashMap<(u16, bool), (Speech, usize, u16)>,
    /// The addresses that all public ports are bound on, where it is not every one.
    pub(super) bind: BTreeSet<IpAddr>,
}

impl Doors {
    /// Looks at what is published where: service.yml binds all public ports on the same addresses.
    pub(super) fn new<'p>(publications: impl Iterator<Item = &'p Publication<'p>>) -> Self {
        let bound: Vec<Option<IpAddr>> =
            publications.filter(|one| one.machine != Machine::None).map(Publication::bound).collect();
        let addresses: BTreeSet<IpAddr> = bound.iter().copied().flatten().collect();
        let alike = addresses.len() == 1 || addresses.iter().all(IpAddr::is_loopback);
        let bind = if alike && bound.iter().all(Option::is_some) { addresses } else { BTreeSet::new() };
        Doors { claimed: HashMap::new(), bind }
    }

    /// The `ports` of one service, by its number in the file.
    pub(super) fn open(&mut self, service: usize, database: bool, publications: &[Publication<'_>]) -> Vec<Opened> {
        let mut opened = Vec::new();
        for publication in publications {
            self.open_one(service, database, publication, &mut opened);
        }
        opened
    }

    fn open_one(&mut self, service: usize, database: bool, one: &Publication<'_>, opened: &mut Vec<Opened>) {
        let containers = one.container.clone();
        if containers.len() > MAX_RANGE {
            one.value.left_out(
                format!("a range of {} ports; service.yml has an entry for each", containers.len()),
                "write the entries of those that are used",
            );
            return;
        }
        let machine = match &one.machine {
            Machine::None => None,
            Machine::Any => {
                one.value.changed(
                    "was published on whichever port was free, and is not published now",
                    format!("write http: or tcp: with a port below container: {}", containers.start()),
                );
                None
            }
            Machine::Ports(_) if one.bound().is_some() && self.bind.is_empty() => {
                let address = one.address.map(|address| address.to_string()).unwrap_or_default();
                one.value.changed(
                    format!("was published on {address} alone, and is not published now: the other ports of this file are on every address"),
                    "reach it by its service name, or publish it where everybody may reach it",
                );
                None
            }
            Machine::Ports(ports) if ports.len() != containers.len() => {
                one.value.changed(
                    format!(
                        "was published on any port from {} to {}; it is on {} now",
                        ports.start(),
                        ports.end(),
                        ports.start()
                    ),
                    "the instances of a service share one public port here",
                );
                Some(*ports.start()..=*ports.start())
            }
            Machine::Ports(ports) => Some(ports.clone()),
        };
        let Some(ports) = machine else {
            for container in containers {
                let entry = entry(opened, container, None);
                if one.bound().is_some() {
                    let was = format!(
                        "not published: it was on {} alone",
                        one.address.map_or(String::new(), |at| at.to_string())
                    );
                    opened[entry].comments.push(was);
                }
            }
            return;
        };
        for (public, container) in ports.zip(containers) {
            self.publish(service, database, one, (public, container), opened);
        }
    }

    fn publish(
        &mut self,
        service: usize,
        database: bool,
        one: &Publication<'_>,
        (public, container): (u16, u16),
        opened: &mut Vec<Opened>,
    ) {
        let (speech, guess) = match one.speech {
            Some(speech) => (speech, None),
            None => guess(public, container, database),
        };
        let key = (public, speech == Speech::Udp);
        match self.claimed.get(&key) {
            Some((known, owner, inside)) if (*known, *owner, *inside) == (speech, service, container) => return,
            Some((known, owner, _))
                if *known != speech || *owner == service || matches!(speech, Speech::Tcp | Speech::Udp) =>
            {
                let help = "give it another number, or write it by hand";
                one.value.left_out(format!("{public} is published already, as {}", known.key()), help);
                entry(opened, container, None);
                return;
            }
            _ => self.claimed.insert(key, (speech, service, container)),
        };
        let entry = entry(opened, container, Some(speech));
        opened[entry].public.push((speech, public));
        opened[entry].guesses.extend(guess);
    }
}

/// The entry of a container port that has no public port of this kind yet.
fn entry(opened: &mut Vec<Opened>, container: u16, speech: Option<Speech>) -> usize {
    let free = |entry: &Opened| !entry.public.iter().any(|(known, _)| Some(*known) == speech);
    opened.iter().position(|entry| entry.container == container && free(entry)).unwrap_or_else(|| {
        opened.push(Opened { container, public: Vec::new(), comments: Vec::new(), guesses: Vec::new() });
        opened.len() - 1
    })
}

/// What is spoken there, judged by the numbers, and how that came.
fn guess(public: u16, container: u16, database: bool) -> (Speech, Option<String>) {
    // Pages that servers of databases have beside their own protocol: Elasticsearch, RabbitMQ, RedisInsight.
    let page = matches!(container, 9200 | 15672 | 8001);
    if let Some(name) = known::raw(container).or_else(|| known::raw(public)) {
        (Speech::Tcp, Some(format!("tcp, as {name} is usual there")))
    } else if database && !page {
        (Speech::Tcp, Some("tcp, as the image is a database".to_owned()))
    } else if known::is_tls(container) {
        (Speech::Tcp, Some(format!("tcp, as {container} is where the service does TLS itself")))
    } else if known::is_tls(public) {
        (Speech::Https, Some("https".to_owned()))
    } else {
        (Speech::Http, Some("http".to_owned()))
    }
}

impl Opened {
    /// An entry of known ports.
    pub(super) fn new(container: u16, public: &[(Speech, u16)]) -> Self {
        Opened { container, public: public.to_vec(), comments: Vec::new(), guesses: Vec::new() }
    }

    /// The same with a comment.
    pub(super) fn with(mut self, comment: &str) -> Self {
        self.comments.push(comment.to_owned());
        self
    }

    /// Takes its public ports, so that no later service gets them.
    pub(super) fn claim(&self, doors: &mut Doors, service: usize) {
        for (speech, port) in &self.public {
            doors.claimed.entry((*port, *speech == Speech::Udp)).or_insert((*speech, service, self.container));
        }
    }

    /// As it is written.
    pub(super) fn item(&self) -> Item {
        let mut map = Map::default();
        map.put("container", yaml::Value::bare(self.container));
        let mut public = self.public.clone();
        public.sort_by_key(|(speech, _)| *speech as u8);
        for (speech, port) in public {
            map.put(speech.key(), yaml::Value::bare(port));
        }
        let mut above = self.comments.clone();
        if !self.guesses.is_empty() {
            above.push(format!("guessed from the port numbers: {}", self.guesses.join(", ")));
        }
        Item { above, value: map.into() }
    }
}
