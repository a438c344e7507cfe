//! `fermata lb` with `HAProxy` as the engine: starts it, and says what happens until the end.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use fermata_spec::Spec;
use tokio::sync::mpsc;

use super::file;
use super::up::{folder_of, log, no, reload_on_hangup, runtime, say, stop_signals};
use super::{Answer, Failure, label};
use crate::cli::Run;
use crate::haproxy::{self, Notice, Outside};
use crate::limits;
use crate::systemd;

/// Runs a checked file.
pub(super) fn run(args: &Run, path: &Path, spec: Spec) -> Result<Answer, Failure> {
    is_for_a_balancer(&spec).map_err(no)?;
    let state = super::state_dir(args.state_dir.as_deref());
    if args.dry_run {
        anstream::print!("{}", haproxy::configuration(&spec).map_err(no)?);
        return Ok(Answer::Yes);
    }
    log();
    limits::raise();
    let folder = folder_of(path)?;
    let (runtime, local) = runtime()?;
    local.block_on(&runtime, async {
        let stops = stop_signals().map_err(no)?;
        let (notices, heard) = mpsc::channel(256);
        let speaking = tokio::task::spawn_local(speak(heard));
        let (changed, reload) = mpsc::channel(1);
        let _watch = file::watch(path, changed.clone());
        reload_on_hangup(changed.clone()).map_err(no)?;
        let watches = RefCell::new(Vec::new());
        let watch = Box::new(move |files: &[PathBuf]| {
            *watches.borrow_mut() = files.iter().filter_map(|file| file::watch(file, changed.clone())).collect();
        });
        let reread = Box::new({
            let path = path.to_owned();
            move || file::reread(&path).and_then(|spec| is_for_a_balancer(&spec).map(|()| spec))
        });
        let search = std::env::var("PATH").unwrap_or_default();
        let outside = Outside { notices, file: path.to_owned(), folder, state, search, reread, watch, reload, stops };
        let outcome = haproxy::run(spec, outside).await;
        // Everything that was said is printed before the end.
        let _ = speaking.await;
        outcome.map(|()| Answer::Yes).map_err(no)
    })
}

/// Ports that are taken twice, and servers that are the balancer itself, are as wrong here as where Fermata balances.
fn is_for_a_balancer(spec: &Spec) -> Result<(), String> {
    super::lb::balancer(spec).map(drop)
}

async fn speak(mut notices: mpsc::Receiver<Notice>) {
    while let Some(notice) = notices.recv().await {
        match notice {
            Notice::Line(line) => say(&label("haproxy"), &line),
            Notice::Done(text) => say(&label("fermata"), &text),
            Notice::Warning(text) => {
                let yellow = AnsiColor::Yellow.on_default().bold();
                say(&label("fermata"), &format!("{yellow}warning{yellow:#}: {text}"));
            }
            Notice::Ready { version, servers, fronts } => {
                let bold = Style::new().bold();
                for front in fronts {
                    let what = format!("{bold}{} {}{bold:#}  {}", front.scheme, front.port, front.backends.join(", "));
                    say(&label("fermata"), &what);
                }
                let green = AnsiColor::Green.on_default().bold();
                // The contract: a line that starts with `ready`.
                say(&format!("{green}ready{green:#}"), &format!(" HAProxy {version}, {servers} servers; Ctrl-C stops"));
                systemd::tell(systemd::State::Ready);
            }
            Notice::Stopping => {
                systemd::tell(systemd::State::Stopping);
                say(&label("fermata"), "stopping; HAProxy takes nothing new");
            }
        }
    }
}
