//! The composition root: from a checked file to everything running, and down again. The one place where all parts meet.
//!
//! It prints nothing: what there is to say goes out as [`Notice`]s.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use fermata_spec::Spec;
use fermata_wire::{Close, Code};
use rustls::ServerConfig;
use tokio::sync::mpsc;

use crate::front::datagrams;
use crate::net::{BindError, Listener, Transport, bind, has_ipv6};
use crate::public::{Pools, PublicPort, Scheme, public_ports, routes};
use crate::route::Table;
use crate::run::{Caller, Event, Line, LockError, Plan, Problem, Roster, StateLock, Supervisor};
use crate::serve::Speaks;
use crate::tls::{self, Certificates, LoadError};
use crate::tunnel::{Command, Ledger, Which};
use crate::workers::{Shared, Workers};

/// How long tunnels and requests may take to end when everything stops.
const STOP: Duration = Duration::from_secs(5);

/// Something to say while it runs.
#[derive(Debug)]
pub enum Notice {
    /// An instance's life.
    Instance(Event),
    /// A line that an instance wrote.
    Line(Line),
    /// Something that somebody should look at.
    Warning(String),
    /// Everything is bound and every service with a readiness check has passed.
    Ready(Vec<PublicPort>),
    /// The end has begun.
    Stopping {
        /// Tunnels that are being closed.
        tunnels: u64,
    },
}

/// Why it could not begin. Nothing has been started.
#[derive(Debug)]
pub enum StartError {
    /// Services that cannot be run as the file says.
    Plan(Vec<Problem>),
    /// The state folder.
    State(LockError),
    /// A certificate.
    Certificate(LoadError),
    /// Public ports, all that failed.
    Bind(Vec<BindError>),
    /// Something of the system.
    System(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn lines<T: fmt::Display>(out: &mut fmt::Formatter<'_>, all: &[T]) -> fmt::Result {
            all.iter().enumerate().try_for_each(|(at, one)| {
                if at > 0 {
                    out.write_str("\n       ")?;
                }
                one.fmt(out)
            })
        }
        match self {
            StartError::Plan(problems) => lines(out, problems),
            StartError::Bind(errors) => lines(out, errors),
            StartError::State(error) => error.fmt(out),
            StartError::Certificate(error) => error.fmt(out),
            StartError::System(text) => out.write_str(text),
        }
    }
}

/// Where and for whom it runs.
#[derive(Debug, Clone)]
pub struct Place {
    /// The folder of the service.yml.
    pub folder: PathBuf,
    /// The state folder.
    pub state: PathBuf,
}

/// Plans the services of a file, as `up` called now would start them.
pub fn plan(spec: &Spec, place: &Place) -> Result<Plan, StartError> {
    let mut env: BTreeMap<_, _> = std::env::vars_os().collect();
    if let Ok(program) = std::env::current_exe() {
        // So that an example can use Fermata's own echo without anything else installed.
        env.insert("FERMATA".into(), program.into());
    }
    Plan::of(spec, &Caller { folder: place.folder.clone(), env }, random).map_err(StartError::Plan)
}

/// Bound, checked and ready to go: nothing has been started yet, and nothing is accepted.
pub struct Prepared {
    plan: Plan,
    lock: StateLock,
    ports: Vec<PublicPort>,
    tcp: Vec<(TcpListener, Speaks)>,
    udp: Vec<UdpSocket>,
    certificates: Certificates,
    files: Vec<(PathBuf, PathBuf)>,
    pools: Arc<Pools>,
    shared: Shared,
    warnings: Vec<String>,
}

impl Prepared {
    /// Takes everything that `spec` needs, or nothing.
    pub fn new(spec: &Spec, place: &Place) -> Result<Prepared, StartError> {
        let plan = plan(spec, place)?;
        let lock = StateLock::take(&place.state).map_err(StartError::State)?;
        let ports = public_ports(spec);
        let mut warnings = Vec::new();
        let certificates = Certificates::default();
        let files = certificate_files(spec, &ports, place, &mut warnings)?;
        certificates.load(&files).map_err(StartError::Certificate)?;
        let config = tls::server_config(&certificates).map_err(|error| StartError::System(error.to_string()))?;
        let (tcp, udp) = bind_all(spec, &ports, &config)?;
        let pools = Arc::new(Pools::new(spec));
        let shared = Shared {
            table: Arc::new(ArcSwap::from_pointee(Table::new(routes(spec, &pools)))),
            gateway: Arc::new(spec.gateway.clone()),
            ledger: Arc::new(Ledger::default()),
        };
        Ok(Prepared { plan, lock, ports, tcp, udp, certificates, files, pools, shared, warnings })
    }

    /// Runs until `stop` is done, then ends every tunnel, request and instance well. Takes a current-thread runtime and a
    /// `LocalSet`.
    pub async fn run(self, notices: mpsc::Sender<Notice>, stop: impl Future<Output = ()>) -> Result<(), StartError> {
        let system = |error: std::io::Error| StartError::System(error.to_string());
        for warning in self.warnings {
            say(&notices, Notice::Warning(warning)).await;
        }
        let _watch = tls::watch(self.certificates, self.files, {
            let notices = notices.clone();
            move |problem| drop(notices.try_send(Notice::Warning(problem)))
        });
        let workers = Workers::start(&self.shared, &self.tcp).map_err(system)?;
        let mut datagrams = tokio::task::JoinSet::new();
        for socket in self.udp {
            let socket = tokio::net::UdpSocket::from_std(socket).map_err(system)?;
            datagrams.spawn_local(datagrams::forward(socket, self.shared.table.clone()));
        }
        let mut expected = self.pools.add_running(&self.plan);
        expected.extend(self.plan.services.iter().map(|service| (service.name.clone(), service.instances.len())));
        let (events, mut happened) = mpsc::unbounded_channel();
        let (lines, mut written) = mpsc::channel(256);
        let checks = self.pools.watch_running(&self.plan, &events);
        let roster = Roster::open(&self.lock);
        let mut supervisor = Some(Supervisor::start(self.plan, roster, events, lines).await.map_err(StartError::Plan)?);
        let mut waiting = Waiting::new(expected);
        let mut stop = std::pin::pin!(stop);
        if waiting.is_over() {
            say(&notices, Notice::Ready(self.ports.clone())).await;
        }
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(event) = happened.recv() => {
                    self.pools.follow(&event);
                    let over = waiting.follow(&event);
                    say(&notices, Notice::Instance(event)).await;
                    if over {
                        say(&notices, Notice::Ready(self.ports.clone())).await;
                    }
                }
                Some(line) = written.recv() => say(&notices, Notice::Line(line)).await,
            }
        }
        say(&notices, Notice::Stopping { tunnels: self.shared.ledger.live() }).await;
        drop(checks);
        workers.stop_accepting();
        let close = Arc::new(Close::new(Code::GOING_AWAY, "the gateway is stopping"));
        workers.tell(|| Command::Drain { which: Which::All, close: close.clone(), over: Duration::ZERO });
        // What is left after that is cut.
        let _ = tokio::time::timeout(STOP, workers.rest()).await;
        let stopping = async {
            if let Some(supervisor) = supervisor.take() {
                supervisor.stop().await;
            }
        };
        let mut stopping = std::pin::pin!(stopping);
        loop {
            tokio::select! {
                () = &mut stopping => break,
                Some(event) = happened.recv() => say(&notices, Notice::Instance(event)).await,
                Some(line) = written.recv() => say(&notices, Notice::Line(line)).await,
            }
        }
        while let Ok(line) = written.try_recv() {
            say(&notices, Notice::Line(line)).await;
        }
        while let Ok(event) = happened.try_recv() {
            say(&notices, Notice::Instance(event)).await;
        }
        workers.end().map_err(system)
    }
}

/// Which services have yet to become ready for the first time.
struct Waiting(BTreeMap<Arc<str>, usize>);

impl Waiting {
    fn new(expected: Vec<(Arc<str>, usize)>) -> Waiting {
        Waiting(expected.into_iter().filter(|(_, instances)| *instances > 0).collect())
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// True when this event was the last one that was waited for.
    fn follow(&mut self, event: &Event) -> bool {
        let Event::Ready { instance, .. } = event else { return false };
        let Some(left) = self.0.get_mut(&instance.service) else { return false };
        *left -= 1;
        if *left == 0 {
            self.0.remove(&instance.service);
        }
        self.is_over()
    }
}

async fn say(notices: &mpsc::Sender<Notice>, notice: Notice) {
    // Without a listener there is nobody to tell; everything goes on.
    let _ = notices.send(notice).await;
}

/// Bytes for passwords: from the kernel (getrandom(2)).
fn random(bytes: &mut [u8]) {
    let mut done = 0;
    while done < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[done..], rustix::rand::GetRandomFlags::empty()) {
            Ok(written) => done += written,
            // Only before the kernel's pool is seeded, early in the machine's start, or interrupted by a signal.
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// The certificates to offer: the file's, or one made on the spot where an https port has none.
fn certificate_files(
    spec: &Spec,
    ports: &[PublicPort],
    place: &Place,
    warnings: &mut Vec<String>,
) -> Result<Vec<(PathBuf, PathBuf)>, StartError> {
    if !spec.tls.certificates.is_empty() || !ports.iter().any(|port| port.scheme == Scheme::Https) {
        let path = |file: &str| place.folder.join(file);
        return Ok(spec.tls.certificates.iter().map(|one| (path(&one.cert), path(&one.key))).collect());
    }
    let names = self_signed_names(spec);
    let made = tls::self_signed(&place.state, &names).map_err(|error| {
        StartError::System(format!("cannot write a self-signed certificate to {}: {error}", place.state.display()))
    })?;
    warnings.push(format!(
        "no certificate is configured for https: using a self-signed one for {} ({}), which browsers warn of; \
         name yours under tls.certificates in service.yml",
        names.join(", "),
        made.0.display()
    ));
    Ok(vec![made])
}

fn self_signed_names(spec: &Spec) -> Vec<String> {
    use fermata_spec::HostPattern;
    let mut names: Vec<String> = vec!["localhost".into(), "127.0.0.1".into(), "::1".into()];
    for host in spec.services.iter().flat_map(|service| &service.traffic_matches) {
        let name = match host {
            HostPattern::Any => continue,
            HostPattern::Exact(name) => name.clone(),
            HostPattern::Under(domain) => format!("*.{domain}"),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

type Bound = (Vec<(TcpListener, Speaks)>, Vec<UdpSocket>);

/// Binds every public port on every address, or tells all that could not be bound.
fn bind_all(spec: &Spec, ports: &[PublicPort], config: &Arc<ServerConfig>) -> Result<Bound, StartError> {
    let ipv6 = has_ipv6();
    // `::` is a default where nothing was said: a machine without IPv6 does without it.
    let addresses: Vec<IpAddr> =
        spec.gateway.bind.iter().copied().filter(|ip| ipv6 || *ip != IpAddr::from([0u16; 8])).collect();
    let (mut bound, mut errors): (Bound, _) = (Bound::default(), Vec::new());
    for port in ports {
        let (transport, speaks) = match port.scheme {
            Scheme::Http => (Transport::Tcp, Speaks::Http),
            Scheme::Https => (Transport::Tcp, Speaks::Https(config.clone())),
            Scheme::Tcp => (Transport::Tcp, Speaks::Raw),
            Scheme::Udp => (Transport::Udp, Speaks::Raw),
        };
        for ip in &addresses {
            match bind(SocketAddr::new(*ip, port.port), transport) {
                Ok(Listener::Tcp(listener)) => bound.0.push((listener, speaks.clone())),
                Ok(Listener::Udp(socket)) => bound.1.push(socket),
                Err(error) => errors.push(error),
            }
        }
    }
    if errors.is_empty() { Ok(bound) } else { Err(StartError::Bind(errors)) }
}

/// The state folder where `--state-dir` names none.
pub fn default_state_dir() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state"));
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/fermata");
    }
    // XDG Base Directory Specification: only an absolute path counts.
    let xdg = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    xdg.or_else(home).unwrap_or_else(std::env::temp_dir).join("fermata")
}
