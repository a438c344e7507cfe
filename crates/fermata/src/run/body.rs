//! What an instance is while it runs: a process of this machine, or a container.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;

use super::docker::Container;
use super::event::{InstanceName, Line};
use super::health::{Checker, Errand};
use super::plan::{ServicePlan, Value};
use super::ports::Assigned;
use super::process::{CHECK, Exit, Process};
use super::usage::Meter;
use super::voices::{Voice, Voices};

/// A running instance.
pub(super) enum Body {
    /// With what it writes, until that is listened to.
    Process {
        process: Process,
        invocation: String,
        voices: Vec<Voice>,
    },
    Container(Box<Container>),
}

/// What is put away once a body has ended and its last words were heard.
pub(super) enum Remains {
    Invocation(String),
    Container(Box<Container>),
}

impl Body {
    /// Whether it goes on when Fermata ends.
    pub(super) fn outlives_us(&self) -> bool {
        matches!(self, Body::Container(_))
    }

    /// Where it can be read what it uses.
    pub(super) fn meter(&self) -> Meter {
        match self {
            Body::Process { process, .. } => Meter::Group(process.id()),
            Body::Container(container) => Meter::Container(container.clone()),
        }
    }

    /// What will be left of it.
    pub(super) fn remains(&self) -> Remains {
        match self {
            Body::Process { invocation, .. } => Remains::Invocation(invocation.clone()),
            Body::Container(container) => Remains::Container(container.clone()),
        }
    }

    /// Waits until it has ended.
    pub(super) async fn exited(&self) -> Exit {
        match self {
            Body::Process { process, .. } => process.exited().await,
            Body::Container(container) => container.exited().await,
        }
    }

    /// Ends it, and returns once nothing of it runs.
    pub(super) async fn end(self, grace: Duration) -> Result<(), String> {
        match self {
            Body::Process { process, .. } => process.end(grace).await.map_err(|err| err.to_string()),
            Body::Container(container) => container.end(grace).await,
        }
    }

    /// A command of its health checks.
    pub(super) fn errand(&self, service: &ServicePlan, words: &[Value], ports: &Assigned) -> Errand {
        let mut launch = service.program.surroundings.launch(words, &ports.pairs);
        match self {
            Body::Process { invocation, .. } => {
                launch.env.insert(CHECK.into(), invocation.into());
                launch.into()
            }
            Body::Container(container) => {
                let like = service.instances.first().map_or(&[][..], |instance| &instance.ports);
                container.inside(service.words_inside(words, like)).into()
            }
        }
    }

    /// The check that its image brings along.
    pub(super) fn image_check(&self, otherwise: Option<SocketAddr>) -> Option<Checker> {
        match self {
            Body::Process { .. } => None,
            Body::Container(container) => Some(Checker::of_image(Container::clone(container), otherwise)),
        }
    }

    /// Gives on what it writes, at the speed at which it is taken. What cannot be read is told to `trouble`.
    pub(super) fn listen(
        &mut self,
        name: &InstanceName,
        lines: &mpsc::Sender<Line>,
        trouble: impl Fn(io::Error),
    ) -> Voices {
        match self {
            Body::Process { voices, .. } => {
                let (voices, errors) = Voices::listen(std::mem::take(voices), name, lines);
                errors.into_iter().for_each(trouble);
                voices
            }
            Body::Container(container) => {
                let (name, lines) = (name.clone(), lines.clone());
                let give = move |stream, text| {
                    let (line, lines) = (Line { instance: name.clone(), stream, text }, lines.clone());
                    // Where nobody listens any more, it may still write.
                    async move { drop(lines.send(line).await) }
                };
                Voices::of(|held| Container::clone(container).listen(give, held))
            }
        }
    }

    /// Listens no more; what is written from now on is heard when somebody listens again.
    pub(super) async fn hold(&mut self, heard: Voices) {
        let held = heard.hold().await;
        if let Body::Process { voices, .. } = self {
            *voices = held;
        }
    }

    /// Somebody else has it.
    pub(super) fn release(self) {
        if let Body::Process { process, .. } = self {
            process.release();
        }
    }

    /// From now on it is this Fermata's.
    pub(super) fn claim(&mut self) {
        if let Body::Process { process, .. } = self {
            process.claim();
        }
    }
}
