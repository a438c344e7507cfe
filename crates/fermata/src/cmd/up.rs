//! `fermata up`: read the file, check it, start everything, and say what happens until the end.

use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use fermata_spec::Spec;
use rustix::stdio::dup2_stdin;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::bar::Bar;
use super::file::{self, Loaded};
use super::{Answer, Failure, label};
use crate::app::{self, Place, Prepared};
use crate::cli::{Run, Up};
use crate::handover::Heir;
use crate::limits;
use crate::listening::Bound;
use crate::page;
use crate::public::{PublicPort, Scheme, public_ports};
use crate::run::{Event, Keepsake, Progress, StateLock, databases, foresee};
use crate::running::{self, Ended, Notice, Origin, Outside};
use crate::systemd;

/// What is made of a file before it runs.
#[derive(Clone, Copy)]
pub(super) struct Role {
    /// The command that does it.
    pub(super) command: &'static str,
    /// What runs of a file; an error is why nothing can, for people.
    pub(super) part: fn(&Spec) -> Result<Spec, String>,
    /// Whether the databases of the file run too.
    pub(super) databases: bool,
}

impl Role {
    /// What runs of this file.
    fn of(self, spec: &Spec, place: &Place) -> Result<Spec, String> {
        let spec = (self.part)(spec)?;
        // Volumes of containers are absolute paths.
        let state = std::path::absolute(&place.state).unwrap_or_else(|_| place.state.clone());
        Ok(if self.databases { databases::with_databases(spec, &state) } else { spec })
    }
}

/// All of it, as it is.
const UP: Role = Role { command: "up", part: |spec| Ok(spec.clone()), databases: false };

/// Runs it.
pub fn run(args: &Up) -> Result<Answer, Failure> {
    run_as(&args.run, Role { databases: args.with_databases, ..UP })
}

/// Runs what a command makes of a file.
pub(super) fn run_as(args: &Run, role: Role) -> Result<Answer, Failure> {
    if args.successor {
        return succeed(args, role);
    }
    let Some(Loaded { path, spec }) = file::load(args.file.as_deref())? else { return Ok(Answer::No) };
    let place = place(args, &path)?;
    let spec = role.of(&spec, &place).map_err(no)?;
    let note = databases::note(&spec);
    if args.dry_run {
        if let Some(note) = &note {
            anstream::eprintln!("note: {note}");
        }
        let plan = app::plan(&spec, &place).map_err(no)?;
        anstream::println!("{plan}");
        for port in public_ports(&spec) {
            anstream::println!("listen  {port}");
        }
        let (runtime, _local) = runtime()?;
        match runtime.block_on(foresee(&plan, &place.state)) {
            Ok(all) => all.iter().for_each(|one| anstream::println!("\n{one}")),
            Err(why) => anstream::eprintln!("note: what there is of its containers is not known: {why}"),
        }
        return Ok(Answer::Yes);
    }
    log();
    limits::raise();
    let lock = StateLock::take(&place.state).map_err(no)?;
    let mut prepared = Prepared::new(spec, &place, &Bound::default()).map_err(no)?;
    prepared.warnings.extend(note);
    let (runtime, local) = runtime()?;
    local.block_on(&runtime, hold(role, path, place, prepared, Origin::Fresh(lock)))
}

/// Takes the place of a running Fermata, which is at the other end of the standard input. What it cannot do, that one is
/// told, and tells it.
fn succeed(args: &Run, role: Role) -> Result<Answer, Failure> {
    log();
    limits::raise();
    let path = file::find(args.file.as_deref())?;
    let mut place = place(args, &path)?;
    let (runtime, local) = runtime()?;
    local.block_on(&runtime, async {
        let channel = std::io::stdin().as_fd().try_clone_to_owned().map_err(no)?;
        // It is closed when this end is.
        std::fs::File::open("/dev/null").and_then(|null| Ok(dup2_stdin(null)?)).map_err(no)?;
        let (mut heir, begin) = Heir::meet(channel)
            .await
            .map_err(|error| Failure::Usage(format!("--successor is for fermata upgrade alone: {error}")))?;
        let drawn = begin.said.drawn.iter();
        place.drawn.extend(drawn.map(|(service, name, text)| ((service.clone(), name.clone()), text.clone())));
        let before = running::bound_before(begin);
        let spec = file::reread(&path).and_then(|spec| role.of(&spec, &place));
        let prepared = spec.and_then(|spec| Prepared::new(spec, &place, &before).map_err(|error| error.to_string()));
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(why) => {
                heir.refuse(&why).await;
                return Ok(Answer::No);
            }
        };
        drop(before);
        let inherited = heir.inherit().await.map_err(no)?;
        Box::pin(hold(role, path, place, prepared, Origin::Inherited(heir, Box::new(inherited)))).await
    })
}

fn place(args: &Run, path: &Path) -> Result<Place, Failure> {
    let state = super::state_dir(args.state_dir.as_deref());
    let folder = folder_of(path)?;
    let drawn = Keepsake::of(&state, &folder).read();
    Ok(Place { folder, state, drawn })
}

pub(super) fn runtime() -> Result<(Runtime, LocalSet), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no)?;
    Ok((runtime, LocalSet::new()))
}

/// Runs a prepared file to its end.
async fn hold(role: Role, path: PathBuf, place: Place, prepared: Prepared, origin: Origin) -> Result<Answer, Failure> {
    let voice = Voice { tester: prepared.spec.gateway.tester, bind: prepared.spec.gateway.bind.clone() };
    let stops = stop_signals().map_err(no)?;
    let (notices, heard) = mpsc::channel(256);
    let speaking = tokio::task::spawn_local(speak(voice, heard));
    let (changed, reload) = mpsc::channel(1);
    let _watch = file::watch(&path, changed.clone());
    reload_on_hangup(changed.clone()).map_err(no)?;
    let again = [role.command.into(), "--state-dir".into(), place.state.clone().into(), "--successor".into()];
    let databases = role.databases.then(|| "--with-databases".into());
    let again = again.into_iter().chain(databases).chain(["--".into(), path.clone().into()]).collect();
    let reread = Box::new({
        let (place, path) = (place.clone(), path.clone());
        move || file::reread(&path).and_then(|spec| role.of(&spec, &place))
    });
    let outside = Outside { notices, file: path, reread, again, reload, reload_too: changed };
    let outcome = Box::pin(running::run(prepared, place, origin, outside, stops)).await;
    // Everything that was said is printed before the end.
    let _ = speaking.await;
    match outcome.map_err(no)? {
        Ended::Well => Ok(Answer::Yes),
        Ended::AtOnce => Err(no("stopped at once: tunnels and requests were cut, and services killed")),
        Ended::As(Some(code)) => Ok(Answer::As(u8::try_from(code).unwrap_or(u8::MAX))),
        Ended::As(None) => Err(no("the fermata that took over has ended, and nobody told how")),
    }
}

pub(super) fn no(error: impl std::fmt::Display) -> Failure {
    Failure::No(error.to_string())
}

/// SIGHUP reads the file again, as for daemons since ever.
pub(super) fn reload_on_hangup(changed: mpsc::Sender<()>) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::task::spawn_local(async move { while hangup.recv().await.is_some() && changed.send(()).await.is_ok() {} });
    Ok(())
}

pub(super) fn folder_of(path: &Path) -> Result<PathBuf, Failure> {
    let whole = std::path::absolute(path).map_err(no)?;
    Ok(whole.parent().unwrap_or(Path::new("/")).to_owned())
}

/// One line per tunnel's end and per refusal, on stderr; `RUST_LOG` chooses otherwise.
pub(super) fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second `up` in one process (as in tests) keeps the first one's log.
    let _ = subscriber.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init();
}

/// A value for each Ctrl-C or SIGTERM.
pub(super) fn stop_signals() -> std::io::Result<mpsc::Receiver<()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (stop, stops) = mpsc::channel(2);
    tokio::task::spawn_local(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(stops)
}

/// What the lines need to know of the file.
struct Voice {
    tester: Option<bool>,
    bind: Vec<std::net::IpAddr>,
}

async fn speak(voice: Voice, mut notices: mpsc::Receiver<Notice>) {
    let mut bar = Bar::of_stdout();
    while let Some(notice) = notices.recv().await {
        if let Notice::Instance(Event::Progress { about, progress: Progress { text, share: Some(share) } }) = &notice {
            let whose = about.as_ref().map(|instance| format!("{instance}: ")).unwrap_or_default();
            if bar.draw(&format!("{whose}{text}"), *share) || !share.is_tenth {
                continue;
            }
        }
        bar.clear();
        match notice {
            Notice::Line(line) => say(&label(&line.instance.to_string()), &line.text),
            Notice::Instance(event) => say(&label("fermata"), &event.to_string()),
            Notice::Done(text) => say(&label("fermata"), &text),
            Notice::Warning(text) => {
                let yellow = AnsiColor::Yellow.on_default().bold();
                say(&label("fermata"), &format!("{yellow}warning{yellow:#}: {text}"));
            }
            Notice::Ready(ports) => {
                voice.ready(&ports);
                systemd::tell(systemd::State::Ready);
            }
            Notice::TakenOver { from, tunnels, instances } => {
                let what = format!("{tunnels} tunnels and {instances} instances go on here");
                say(&label("fermata"), &format!("has taken over from process {from}: {what}"));
                systemd::tell(systemd::State::Ready);
            }
            Notice::Stopping { tunnels: 0 } => {
                systemd::tell(systemd::State::Stopping);
                say(&label("fermata"), "stopping");
            }
            Notice::Stopping { tunnels } => {
                systemd::tell(systemd::State::Stopping);
                say(&label("fermata"), &format!("stopping; {tunnels} tunnels are told so (Close 1001)"));
            }
        }
    }
}

impl Voice {
    fn ready(&self, ports: &[PublicPort]) {
        let bold = Style::new().bold();
        for port in ports {
            say(&label("fermata"), &format!("{bold}{}{bold:#}  {}", self.url(port), port.behind()));
        }
        if let Some(page) = self.tester(ports) {
            say(&label("fermata"), &format!("try it in a browser: {bold}{page}{bold:#}"));
        }
        let green = AnsiColor::Green.on_default().bold();
        // The contract: a line that starts with `ready`.
        anstream::println!("{green}ready{green:#}  Ctrl-C stops");
        let _ = anstream::stdout().flush();
    }

    fn host(&self) -> String {
        match self.bind.iter().find(|ip| !ip.is_unspecified()) {
            Some(std::net::IpAddr::V6(ip)) => format!("[{ip}]"),
            Some(ip) => ip.to_string(),
            None => "localhost".into(),
        }
    }

    fn url(&self, port: &PublicPort) -> String {
        format!("{}://{}:{}", port.scheme.name(), self.host(), port.port)
    }

    fn tester(&self, ports: &[PublicPort]) -> Option<String> {
        let on = self.tester.unwrap_or_else(|| self.bind.iter().any(|ip| ip.is_loopback() || ip.is_unspecified()));
        let port = ports.iter().filter(|port| on && !port.services.is_empty()).find_map(|port| match port.scheme {
            Scheme::Http => Some(("http", port.port)),
            Scheme::Https => Some(("https", port.port)),
            Scheme::Tls | Scheme::Tcp | Scheme::Udp => None,
        });
        port.map(|(scheme, port)| format!("{scheme}://{}:{port}{}", self.host(), page::TESTER_PATH))
    }
}

pub(super) fn say(label: &str, text: &str) {
    anstream::println!("{label} {text}");
    let _ = anstream::stdout().flush();
}
