//! A check by command: exit code 0 passes.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::run::locate;
use crate::run::plan::Launch;
use crate::run::process::Exit;

/// How much of what a failing command says is repeated.
const MAX_SAID: usize = 300;
/// How long its last words may take once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Ends a process group on drop: a check that takes too long is dropped with all that it started.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs the command to its end.
pub(super) async fn run(launch: &Launch) -> Result<(), String> {
    let path = locate::program(launch)?;
    let mut child = Command::new(&path)
        .arg0(&launch.program)
        .args(&launch.arguments)
        .env_clear()
        .envs(&launch.env)
        .current_dir(&launch.folder)
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|err| format!("{} cannot be executed: {err}", path.display()))?;
    // Declared after `child`, and so dropped before it, while its pid is still its own.
    let group = Group(child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())));
    let mut stderr = child.stderr.take();
    let mut said = Vec::new();
    let exit = tokio::select! {
        status = child.wait() => status.map_err(|err| format!("{} cannot be waited for: {err}", launch.program))?,
        never = async { listen(&mut stderr, &mut said).await; std::future::pending().await } => never,
    };
    drop(group);
    if exit.success() {
        return Ok(());
    }
    let _ = timeout(LAST_WORDS, listen(&mut stderr, &mut said)).await;
    let said = String::from_utf8_lossy(&said);
    let said = said.lines().next().map(|line| format!(": {line}")).unwrap_or_default();
    Err(format!("{} ended with {}{said}", launch.program, Exit::from(exit)))
}

/// Reads to the end and keeps the beginning.
async fn listen(source: &mut Option<impl AsyncRead + Unpin>, said: &mut Vec<u8>) {
    let Some(source) = source else { return };
    let mut bytes = [0; 1024];
    while let Ok(length @ 1..) = source.read(&mut bytes).await {
        let room = MAX_SAID.saturating_sub(said.len());
        said.extend_from_slice(&bytes[..length.min(room)]);
    }
}
