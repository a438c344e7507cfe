//! The new process as the old one sees it: called, and told everything, until it has taken over or has failed.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::timeout;

use super::channel::{Channel, Message};
use super::child::{Child, Parent};
use super::manifest::{Answer, Begin, Estate, Hello, VERSION, Word};
use crate::tunnel::Frozen;

/// A program that is asked for its version answers at once.
const VERSION_WITHIN: Duration = Duration::from_secs(5);
/// Reading a file and binding its new ports takes less.
const PREPARED_WITHIN: Duration = Duration::from_secs(30);
/// Meanwhile nothing moves: who takes longer has failed.
const MOVED_WITHIN: Duration = Duration::from_secs(10);
/// Tunnels in one message, of two sockets each.
const TOGETHER: usize = 120;

/// Whom to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The program.
    pub program: PathBuf,
    /// What it is called with.
    pub arguments: Vec<OsString>,
    /// Whose child it becomes.
    pub parent: Parent,
}

/// A process that is prepared to take over.
#[derive(Debug)]
pub struct Successor {
    child: Child,
    channel: Channel,
    fermata: String,
}

impl Call {
    /// Starts the program and has it prepare itself; an error says why that was nothing, and nothing has changed.
    pub async fn make(self, begin: &Begin, listeners: &[OwnedFd]) -> Result<Successor, String> {
        self.is_fermata().await?;
        let (channel, there) = Channel::pair().map_err(|error| error.to_string())?;
        let mut command = Command::new(&self.program);
        // Its end of the channel is its standard input, which Fermata has no other use for.
        command.args(&self.arguments).stdin(Stdio::from(there));
        // The other end is closed with the command: it is the child's alone.
        let child = Child::start(command, self.parent).map_err(|error| self.cannot_be_started(&error))?;
        let mut successor = Successor { child, channel, fermata: String::new() };
        match timeout(PREPARED_WITHIN, successor.prepare(begin, listeners)).await {
            Ok(Ok(())) => Ok(successor),
            Ok(Err(failed)) => Err(failed.of(successor.child).await),
            Err(_) => Err(Failed::Slow(PREPARED_WITHIN).of(successor.child).await),
        }
    }

    /// Before anything is started that could do anything else.
    async fn is_fermata(&self) -> Result<(), String> {
        let mut command = tokio::process::Command::new(&self.program);
        command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
        let program = self.program.display();
        let output = match timeout(VERSION_WITHIN, command.output()).await {
            Ok(output) => output.map_err(|error| self.cannot_be_started(&error))?,
            Err(_) => return Err(format!("{program} does not tell its version: is it a fermata?")),
        };
        let said = String::from_utf8_lossy(&output.stdout);
        if output.status.success() && said.starts_with("fermata ") {
            return Ok(());
        }
        Err(format!("{program} is no fermata: asked for its version, it ended with {}", output.status))
    }

    fn cannot_be_started(&self, error: &io::Error) -> String {
        let program = self.program.display();
        match error.kind() {
            io::ErrorKind::NotFound => format!("there is no program {program}; name the new fermata with --binary"),
            io::ErrorKind::PermissionDenied => format!("{program} cannot be executed: see its permissions (chmod +x)"),
            _ => format!("{program} cannot be executed: {error}"),
        }
    }
}

/// Why it did not go on.
#[derive(Debug)]
enum Failed {
    Gone,
    Slow(Duration),
    Refused(String),
    Nonsense(io::Error),
    OtherWords { theirs: u32, fermata: String },
}

impl fmt::Display for Failed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Gone => out.write_str("it ended"),
            Failed::Slow(limit) => write!(out, "it took longer than {} s", limit.as_secs()),
            Failed::Refused(why) => out.write_str(why),
            Failed::Nonsense(error) => write!(out, "it says what cannot be understood: {error}"),
            Failed::OtherWords { theirs, fermata } => write!(
                out,
                "fermata {fermata} hands over in another way (version {theirs}) than this one (version {VERSION}); stop \
                 this one and start that one"
            ),
        }
    }
}

impl Failed {
    /// In words, once the process is gone.
    async fn of(self, child: Child) -> String {
        match self {
            Failed::Gone => match child.ends_or_is_killed().await {
                Some(status) => format!("it ended with {status}"),
                None => self.to_string(),
            },
            failed => {
                child.kill().await;
                failed.to_string()
            }
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Failed::Gone,
            _ => Failed::Nonsense(error),
        }
    }
}

impl Successor {
    /// Its version, as it says.
    pub fn fermata(&self) -> &str {
        &self.fermata
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.child.pid()
    }

    /// Ends it at once, as if it had never been.
    pub async fn dismiss(self) {
        self.child.kill().await;
    }

    async fn prepare(&mut self, begin: &Begin, listeners: &[OwnedFd]) -> Result<(), Failed> {
        let Message { said: hello, .. } = self.channel.hear::<Hello>().await?.ok_or(Failed::Gone)?;
        if hello.handover != VERSION {
            return Err(Failed::OtherWords { theirs: hello.handover, fermata: hello.fermata });
        }
        self.fermata = hello.fermata;
        let listeners: Vec<BorrowedFd<'_>> = listeners.iter().map(OwnedFd::as_fd).collect();
        self.channel.send(begin, &[], &listeners).await?;
        self.expect(&Answer::Prepared).await
    }

    /// Hands everything over. With an error it is gone, and has touched nothing: everything here is as it was.
    pub async fn move_in(
        mut self,
        estate: Estate,
        descriptors: &[BorrowedFd<'_>],
        tunnels: &[&Frozen],
    ) -> Result<Child, String> {
        let outcome = match timeout(MOVED_WITHIN, self.tell(estate, descriptors, tunnels)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failed::Slow(MOVED_WITHIN)),
        };
        match outcome {
            Ok(()) => {
                self.child.release();
                Ok(self.child)
            }
            Err(failed) => {
                let Successor { child, mut channel, .. } = self;
                let why = failed.of(child).await;
                // It may have said its last word, and nobody was there to hear it: then it was the owner when it died.
                match channel.hear::<Answer>().await {
                    Ok(Some(Message { said: Answer::Taken, .. })) => {
                        Err(format!("{why}, and it had taken over already"))
                    }
                    _ => Err(why),
                }
            }
        }
    }

    async fn tell(
        &mut self,
        estate: Estate,
        descriptors: &[BorrowedFd<'_>],
        tunnels: &[&Frozen],
    ) -> Result<(), Failed> {
        self.channel.send(&Word::Estate(Box::new(estate)), &[], descriptors).await?;
        for some in tunnels.chunks(TOGETHER) {
            let (mut bytes, mut sockets) = (Vec::new(), Vec::new());
            let records = some.iter().map(|tunnel| tunnel.pack(&mut bytes, &mut sockets)).collect();
            self.channel.send(&Word::Tunnels(records), &bytes, &sockets).await?;
        }
        self.channel.say(&Word::End(tunnels.len())).await?;
        self.expect(&Answer::Ready).await?;
        self.channel.say(&Word::Go).await?;
        self.expect(&Answer::Taken).await
    }

    async fn expect(&mut self, expected: &Answer) -> Result<(), Failed> {
        match self.channel.hear::<Answer>().await?.ok_or(Failed::Gone)?.said {
            Answer::Refused(why) => Err(Failed::Refused(why)),
            said if said == *expected => Ok(()),
            said => Err(Failed::Nonsense(io::Error::other(format!("{said:?} instead of {expected:?}")))),
        }
    }
}
