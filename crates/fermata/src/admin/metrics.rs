//! The state of everything as metrics (`OpenMetrics` 1.0), made anew for each scrape. Pure: a status in, text out.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::protocol::Status;

/// What the text is, for its HTTP header.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Version {
    version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Service {
    service: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Instance {
    service: String,
    instance: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    cause: String,
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct From {
    from: &'static str,
}

/// The metrics of a status.
pub(super) fn text(status: &Status) -> String {
    let mut registry = Registry::with_prefix("fermata");
    let build = Family::<Version, Gauge>::default();
    registry.register("build_info", "The program's version", build.clone());
    build.get_or_create(&Version { version: status.version.clone() }).set(1);
    let (uptime, ready, tunnels) = (Gauge::<i64>::default(), Gauge::<i64>::default(), Gauge::<i64>::default());
    uptime.set(status.uptime.cast_signed());
    ready.set(i64::from(status.ready));
    tunnels.set(status.tunnels.live.cast_signed());
    registry.register("uptime_seconds", "Seconds since it began", uptime);
    registry.register("ready", "Whether every service was ready once and nothing is ending", ready);
    registry.register("tunnels", "Tunnels that live now", tunnels);
    services(status, &mut registry);
    let ended = Family::<Ended, Counter>::default();
    registry.register("tunnels_ended", "Tunnels that have ended, by cause and close code", ended.clone());
    for (name, count) in &status.tunnels.ended {
        let (cause, code) = name.split_once('/').unwrap_or((name, ""));
        ended.get_or_create(&Ended { cause: cause.to_owned(), code: code.to_owned() }).inc_by(*count);
    }
    let figures = &status.tunnels;
    for (name, help, counts) in [
        ("bytes", "Bytes that tunnels have carried", figures.bytes),
        ("messages", "Messages that tunnels have carried", figures.messages),
    ] {
        let family = Family::<From, Counter>::default();
        registry.register(name, help, family.clone());
        for (from, count) in ["client", "service"].into_iter().zip(counts) {
            family.get_or_create(&From { from }).inc_by(count);
        }
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = encode(&mut text, &registry);
    text
}

fn services(status: &Status, registry: &mut Registry) {
    let tunnels = Family::<Service, Gauge>::default();
    let live = Family::<Instance, Gauge>::default();
    let up = Family::<Instance, Gauge>::default();
    let restarts = Family::<Instance, Counter>::default();
    let cpu = Family::<Instance, Gauge<f64, AtomicU64>>::default();
    let memory = Family::<Instance, Gauge>::default();
    registry.register("service_tunnels", "Tunnels of a service that live now", tunnels.clone());
    registry.register("instance_live", "Requests and tunnels that use an instance now", live.clone());
    registry.register("instance_ready", "Whether an instance gets traffic", up.clone());
    registry.register("instance_restarts", "How often an instance was started again", restarts.clone());
    registry.register("instance_cpu", "How much of a CPU an instance uses, 1 for a whole one", cpu.clone());
    registry.register("instance_memory_bytes", "Memory that an instance holds", memory.clone());
    for service in &status.services {
        tunnels.get_or_create(&Service { service: service.name.clone() }).set(i64::from(service.tunnels));
        for instance in &service.instances {
            let label = Instance { service: service.name.clone(), instance: instance.name.clone() };
            live.get_or_create(&label).set(i64::from(instance.live));
            up.get_or_create(&label)
                .set(i64::from(instance.state.starts_with("ready") || instance.state == "external"));
            restarts.get_or_create(&label).inc_by(u64::from(instance.restarts));
            if let Some(share) = instance.cpu {
                cpu.get_or_create(&label).set(f64::from(share));
            }
            if let Some(bytes) = instance.memory {
                memory.get_or_create(&label).set(bytes.cast_signed());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_as_open_metrics() {
        let lines = text(&super::super::page::tests::status());
        let mut samples: Vec<&str> = lines.lines().filter(|line| !line.starts_with('#')).collect();
        // Within a family they have no order.
        samples.sort_unstable();
        assert_eq!(
            samples,
            [
                "fermata_build_info{version=\"1.2.3\"} 1",
                "fermata_bytes_total{from=\"client\"} 120",
                "fermata_bytes_total{from=\"service\"} 340",
                "fermata_instance_cpu{service=\"web\",instance=\"web.1\"} 0.125",
                "fermata_instance_live{service=\"web\",instance=\"web.1\"} 7",
                "fermata_instance_memory_bytes{service=\"web\",instance=\"web.1\"} 12345678",
                "fermata_instance_ready{service=\"web\",instance=\"web.1\"} 1",
                "fermata_instance_restarts_total{service=\"web\",instance=\"web.1\"} 1",
                "fermata_messages_total{from=\"client\"} 3",
                "fermata_messages_total{from=\"service\"} 8",
                "fermata_ready 1",
                "fermata_service_tunnels{service=\"web\"} 7",
                "fermata_tunnels 7",
                "fermata_tunnels_ended_total{cause=\"client-close\",code=\"1000\"} 3",
                "fermata_uptime_seconds 3725",
            ]
        );
        assert!(lines.ends_with("# EOF\n"));
    }
}
