//! Listens on the control socket, and lets in only who may.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::SOCKET;
use super::protocol::{Reply, Request};

/// A request is one line, and not longer than this.
const LONGEST: u64 = 64 * 1024;
/// It comes at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request, and where its replies go.
#[derive(Debug)]
pub struct Asked {
    /// What is asked.
    pub request: Request,
    /// Who asks.
    pub asking: Asking,
}

/// Somebody who waits for replies.
#[derive(Debug, Clone)]
pub struct Asking(mpsc::Sender<Reply>);

impl Asking {
    /// Somebody who waits, and where the replies come.
    pub(super) fn new() -> (Asking, mpsc::Receiver<Reply>) {
        let (replies, to_send) = mpsc::channel(64);
        (Asking(replies), to_send)
    }

    /// Sends a reply; false when nobody waits any more.
    pub async fn reply(&self, reply: Reply) -> bool {
        self.0.send(reply).await.is_ok()
    }

    /// The last reply of something that was done.
    pub async fn done(&self, text: impl Into<String>) {
        self.reply(Reply::Done { text: text.into() }).await;
    }

    /// The last reply of something that was not done.
    pub async fn refuse(&self, reason: impl Into<String>) {
        self.reply(Reply::Refused { reason: reason.into() }).await;
    }
}

/// The bound socket.
#[derive(Debug)]
pub struct ControlSocket {
    listener: std::os::unix::net::UnixListener,
    file: Arc<SocketFile>,
}

/// The file of the socket; it goes with it, unless it is another process's.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    ours: watch::Sender<bool>,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if *self.ours.borrow() {
            // A file that is gone already is what was wanted.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl SocketFile {
    /// From now on it is this process's, or another's: then nobody is let in here any more.
    pub fn set_ours(&self, ours: bool) {
        self.ours.send_replace(ours);
    }
}

impl ControlSocket {
    /// Binds it in a state folder that the caller has locked: what lies there is left over from an earlier run.
    pub fn bind(folder: &Path) -> io::Result<ControlSocket> {
        let path = folder.join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = std::os::unix::net::UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(ControlSocket { listener, file: Arc::new(SocketFile { path, ours: watch::Sender::new(true) }) })
    }

    /// The socket that another process bound and hands over. It is that one's until [`SocketFile::set_ours`].
    pub fn inherit(folder: &Path, descriptor: OwnedFd) -> ControlSocket {
        let file = SocketFile { path: folder.join(SOCKET), ours: watch::Sender::new(false) };
        ControlSocket { listener: descriptor.into(), file: Arc::new(file) }
    }

    /// Its file.
    pub fn file(&self) -> Arc<SocketFile> {
        self.file.clone()
    }

    /// For another process.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.listener.as_fd().try_clone_to_owned()
    }

    /// Gives every request to `asked`, until that is closed, or the socket is another process's and nobody waits here for
    /// a reply.
    pub async fn serve(self, asked: mpsc::Sender<Asked>) -> io::Result<()> {
        let listener = UnixListener::from_std(self.listener.try_clone()?)?;
        let mut ours = self.file.ours.subscribe();
        let mut visits = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = asked.closed() => return Ok(()),
                _ = ours.wait_for(|ours| !ours) => break,
                Some(_) = visits.join_next() => {}
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    let asked = asked.clone();
                    // Whoever doesn't listen to the end has had enough.
                    visits.spawn_local(async move { drop(visit(stream, asked).await) });
                }
            }
        }
        drop(listener);
        while visits.join_next().await.is_some() {}
        Ok(())
    }
}

async fn visit(stream: UnixStream, asked: mpsc::Sender<Asked>) -> io::Result<()> {
    let who = stream.peer_cred()?.uid();
    let own = rustix::process::geteuid().as_raw();
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut lines = BufReader::new(read.take(LONGEST));
    timeout(PATIENCE, lines.read_line(&mut line)).await??;
    let (asking, mut to_send) = Asking::new();
    // The file's mode says it too; this holds where a folder was shared.
    if who != 0 && who != own {
        asking.refuse(format!("this fermata belongs to user {own}, not to user {who}; use sudo")).await;
    } else {
        match serde_json::from_str(&line) {
            Ok(request) => drop(asked.send(Asked { request, asking: asking.clone() }).await),
            Err(error) => {
                let reason =
                    format!("this fermata (version {}) cannot read the request: {error}", env!("CARGO_PKG_VERSION"));
                asking.refuse(reason).await;
            }
        }
    }
    drop(asking);
    let mut gone = lines.into_inner().into_inner();
    let mut nothing = [0; 1];
    loop {
        tokio::select! {
            reply = to_send.recv() => match reply {
                None => return Ok(()),
                Some(reply) => {
                    let mut text = serde_json::to_vec(&reply)?;
                    text.push(b'\n');
                    write.write_all(&text).await?;
                }
            },
            // Somebody who follows a log goes by Ctrl-C.
            _ = gone.read(&mut nothing) => return Ok(()),
        }
    }
}
