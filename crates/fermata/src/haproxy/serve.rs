//! A file whose load balancer `HAProxy` is, for as long as it runs: one task owns it, and does one thing at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fermata_spec::{Severity, Spec};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::engine::{Duty, Engine};
use super::figures::{Kind, Row};
use super::folder::{Folder, Wanted};
use super::program::Program;
use crate::admin::{
    Asked, Asking, ControlSocket, InstanceRow, PortRow, Reply, Request, ServiceRow, Status, Target, TunnelFigures,
};
use crate::render::{ENDING, Front, Paths, fronts, haproxy_with};
use crate::run::StateLock;

/// How long connections may take to end when everything stops.
const STOP: Duration = Duration::from_secs(5);
/// Pauses before it is started again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// Changes that come together are looked at together.
const SETTLE: Duration = Duration::from_millis(200);
/// A certificate and its key come one after the other, perhaps in two uploads.
const PAIRING: Duration = Duration::from_secs(1);

/// Something to say while it runs.
#[derive(Debug)]
pub enum Notice {
    /// A line of `HAProxy`'s own.
    Line(String),
    /// Something that was done.
    Done(String),
    /// Something that somebody should look at.
    Warning(String),
    /// It takes connections.
    Ready {
        /// Which `HAProxy`.
        version: String,
        /// How many servers it has.
        servers: usize,
        /// Its ports.
        fronts: Vec<Front>,
    },
    /// The end has begun.
    Stopping,
}

/// Reads and checks the file again; an error is what is wrong with it, for people.
pub type Reread = Box<dyn Fn() -> Result<Spec, String>>;

/// Takes the files whose change is to be one more value of `reload`, instead of those that it took before.
pub type Watch = Box<dyn Fn(&[PathBuf])>;

/// What comes from outside.
pub struct Outside {
    /// Where there is something to say.
    pub notices: mpsc::Sender<Notice>,
    /// The file.
    pub file: PathBuf,
    /// Its folder, for what it names.
    pub folder: PathBuf,
    /// The state folder.
    pub state: PathBuf,
    /// Where programs are looked for first (PATH).
    pub search: String,
    /// How the file is read again.
    pub reread: Reread,
    /// How other files are watched.
    pub watch: Watch,
    /// A value for each time that it should be read again.
    pub reload: mpsc::Receiver<()>,
    /// A value for each time that it should end.
    pub stops: mpsc::Receiver<()>,
}

/// A running load balancer.
struct Balancer {
    spec: Spec,
    folder: Folder,
    engine: Engine,
    outside: Outside,
    since: Instant,
    /// What has been said about the file.
    said: Vec<String>,
    /// Servers that get nothing new.
    drained: BTreeSet<String>,
    /// Connections to drained servers that are cut later.
    cuts: JoinSet<()>,
}

/// Runs `HAProxy` for a checked file until somebody asks for the end.
pub async fn run(spec: Spec, outside: Outside) -> Result<(), String> {
    let program = Program::find(&outside.search).await.map_err(|missing| missing.to_string())?;
    let lock = StateLock::take(&outside.state).map_err(|error| error.to_string())?;
    let unusable =
        |error: std::io::Error| format!("the state folder {} cannot be used: {error}", outside.state.display());
    let folder = Folder::of(&outside.state).map_err(unusable)?;
    let Demand { wanted, said, files } = demand(&spec, &folder, &outside.folder)?;
    let control = ControlSocket::bind(&outside.state).map_err(unusable)?;
    let engine = Engine::start(program, folder.clone(), wanted, outside.notices.clone()).await?;
    // One that an earlier Fermata has left may have some.
    let drained = engine.drained().await;
    let (since, cuts) = (Instant::now(), JoinSet::new());
    let mut balancer = Balancer { spec, folder, engine, outside, since, said: Vec::new(), drained, cuts };
    (balancer.outside.watch)(&files);
    balancer.remark(said).await;
    balancer.tell_ready().await;
    balancer.serve(control).await;
    balancer.say(Notice::Stopping).await;
    balancer.engine.stop(STOP).await;
    drop(lock);
    Ok(())
}

/// The configuration of a file, as it would be used.
pub fn configuration(spec: &Spec) -> Result<String, String> {
    text(spec, &Paths::default()).map(|(text, _)| text)
}

/// What a file asks of `HAProxy`.
struct Demand {
    wanted: Wanted,
    /// What it does otherwise than the file says.
    said: Vec<String>,
    /// The files that it names.
    files: Vec<PathBuf>,
}

/// What a file in `folder` asks for.
fn demand(spec: &Spec, own: &Folder, folder: &Path) -> Result<Demand, String> {
    if spec.tls.acme.is_some() {
        return Err(
            "tls.acme: HAProxy asks no authority for certificates: name them under tls.certificates, or write \
                    load_balancer.engine: builtin"
                .into(),
        );
    }
    let show = |path: PathBuf| path.display().to_string();
    let paths = Paths {
        socket: show(own.socket()),
        certificates: show(own.certificates()),
        ending: show(own.ending()),
        folder: Some(show(folder.to_owned())),
        states: Some(show(own.states())),
    };
    let (text, said) = text(spec, &paths)?;
    let mut files = Vec::new();
    let mut read = |name: &String| {
        let path = folder.join(name);
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        files.push(path);
        Ok::<_, String>(bytes)
    };
    let pair = |one: &fermata_spec::Certificate| Ok([read(&one.cert)?, b"\n".to_vec(), read(&one.key)?].concat());
    let certificates = spec.tls.certificates.iter().map(pair).collect::<Result<_, String>>()?;
    let pages = spec.load_balancer.iter().flat_map(|balancer| &balancer.haproxy.errorfiles);
    let pages = pages.map(|(_, name)| read(name)).collect::<Result<_, String>>()?;
    Ok(Demand { wanted: Wanted { text, certificates, pages }, said, files })
}

/// The configuration, and what is to be said about it.
fn text(spec: &Spec, paths: &Paths) -> Result<(String, Vec<String>), String> {
    let rendered = haproxy_with(spec, paths);
    let all_of = |severity: Severity| {
        let some = rendered.said.iter().filter(|one| one.severity == severity);
        some.map(|one| format!("{}: {}; {}", one.path, one.message, one.help.as_deref().unwrap_or_default())).collect()
    };
    let errors: Vec<String> = all_of(Severity::Error);
    let said = all_of(Severity::Warning);
    match rendered.files.into_iter().next() {
        Some(file) if errors.is_empty() => Ok((file.text, said)),
        _ => Err(errors.join("\n")),
    }
}

impl Balancer {
    async fn say(&self, notice: Notice) {
        // Without a listener there is nobody to tell; everything goes on.
        let _ = self.outside.notices.send(notice).await;
    }

    async fn tell_ready(&self) {
        let fronts = fronts(&self.spec);
        let servers = self.spec.load_balancer.as_ref().map_or(0, |balancer| balancer.servers.len());
        self.say(Notice::Ready { version: self.engine.program.version.clone(), servers, fronts }).await;
    }

    /// Until somebody asks for the end.
    async fn serve(&mut self, control: ControlSocket) {
        let (asked, mut asks) = mpsc::channel(16);
        let mut serving = JoinSet::new();
        serving.spawn_local(control.serve(asked));
        loop {
            tokio::select! {
                _ = self.outside.stops.recv() => return,
                Some(()) = self.outside.reload.recv() => {
                    let notice = self.follow().await.map_or_else(Notice::Warning, Notice::Done);
                    self.say(notice).await;
                }
                Some(Asked { request, asking }) = asks.recv() => {
                    if self.answer(request, asking).await {
                        return;
                    }
                }
                how = self.engine.ended() => {
                    if self.revive(&how).await {
                        return;
                    }
                }
                Some(_) = self.cuts.join_next() => {}
            }
        }
    }

    /// Starts it again until that works; whether somebody has asked for the end meanwhile.
    async fn revive(&mut self, how: &str) -> bool {
        let (mut how, mut pause) = (format!("HAProxy has ended by itself ({how})"), FIRST_PAUSE);
        loop {
            self.say(Notice::Warning(format!("{how}; it is started again in {} s", pause.as_secs()))).await;
            tokio::select! {
                _ = self.outside.stops.recv() => return true,
                () = sleep(pause) => {}
            }
            match self.engine.restart().await {
                Ok(()) => {
                    for server in &self.drained {
                        // One that has left the file has nothing to take.
                        let _ = self.engine.assign(server, Duty::Drain).await;
                    }
                    self.say(Notice::Done("HAProxy runs again".into())).await;
                    return false;
                }
                Err(error) => how = error,
            }
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// A file has changed.
    async fn follow(&mut self) -> Result<String, String> {
        sleep(SETTLE).await;
        // What came meanwhile is about to be seen.
        let _ = self.outside.reload.try_recv();
        let before = self.spec.clone();
        let outcome = self.reload().await;
        // The file itself is written in one piece; what it names comes in pieces.
        let is_the_same = || (self.outside.reread)().is_ok_and(|spec| spec == before);
        if outcome.is_ok() || !is_the_same() {
            return outcome;
        }
        sleep(PAIRING).await;
        self.reload().await
    }

    async fn reload(&mut self) -> Result<String, String> {
        let spec = (self.outside.reread)()?;
        let Demand { wanted, said, files } = demand(&spec, &self.folder, &self.outside.folder)?;
        let done = self.engine.change(wanted).await?;
        self.spec = spec;
        (self.outside.watch)(&files);
        self.remark(said).await;
        Ok(done + &self.have_back().await)
    }

    /// Says what has not been said before.
    async fn remark(&mut self, said: Vec<String>) {
        for one in said.iter().filter(|one| !self.said.contains(one)) {
            self.say(Notice::Warning(one.clone())).await;
        }
        self.said = said;
    }

    /// Servers that were drained take their share again, as they do where Fermata itself balances.
    async fn have_back(&mut self) -> String {
        let mut back = Vec::new();
        for server in std::mem::take(&mut self.drained) {
            // One that has left the file has nothing to take.
            if self.engine.assign(&server, Duty::Ready).await.is_ok() {
                back.push(server);
            }
        }
        if back.is_empty() { String::new() } else { format!("; {} again", back.join(", ")) }
    }

    /// Answers one request; whether it is to end.
    async fn answer(&mut self, request: Request, asking: Asking) -> bool {
        match request {
            Request::Status => match self.status().await {
                Ok(status) => drop(asking.reply(Reply::Status(status)).await),
                Err(error) => asking.refuse(format!("HAProxy does not tell: {error}")).await,
            },
            Request::Reload => match self.reload().await {
                Ok(done) => {
                    self.say(Notice::Done(done.clone())).await;
                    asking.done(done).await;
                }
                Err(reason) => asking.refuse(reason).await,
            },
            Request::Drain { target: Target(server), over } => match self.drain(&server, over).await {
                Ok(done) => {
                    self.say(Notice::Done(done.clone())).await;
                    asking.done(done).await;
                }
                Err(reason) => asking.refuse(reason).await,
            },
            Request::Stop { .. } => {
                asking.done("stopping").await;
                return true;
            }
            _ => {
                let way = "fermata status, drain, reload and stop are what it can be asked";
                asking.refuse(format!("HAProxy is the load balancer here, and has no answer to that; {way}")).await;
            }
        }
        false
    }

    /// Until the next reload a server gets nothing new.
    async fn drain(&mut self, server: &str, over: Option<Duration>) -> Result<String, String> {
        let rows = self.engine.assign(server, Duty::Drain).await?;
        let where_to = rows.iter().map(|row| row.proxy.as_str()).collect::<Vec<_>>().join(", ");
        let live: u32 = rows.iter().map(|row| row.live).sum();
        let after = match over {
            None => "go on until they end".to_owned(),
            Some(over) => {
                let cut = self.engine.cut(&rows);
                self.cuts.spawn_local(async move {
                    sleep(over).await;
                    cut.await;
                });
                format!("are cut after {} s, without a Close frame: HAProxy knows none", over.as_secs_f32())
            }
        };
        self.drained.insert(server.to_owned());
        Ok(format!(
            "{server} gets nothing new in {where_to} until the next fermata reload; its {live} connections {after}"
        ))
    }

    async fn status(&self) -> std::io::Result<Status> {
        let rows = self.engine.figures().await?;
        let uptime = self.engine.uptime().await;
        let backends = rows.iter().filter(|row| row.kind == Kind::Backend && row.proxy != ENDING);
        let services = backends.map(|backend| ServiceRow {
            name: backend.proxy.clone(),
            tunnels: backend.live,
            instances: rows
                .iter()
                .filter(|row| row.kind == Kind::Server && row.proxy == backend.proxy)
                .map(instance)
                .collect(),
        });
        let entrances = || rows.iter().filter(|row| row.kind == Kind::Frontend);
        // What it has given to itself has come in twice.
        let ending = rows.iter().find(|row| row.kind == Kind::Backend && row.proxy == ENDING);
        let twice = ending.cloned().unwrap_or_default();
        let sum =
            |side: usize| entrances().map(|front| front.bytes[side]).sum::<u64>().saturating_sub(twice.bytes[side]);
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime: self.since.elapsed().as_secs(),
            file: self.outside.file.display().to_string(),
            engine: Some(format!(
                "HAProxy {} (pid {}), up {} s, reloaded {} times",
                self.engine.program.version,
                self.engine.pid(),
                uptime.unwrap_or_default(),
                self.engine.reloads
            )),
            ports: fronts(&self.spec).into_iter().map(port).collect(),
            services: services.collect(),
            ready: rows.iter().any(|row| row.kind == Kind::Server && row.status.starts_with("UP")),
            tunnels: TunnelFigures {
                live: entrances().map(|front| u64::from(front.live)).sum::<u64>().saturating_sub(twice.live.into()),
                ended: BTreeMap::new(),
                bytes: [sum(0), sum(1)],
                messages: [0, 0],
            },
        })
    }
}

fn instance(row: &Row) -> InstanceRow {
    InstanceRow {
        name: row.name.clone(),
        state: row.state(),
        address: row.address.clone(),
        live: row.live,
        uptime: row.since,
        restarts: row.downs,
        health: None,
        reason: None,
        cpu: None,
        memory: None,
        image: None,
    }
}

fn port(front: Front) -> PortRow {
    PortRow { scheme: front.scheme.into(), port: front.port, services: front.backends }
}
