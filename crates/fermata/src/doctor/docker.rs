//! Docker's own rules: ports that containers publish are open past every firewall of the host.

use std::collections::BTreeSet;

use fermata_spec::Spec;

use super::{Finding, Topic};
use crate::firewall::Gate;
use crate::firewall::observe::{Observed, Table};
use crate::firewall::openings::openings;
use crate::report::Advice;

pub(super) fn look(spec: &Spec, observed: &Observed) -> Finding {
    if matches!(observed.table, Table::Unseen(_)) {
        return Finding::skipped(Topic::Docker);
    }
    let known: BTreeSet<Gate> = openings(spec).into_iter().map(|opening| opening.gate).collect();
    let past: BTreeSet<Gate> = observed.published.difference(&known).copied().collect();
    if past.is_empty() {
        return Finding::works(Topic::Docker, None, "no container publishes a port past the firewall");
    }
    let ports = past.iter().map(Gate::to_string).collect::<Vec<_>>().join(", ");
    let says = format!(
        "Containers publish {ports}. Docker forwards such connections before any firewall of the host sees them: they \
         are open to everybody, whatever ufw or fermata firewall say."
    );
    let advice = Advice::new("docker-publishes", says)
        .then("Publish on loopback what only this machine needs:")
        .write("ports: [\"127.0.0.1:5432:5432\"]        # docker run -p 127.0.0.1:5432:5432")
        .then("Or filter in Docker's chain DOCKER-USER; with its nftables backend in a forward chain of your own.");
    Finding::works(Topic::Docker, None, format!("open past every firewall: {ports}")).remark(advice)
}
