//! The health of one running instance: when it is ready, when it is not any more, and when it must be ended.

use std::convert::Infallible;
use std::future::pending;

use tokio::time::Instant;

use super::body::Body;
use super::health::{At, Checker, Verdict};
use super::herald::Herald;
use super::plan::{Act, CheckPlan, Readiness, ServicePlan};
use super::ports::Assigned;

/// The checks of one running instance.
pub(super) struct Tender {
    startup: Option<Checker>,
    ready: Gate,
    alive: Option<Checker>,
    started: Instant,
    /// Whether it was ready already when these checks began.
    ready_before: bool,
}

enum Gate {
    Open,
    OnceConnected(Checker),
    While(Checker),
}

impl Tender {
    /// The checks of an instance as its herald knows it: one that is ready is not asked for its start again.
    pub(super) fn new(service: &ServicePlan, ports: &Assigned, body: &Body, herald: &Herald) -> Tender {
        let health = &service.health;
        let checker = |check: &CheckPlan| {
            let container = match &check.act {
                Act::Tcp { port } | Act::Http { port, .. } => *port,
                Act::Exec(_) => 0,
            };
            Checker::new(check, At::Tcp(ports.find(container)), |words| body.errand(service, words, ports))
        };
        Tender {
            startup: health.startup.as_ref().map(checker),
            ready: match &health.ready {
                Readiness::Started => Gate::Open,
                Readiness::Connects(port) => Gate::OnceConnected(Checker::connects(ports.find(*port))),
                Readiness::Check(check) => Gate::While(checker(check)),
                Readiness::Image(port) => {
                    body.image_check(port.map(|port| ports.find(port))).map_or(Gate::Open, Gate::While)
                }
            },
            alive: health.alive.as_ref().map(checker),
            started: herald.started(),
            ready_before: herald.is_ready(),
        }
    }

    /// Tells whether the instance is ready until it has to be ended, and returns why.
    pub(super) async fn tend(&self, herald: &mut Herald) -> String {
        if let Some(startup) = &self.startup
            && !self.ready_before
        {
            let in_time = startup.in_time(self.started, |why| herald.fails(why.to_owned())).await;
            if let Err(why) = in_time {
                return format!("its startup check failed: {why}");
            }
        }
        tokio::select! {
            why = self.until_dead() => format!("its alive check failed: {why}"),
            never = self.watch_readiness(herald) => match never {},
        }
    }

    async fn until_dead(&self) -> String {
        match &self.alive {
            Some(alive) => alive.until_failed(self.started).await,
            None => pending().await,
        }
    }

    async fn watch_readiness(&self, herald: &mut Herald) -> Infallible {
        match &self.ready {
            Gate::Open => {}
            Gate::OnceConnected(_) if self.ready_before => {}
            Gate::OnceConnected(checker) => checker.eventually(self.started, |why| herald.fails(why)).await,
            Gate::While(checker) => {
                let tell = |verdict| match verdict {
                    Verdict::Passes => herald.passes(),
                    Verdict::Fails(why) => herald.fails(why),
                };
                if self.ready_before {
                    return checker.follow_on(tell).await;
                }
                return checker.follow(self.started, tell).await;
            }
        }
        herald.passes();
        pending().await
    }
}
