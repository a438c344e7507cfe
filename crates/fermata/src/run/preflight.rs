//! What would keep a plan from being started on this machine, found before anything is started.

use fermata_spec::Protocol;

use super::locate;
use super::plan::{Act, CheckPlan, Housing, Launch, Local, Problem, Readiness, ServicePlan};
use super::ports;
use crate::net::{Transport, holder_of};

/// Everything that is in the way of a service's instances.
pub(super) fn problems(service: &ServicePlan) -> Vec<Problem> {
    if matches!(service.housing, Housing::Container(_)) {
        // Its programs are in its image, and its ports at an address of its own.
        return Vec::new();
    }
    programs(service).into_iter().chain(taken_ports(service)).collect()
}

fn programs(service: &ServicePlan) -> Vec<Problem> {
    // Which numbers the ports have does not matter to where a program is.
    let ports: Vec<(u16, u16)> = service
        .instances
        .iter()
        .flat_map(|instance| &instance.ports)
        .map(|port| (port.container, port.container))
        .collect();
    let check = |name: &str, launch: &Launch| {
        locate::program(launch).err().map(|text| Problem::new(format!("services.{}.{name}", service.name), text))
    };
    let own = check("command", &service.program.launch(&ports));
    let health = &service.health;
    let ready = match &health.ready {
        Readiness::Check(check) => Some(check),
        Readiness::Started | Readiness::Connects(_) | Readiness::Image(_) => None,
    };
    let checks = [("ready", ready), ("alive", health.alive.as_ref()), ("startup", health.startup.as_ref())];
    let commands = checks.into_iter().filter_map(|(name, plan)| match plan {
        Some(CheckPlan { act: Act::Exec(words), .. }) => {
            check(&format!("health.{name}.command"), &service.program.surroundings.launch(words, &ports))
        }
        _ => None,
    });
    own.into_iter().chain(commands).collect()
}

fn taken_ports(service: &ServicePlan) -> Vec<Problem> {
    let ports = service.instances.iter().flat_map(|instance| &instance.ports);
    let taken = ports.filter(|port| port.local == Local::Same && ports::is_taken(port.container, port.protocol));
    let problem = |container: u16, protocol: Protocol| {
        let transport = match protocol {
            Protocol::Tcp => Transport::Tcp,
            Protocol::Udp => Transport::Udp,
        };
        let by = holder_of(container, transport).map(|holder| format!(" by {holder}")).unwrap_or_default();
        Problem::new(
            format!("services.{}.ports", service.name),
            format_args!(
                "127.0.0.1:{container}, where {} is to listen, is taken already{by}; end that process, or write \
                 another container port",
                service.name
            ),
        )
    };
    taken.map(|port| problem(port.container, port.protocol)).collect()
}
