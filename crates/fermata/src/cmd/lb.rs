//! `fermata lb`: runs the load balancer of a file as `up` runs its services.

use fermata_spec::{LbEngine, Spec};

use super::up::{Role, run_as};
use super::{Answer, Failure};
use crate::cli::Lb;
use crate::lb::tier;
use crate::net::is_local;

const LB: Role = Role { command: "lb", part: balancer, databases: false };

/// Runs it.
pub fn run(args: &Lb) -> Result<Answer, Failure> {
    run_as(&args.run, LB)
}

/// The load balancer of a file.
fn balancer(spec: &Spec) -> Result<Spec, String> {
    if spec.load_balancer.as_ref().is_some_and(|balancer| balancer.engine == LbEngine::Haproxy) {
        let way = "write engine: builtin, or have fermata render haproxy write its configuration";
        return Err(format!("load_balancer.engine: HAProxy is not started by fermata; {way}"));
    }
    tier(spec, is_local).map_err(|obstacles| {
        let lines: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
        lines.join("\n       ")
    })
}
