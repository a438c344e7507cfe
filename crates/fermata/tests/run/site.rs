//! A folder with programs, the services that run them, and a supervisor whose events can be awaited.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fermata::run::{Caller, Event, Keep, Line, Plan, Problem, Roster, StateLock, Supervisor};
use fermata_spec::{
    Balance, Check, CheckKind, Cluster, Constraints, Firewall, Gateway, Health, Places, Port, SecurityContext, Service,
    Source, Spec, Sticky, Tls, WebSocket, Workload,
};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

/// A test that waits as long as this waits for something that will never happen.
const NEVER: Duration = Duration::from_mins(1);

/// Accepts connections at PORT and closes them; says so once it does.
pub(crate) const LISTEN: &str = r#"#!/usr/bin/env python3
import os, socket
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", int(os.environ["PORT"])))
server.listen()
print("listening", flush=True)
while True:
    server.accept()[0].close()
"#;

/// A folder for programs, one for state, and the services.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) spec: Spec,
    pub(crate) caller: Caller,
}

/// Services that run.
pub(crate) struct Running {
    pub(crate) supervisor: Supervisor,
    events: mpsc::UnboundedReceiver<Event>,
    lines: mpsc::Receiver<Line>,
    _lock: StateLock,
}

impl Site {
    pub(crate) fn new() -> Site {
        let folder = tempfile::tempdir().unwrap();
        let caller =
            Caller { folder: folder.path().to_owned(), env: std::env::vars_os().collect(), ..Caller::default() };
        let spec = Spec {
            services: Vec::new(),
            databases: Vec::new(),
            tls: Tls::default(),
            gateway: Gateway::default(),
            load_balancer: None,
            firewall: Firewall::default(),
            kubernetes: Cluster::default(),
            places: Places::default(),
        };
        Site { folder, spec, caller }
    }

    /// A site with one service that runs `command`.
    pub(crate) fn with(command: &str) -> Site {
        let mut site = Site::new();
        site.spec.services.push(service("web", command));
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Writes an executable file.
    pub(crate) fn program(&self, name: &str, text: &str) {
        self.file(name, text);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Writes a file at once, so that a reader sees all of it or nothing.
    pub(crate) fn file(&self, name: &str, text: &str) {
        let fresh = self.path(&format!("{name}.new"));
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, self.path(name)).unwrap();
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn plan(&self) -> Result<Plan, Vec<Problem>> {
        let mut drawn = 0u8;
        let count = |bytes: &mut [u8]| {
            for byte in bytes {
                *byte = drawn;
                drawn = drawn.wrapping_add(1);
            }
        };
        Plan::of(&self.spec, &self.caller, count)
    }

    pub(crate) async fn try_up(&self) -> Result<Running, Vec<String>> {
        up(&self.state(), self.plan().unwrap()).await
    }

    pub(crate) async fn up(&self) -> Running {
        self.try_up().await.unwrap_or_else(|problems| panic!("not started: {problems:#?}"))
    }
}

pub(crate) async fn up(state: &Path, plan: Plan) -> Result<Running, Vec<String>> {
    let lock = StateLock::take(state).unwrap();
    let (events, told) = mpsc::unbounded_channel();
    let (lines, said) = mpsc::channel(64);
    match Supervisor::start(plan, Roster::open(&lock), events, lines).await {
        Ok(supervisor) => Ok(Running { supervisor, events: told, lines: said, _lock: lock }),
        Err(problems) => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

impl Running {
    /// The next event, but for those that a slow machine adds.
    pub(crate) async fn event(&mut self) -> Event {
        loop {
            let event = timeout(NEVER, self.events.recv()).await;
            match event.expect("an event in time").expect("the supervisor to tell events") {
                Event::Waiting { .. } => {}
                event => return event,
            }
        }
    }

    /// The next event, for tests whose clock is paused: it runs ahead while they wait for a process.
    pub(crate) async fn event_at_any_time(&mut self) -> Event {
        self.events.recv().await.expect("the supervisor to tell events")
    }

    /// The events up to the one whose text starts so, as texts.
    pub(crate) async fn until(&mut self, text: &str) -> Vec<String> {
        let mut seen = Vec::new();
        let deadline = Instant::now() + NEVER;
        while !seen.last().is_some_and(|last: &String| last.starts_with(text)) {
            let event = timeout_at(deadline, self.event()).await;
            seen.push(event.unwrap_or_else(|_| panic!("no \"{text}\" among {seen:#?}")).to_string());
        }
        seen
    }

    pub(crate) async fn line(&mut self) -> Line {
        timeout(NEVER, self.lines.recv()).await.expect("a line in time").expect("lines")
    }

    /// Waits for this line.
    pub(crate) async fn until_line(&mut self, text: &str) {
        while self.line().await.text != text {}
    }

    /// Stops everything while nobody takes lines any more; what was told from then on.
    pub(crate) async fn down(self) -> Vec<String> {
        timeout(NEVER, self.down_at_any_time()).await.expect("everything to stop")
    }

    /// The same for tests whose clock is paused.
    pub(crate) async fn down_at_any_time(mut self) -> Vec<String> {
        self.supervisor.stop(Keep::Nothing).await;
        let mut seen = Vec::new();
        while let Some(event) = self.events.recv().await {
            seen.push(event.to_string());
        }
        seen
    }
}

/// A service that runs `command` and has no ports.
pub(crate) fn service(name: &str, command: &str) -> Service {
    Service {
        name: name.into(),
        source: Source::Command(command.to_owned()),
        ports: Vec::new(),
        traffic_matches: Vec::new(),
        env_vars: Vec::new(),
        work_dir: None,
        replicas: 1,
        requires: Vec::new(),
        stop_grace: Duration::from_secs(10),
        health: Health::None,
        constraints: Constraints::default(),
        volumes: Vec::new(),
        tags: Vec::new(),
        annotations: Vec::new(),
        workload: Workload::default(),
        security_context: SecurityContext::default(),
        post_start_command: None,
        pre_stop_command: None,
        deploy_command: None,
        log_folder: None,
        service_account_name: None,
        balance: Balance::default(),
        sticky: Sticky::default(),
        proxy_protocol: None,
        slow_start: None,
        rebalance: None,
        websocket: WebSocket::default(),
    }
}

/// A container port that only the gateway reaches.
pub(crate) fn port(container: u16) -> Port {
    Port { container, websocket: None, http: None, https: None, tcp: None, udp: None, tls: None }
}

/// A check with the documented defaults, except that tests do not wait for the first and look often.
pub(crate) fn check(kind: CheckKind) -> Check {
    Check {
        kind,
        port: None,
        timeout: Duration::from_secs(5),
        success_threshold: 1,
        failure_threshold: 1,
        initial_delay: Duration::ZERO,
        period: Duration::from_millis(50),
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Whether this process still runs (a zombie does not).
pub(crate) fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
