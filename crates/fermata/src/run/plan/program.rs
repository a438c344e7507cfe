//! A command and what it runs in, up to everything that starting a process takes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

use super::{Local, PortPlan};
use crate::run::reference::expand;

/// A command and what it runs in; its ports are not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its words, `$(VAR)` not yet expanded.
    pub words: Vec<Value>,
    /// What it runs in.
    pub surroundings: Surroundings,
}

impl Program {
    /// Everything that starting it takes, where the container ports are at `ports`.
    pub fn launch(&self, ports: &[(u16, u16)]) -> Launch {
        self.surroundings.launch(&self.words, ports)
    }
}

/// What the commands of a service run in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The service's own variables.
    pub variables: Vec<(String, Value)>,
    /// The environment that Fermata was called in, which they get too.
    pub inherited: Arc<BTreeMap<OsString, OsString>>,
    /// The working directory.
    pub folder: PathBuf,
}

impl Surroundings {
    /// Everything that starting `words` takes, where the container ports are at `ports`.
    pub fn launch(&self, words: &[Value], ports: &[(u16, u16)]) -> Launch {
        let mut env = BTreeMap::clone(&self.inherited);
        env.retain(|name, _| !is_for_fermata_alone(name));
        env.extend(self.variables.iter().map(|(name, value)| (name.into(), value.text.clone().into())));
        env.extend(port_variables(ports).map(|(name, port)| (name.into(), port.to_string().into())));
        let variable = |name: &str| env.get(OsStr::new(name)).map(|value| value.to_string_lossy());
        let mut words = words.iter().map(|word| expand(&word.text, variable)).collect::<Vec<_>>().into_iter();
        let program = words.next().unwrap_or_default();
        Launch { program, arguments: words.collect(), env, folder: self.folder.clone() }
    }

    /// `word` with those variables expanded that may be shown.
    pub(in crate::run) fn shown(&self, word: &Value, ports: &[PortPlan]) -> String {
        let known: Vec<(u16, u16)> = ports
            .iter()
            .filter(|port| port.local == Local::Same)
            .map(|port| (port.container, port.container))
            .collect();
        // Where the first port is not known yet, neither is PORT.
        let known = if known.len() == ports.len() { known } else { Vec::new() };
        expand(&word.written, |name| {
            if let Some((_, port)) = port_variables(&known).find(|(each, _)| each == name) {
                return Some(Cow::Owned(port.to_string()));
            }
            let own = self.variables.iter().rev().find(|(each, _)| each == name);
            own.filter(|(_, value)| value.is_literal()).map(|(_, value)| Cow::Borrowed(value.text.as_str()))
        })
    }
}

/// A resolved value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// What the program gets.
    pub text: String,
    /// What the file says, and so what may be shown.
    pub written: String,
}

impl Value {
    /// Whether it stands in the file just so, and may be shown.
    pub fn is_literal(&self) -> bool {
        self.text == self.written
    }
}

/// Everything that starting a process takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program as the command names it.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<OsString, OsString>,
    /// The working directory.
    pub folder: PathBuf,
}

/// `PORT` and `PORT_<container>`.
fn port_variables(ports: &[(u16, u16)]) -> impl Iterator<Item = (String, u16)> {
    let first = ports.first().map(|(_, local)| ("PORT".to_owned(), *local));
    first.into_iter().chain(ports.iter().map(|(container, local)| (format!("PORT_{container}"), *local)))
}

/// Variables by which systemd speaks with the program that it started, which is Fermata and none of its services
/// (`sd_notify(3)`, `sd_listen_fds(3)`, `sd_watchdog_enabled(3)`).
fn is_for_fermata_alone(name: &OsStr) -> bool {
    const NAMES: [&str; 6] =
        ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID"];
    NAMES.iter().any(|each| name == *each)
}
