//! `fermata status`: one look at services, instances and tunnels.

use super::{Answer, Failure, ask, table};
use crate::admin::{self, Reply, Request, Status};
use crate::cli::{Ask, Format};

/// Runs it.
pub fn run(args: &Ask) -> Result<Answer, Failure> {
    ask(args.at.state_dir.as_deref(), &Request::Status, |reply| {
        if let Reply::Status(status) = reply {
            match args.format {
                Format::Json => anstream::println!("{}", super::json(&status)),
                Format::Human => anstream::print!("{}", text(&status)),
            }
        }
    })
}

/// The whole of it.
pub(super) fn text(status: &Status) -> String {
    let mut text = format!(
        "fermata {} (pid {}), up {}, {}\n{}{} tunnels live, {} ended\n\n",
        status.version,
        status.pid,
        admin::span(status.uptime),
        status.file,
        status.engine.as_ref().map(|engine| format!("{engine}\n")).unwrap_or_default(),
        status.tunnels.live,
        status.tunnels.ended.values().sum::<u64>(),
    );
    let ports =
        status.ports.iter().map(|port| vec![format!("{}:{}", port.scheme, port.port), port.services.join(", ")]);
    text += &table::render(&["PORT", "SERVICES"], ports);
    text.push('\n');
    let contained = status.services.iter().flat_map(|service| &service.instances).any(|one| one.image.is_some());
    let rows = status.services.iter().flat_map(|service| {
        service.instances.iter().map(|instance| {
            vec![
                service.name.clone(),
                instance.name.clone(),
                instance.state.clone(),
                instance.health.clone().unwrap_or_else(|| "-".into()),
                instance.address.clone(),
                instance.live.to_string(),
                instance.cpu.map_or_else(|| "-".into(), |cpu| format!("{:.1} %", cpu * 100.0)),
                instance.memory.map_or_else(|| "-".into(), table::bytes),
                instance.uptime.map_or_else(|| "-".into(), admin::span),
                instance.restarts.to_string(),
                instance.image.clone().unwrap_or_else(|| "-".into()),
            ]
        })
    });
    let heads =
        ["SERVICE", "INSTANCE", "STATE", "HEALTH", "ADDRESS", "LIVE", "CPU", "MEMORY", "UP", "RESTARTS", "IMAGE"];
    let columns = if contained { heads.len() } else { heads.len() - 1 };
    let rows = rows.map(|mut row: Vec<String>| {
        row.truncate(columns);
        row
    });
    text += &table::render(&heads[..columns], rows);
    let reasons = status.services.iter().flat_map(|service| &service.instances).filter(|one| one.state != "ready");
    let reasons = reasons.filter_map(|one| Some(format!("{}: {}\n", one.name, one.reason.as_ref()?)));
    let reasons: String = reasons.collect();
    if reasons.is_empty() { text } else { text + "\n" + &reasons }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{InstanceRow, PortRow, ServiceRow, TunnelFigures};

    #[test]
    fn a_status_fits_on_a_screen() {
        let status = Status {
            version: "1.2.3".into(),
            pid: 42,
            uptime: 3725,
            file: "service.yml".into(),
            engine: None,
            ports: vec![PortRow { scheme: "ws".into(), port: 8080, services: vec!["web".into(), "api".into()] }],
            services: vec![ServiceRow {
                name: "web".into(),
                tunnels: 7,
                instances: vec![
                    InstanceRow {
                        name: "web.1".into(),
                        state: "ready".into(),
                        address: "127.0.0.1:3000".into(),
                        live: 7,
                        uptime: Some(90),
                        restarts: 1,
                        health: Some("passing".into()),
                        reason: None,
                        cpu: Some(0.125),
                        memory: Some(12_345_678),
                        image: None,
                    },
                    InstanceRow {
                        name: "web.2".into(),
                        state: "waiting".into(),
                        address: String::new(),
                        live: 0,
                        uptime: None,
                        restarts: 3,
                        health: None,
                        reason: Some("ended with exit code 1".into()),
                        cpu: None,
                        memory: None,
                        image: None,
                    },
                ],
            }],
            ready: true,
            tunnels: TunnelFigures {
                live: 7,
                ended: [("client-close/1000".to_owned(), 3)].into(),
                ..TunnelFigures::default()
            },
        };
        assert_eq!(
            text(&status),
            "fermata 1.2.3 (pid 42), up 1 h 2 min, service.yml\n\
             7 tunnels live, 3 ended\n\n\
             PORT     SERVICES\n\
             ws:8080  web, api\n\n\
             SERVICE  INSTANCE  STATE    HEALTH   ADDRESS         LIVE  CPU     MEMORY   UP     RESTARTS\n\
             web      web.1     ready    passing  127.0.0.1:3000  7     12.5 %  12.3 MB  1 min  1\n\
             web      web.2     waiting  -                        0     -       -        -      3\n\n\
             web.2: ended with exit code 1\n"
        );
    }
}
