//! One `HAProxy` and the configuration that it runs with.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::change::{self, Change};
use super::figures::{self, Kind, Row};
use super::folder::{Folder, Wanted};
use super::master::{Master, is_short};
use super::program::Program;
use super::serve::Notice;
use super::socket;

/// How long it may take to come up, and how often it is asked whether it is.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);
/// Lines of its that are remembered, for when it fails.
const REMEMBERED: usize = 12;
/// The form of a file of states without states (its management guide, `show servers state`).
const NO_STATES: &str = "1\n";

/// A running `HAProxy`.
pub(super) struct Engine {
    pub(super) program: Program,
    folder: Folder,
    used: Wanted,
    master: Master,
    voice: Voice,
    /// How often it has read a new configuration.
    pub(super) reloads: u32,
}

/// What `HAProxy` says by itself.
struct Voice {
    /// It is little, and must not have to wait until somebody hears it: it answers nothing meanwhile.
    says: mpsc::UnboundedSender<String>,
    said: mpsc::UnboundedReceiver<String>,
    last: VecDeque<String>,
    notices: mpsc::Sender<Notice>,
}

/// A master has not read its configuration (its management guide, 4: it "will enter in waitpid mode").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Failure;

/// What a server is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    /// Take its share.
    Ready,
    /// Take nothing new.
    Drain,
}

impl Duty {
    fn word(self) -> &'static str {
        match self {
            Duty::Ready => "ready",
            Duty::Drain => "drain",
        }
    }
}

impl Engine {
    /// Starts one, or takes over what an earlier Fermata has left.
    pub(super) async fn start(
        program: Program,
        folder: Folder,
        wanted: Wanted,
        notices: mpsc::Sender<Notice>,
    ) -> Result<Engine, String> {
        if !is_short(&folder.master()) {
            return Err(format!(
                "the path {} is too long for a socket: choose a shorter --state-dir",
                folder.master().display()
            ));
        }
        check(&program, &folder, &wanted).await?;
        let (says, said) = mpsc::unbounded_channel();
        let mut voice = Voice { says, said, last: VecDeque::new(), notices };
        let mut before = None;
        let mut master = if let Some(master) = Master::left_behind(&folder).await {
            before = worker(&folder).await;
            keep_states(&folder).await?;
            settle(&folder, &wanted)?;
            master.reload().map_err(|error| error.to_string())?;
            master
        } else {
            folder.keep_states(NO_STATES).map_err(|error| error.to_string())?;
            settle(&folder, &wanted)?;
            spawn(&program, &folder, &voice)?
        };
        come_up(&mut master, &folder, &mut voice, before).await?;
        Ok(Engine { program, folder, used: wanted, master, voice, reloads: 0 })
    }

    /// The pid of its master.
    pub(super) fn pid(&self) -> u32 {
        self.master.pid()
    }

    /// Passes on what it says; returns when it has ended, with how it did.
    pub(super) async fn ended(&mut self) -> String {
        let Engine { master, voice, .. } = self;
        loop {
            tokio::select! {
                biased;
                Some(line) = voice.said.recv() => voice.hear(line).await,
                how = master.end() => return how,
            }
        }
    }

    /// Starts it again, as it was; what it knew of its servers went with it.
    pub(super) async fn restart(&mut self) -> Result<(), String> {
        self.folder.keep_states(NO_STATES).map_err(|error| error.to_string())?;
        self.master = spawn(&self.program, &self.folder, &self.voice)?;
        come_up(&mut self.master, &self.folder, &mut self.voice, None).await
    }

    /// Takes it to another configuration; tells what was done, or why nothing has changed.
    pub(super) async fn change(&mut self, wanted: Wanted) -> Result<String, String> {
        let change = if self.has_read_the_files_of(&wanted) {
            change::between(&self.used.text, &wanted.text)
        } else {
            Change::Reload
        };
        if change == Change::Nothing {
            return Ok("nothing has changed".into());
        }
        check(&self.program, &self.folder, &wanted).await?;
        if let Change::Commands(commands) = change
            && self.say(&commands).await.is_ok()
        {
            settle(&self.folder, &wanted)?;
            self.used = wanted;
            return Ok(format!("changed while HAProxy runs: {}", commands.join(", ")));
        }
        self.reload(&wanted).await?;
        self.used = wanted;
        self.reloads += 1;
        Ok("HAProxy has read the new configuration; open connections stay with the older process".into())
    }

    /// Whether the files that a configuration names are as it has read them.
    pub(super) fn has_read_the_files_of(&self, wanted: &Wanted) -> bool {
        wanted.certificates == self.used.certificates && wanted.pages == self.used.pages
    }

    /// Has it read `wanted`; where it cannot, it goes on with what it has.
    async fn reload(&mut self, wanted: &Wanted) -> Result<(), String> {
        let before = worker(&self.folder).await;
        keep_states(&self.folder).await?;
        settle(&self.folder, wanted)?;
        self.master.reload().map_err(|error| error.to_string())?;
        let came = come_up(&mut self.master, &self.folder, &mut self.voice, before).await;
        if came.is_err() {
            settle(&self.folder, &self.used)?;
            // It works as it is; with this its master has the old configuration again as well.
            let _ = self.master.reload();
        }
        came
    }

    async fn say(&self, commands: &[String]) -> Result<(), String> {
        for command in commands {
            let answer = socket::ask(&self.folder.socket(), command).await.map_err(|error| error.to_string())?;
            if !answer.is_empty() {
                return Err(format!("HAProxy answered {command} with: {answer}"));
            }
        }
        Ok(())
    }

    /// What it counts.
    pub(super) async fn figures(&self) -> io::Result<Vec<Row>> {
        Ok(figures::read(&socket::ask(&self.folder.socket(), "show stat").await?))
    }

    /// Seconds since its worker began.
    pub(super) async fn uptime(&self) -> Option<u64> {
        socket::number(&socket::ask(&self.folder.socket(), "show info").await.ok()?, "Uptime_sec")
    }

    /// The servers that get nothing new.
    pub(super) async fn drained(&self) -> BTreeSet<String> {
        // One that does not tell has no memory of any.
        let answer = socket::ask(&self.folder.socket(), "show servers state").await;
        answer.map(|answer| figures::drained(&answer)).unwrap_or_default()
    }

    /// Gives a server another duty wherever it is; returns its rows as they were.
    pub(super) async fn assign(&self, server: &str, duty: Duty) -> Result<Vec<Row>, String> {
        let rows = self.figures().await.map_err(|error| error.to_string())?;
        let own: Vec<Row> = rows.iter().filter(|row| row.kind == Kind::Server && row.name == server).cloned().collect();
        if own.is_empty() {
            let mut names: Vec<&str> =
                rows.iter().filter(|row| row.kind == Kind::Server).map(|row| row.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            return Err(format!("there is no server \"{server}\"; there are {}", names.join(", ")));
        }
        let place = |row: &Row| format!("{}/{}", row.proxy, row.name);
        let commands: Vec<String> =
            own.iter().map(|row| format!("set server {} state {}", place(row), duty.word())).collect();
        self.say(&commands).await?;
        Ok(own)
    }

    /// What cuts the connections to a server.
    pub(super) fn cut(&self, rows: &[Row]) -> impl Future<Output = ()> + use<> {
        let socket = self.folder.socket();
        let commands: Vec<String> =
            rows.iter().map(|row| format!("shutdown sessions server {}/{}", row.proxy, row.name)).collect();
        async move {
            for command in commands {
                // A server that has left meanwhile has nothing to cut.
                let _ = socket::ask(&socket, &command).await;
            }
        }
    }

    /// Takes nothing new; ends with the last connection, or after `patience`.
    pub(super) async fn stop(mut self, patience: Duration) {
        // One that has ended already is what is wanted.
        let _ = self.master.finish();
        if tokio::time::timeout(patience, self.ended()).await.is_err() {
            let _ = self.master.terminate();
            let _ = tokio::time::timeout(patience, self.ended()).await;
        }
    }
}

impl Voice {
    async fn hear(&mut self, line: String) {
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(line.clone());
        // Whoever hears nothing any more misses a line.
        let _ = self.notices.send(Notice::Line(line)).await;
    }

    /// Hears what was said so far; whether a failure was among it.
    async fn catch_up(&mut self) -> Option<Failure> {
        let mut failure = None;
        while let Ok(line) = self.said.try_recv() {
            failure = failure.or(line.contains("waitpid mode").then_some(Failure));
            self.hear(line).await;
        }
        failure
    }

    /// Hears what one that has ended said last: its end may be seen before that is.
    async fn hear_out(&mut self, master: &mut Master) {
        let mut silence = std::pin::pin!(master.silence());
        loop {
            tokio::select! {
                biased;
                Some(line) = self.said.recv() => self.hear(line).await,
                () = &mut silence => return,
            }
        }
    }

    fn last_words(&self) -> String {
        self.last.iter().map(|line| format!("\n{line}")).collect()
    }
}

async fn check(program: &Program, folder: &Folder, wanted: &Wanted) -> Result<(), String> {
    let proposed = folder.propose(wanted).map_err(|error| format!("cannot write HAProxy's configuration: {error}"))?;
    program
        .check(&proposed)
        .await
        .map_err(|said| format!("HAProxy does not take this configuration, and nothing was changed:\n{said}"))
}

fn settle(folder: &Folder, wanted: &Wanted) -> Result<(), String> {
    folder.settle(wanted).map_err(|error| format!("cannot write HAProxy's configuration: {error}"))
}

fn spawn(program: &Program, folder: &Folder, voice: &Voice) -> Result<Master, String> {
    Master::start(program, folder, voice.says.clone())
        .map_err(|error| format!("{} cannot be started: {error}", program.path.display()))
}

/// The pid of the process that answers for new connections.
async fn worker(folder: &Folder) -> Option<u64> {
    socket::number(&socket::ask(&folder.socket(), "show info").await.ok()?, "Pid")
}

/// Which servers are drained, down or slow is not forgotten.
async fn keep_states(folder: &Folder) -> Result<(), String> {
    // One that does not answer has no states; then the checks find them out anew.
    let states = socket::ask(&folder.socket(), "show servers state").await.unwrap_or_default();
    let states = if states.starts_with('1') { states + "\n" } else { NO_STATES.to_owned() };
    folder.keep_states(&states).map_err(|error| error.to_string())
}

/// Waits until a worker of the master answers that is another than `before`.
async fn come_up(master: &mut Master, folder: &Folder, voice: &mut Voice, before: Option<u64>) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Its master has failed to read the new configuration, and goes on with the old worker.
        if voice.catch_up().await == Some(Failure) && before.is_some() {
            return Err(format!(
                "HAProxy could not begin with the new configuration, and goes on with the old:{}",
                voice.last_words()
            ));
        }
        let fresh = worker(folder).await.filter(|pid| Some(*pid) != before);
        if let Some(worker) = fresh
            && master.has(folder, worker).await
        {
            return Ok(());
        }
        tokio::select! {
            how = master.end() => {
                voice.hear_out(master).await;
                return Err(format!("HAProxy did not start ({how}):{}", voice.last_words()));
            }
            () = sleep(LOOK) => {}
        }
        if Instant::now() > deadline {
            return Err(format!("HAProxy did not come up within {} s:{}", PATIENCE.as_secs(), voice.last_words()));
        }
    }
}
