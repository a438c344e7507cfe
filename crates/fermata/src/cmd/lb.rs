//! `fermata lb`: runs the load balancer of a file, as `up` runs its services, or by a real `HAProxy`.

use fermata_spec::{LbEngine, Spec};

use super::file::{self, Loaded};
use super::up::{Role, run_as};
use super::{Answer, Failure, haproxy};
use crate::cli::{Engine, Lb};
use crate::lb::tier;
use crate::net::is_local;

const LB: Role = Role { command: "lb", part: balancer, databases: false };

/// Runs it.
pub fn run(args: &Lb) -> Result<Answer, Failure> {
    if args.run.successor || args.engine == Some(Engine::Builtin) {
        return run_as(&args.run, LB);
    }
    // What is wrong with the file is said by who runs it.
    let path = file::find(args.run.file.as_deref())?;
    let named = || file::reread(&path).ok()?.load_balancer.map(|balancer| balancer.engine);
    if args.engine.is_none() && named() != Some(LbEngine::Haproxy) {
        return run_as(&args.run, LB);
    }
    let Some(Loaded { path, spec }) = file::load(args.run.file.as_deref())? else { return Ok(Answer::No) };
    haproxy::run(&args.run, &path, spec)
}

/// The load balancer of a file.
pub(super) fn balancer(spec: &Spec) -> Result<Spec, String> {
    tier(spec, is_local).map_err(|obstacles| {
        let lines: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
        lines.join("\n       ")
    })
}
