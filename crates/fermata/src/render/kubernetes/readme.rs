//! The README.md beside the manifests.

use std::fmt::Write;

use fermata_spec::{Service, Spec};

use super::Entrance;
use super::edge::MONITORING;
use super::environment::Secrets;
use super::gateway::certificate;
use super::ingress::Controller;
use crate::render::SIGN;
use crate::render::cloud::seconds;
use crate::render::kubernetes::workload::grace;
use fermata_spec::balancers::duration;

/// The whole text.
pub(super) fn write(entrance: Entrance, spec: &Spec, services: &[&Service], secrets: &Secrets) -> String {
    let mut text = format!("<!-- {SIGN} -->\n# The services on Kubernetes\n\n");
    let what = match entrance {
        Entrance::Gateway => {
            "and a Gateway with routes (Gateway API 1.6, with TCPRoute and UDPRoute where raw ports are)"
        }
        Entrance::Ingress(_) => "and an Ingress for each",
        Entrance::Edge => "and Fermata before them: it holds, watches and drains their tunnels frame by frame",
    };
    let _ = writeln!(
        text,
        "`kustomization.yaml` is a Kustomize base of a workload for each service, {what}. Kubernetes 1.34 or newer."
    );
    let _ = writeln!(text, "\n## Before\n");
    for line in before(entrance, spec, services, secrets) {
        let _ = writeln!(text, "- {line}");
    }
    let port = services
        .iter()
        .flat_map(|service| &service.ports)
        .find_map(|port| port.https.map(|port| ("wss", port)).or_else(|| port.http.map(|port| ("ws", port))));
    let (scheme, port) = port.unwrap_or(("ws", 80));
    // Longer than three Pings.
    let pings = services.iter().filter_map(|service| service.websocket.keepalive);
    let idle = pings.max().map_or(60, |ping| seconds(ping) * 3);
    let _ = writeln!(
        text,
        "\n## Three commands\n\n```sh\nkubectl apply -k .\nfermata probe {scheme}://ADDRESS:{port}/ --idle {idle}s\nkubectl delete -k .\n```\n\n\
         ADDRESS is what `{}` shows.",
        match entrance {
            Entrance::Gateway => "kubectl get gateway public",
            Entrance::Ingress(_) => "kubectl get ingress",
            Entrance::Edge => "kubectl get service fermata",
        }
    );
    let _ = writeln!(text, "\n## Classic mistakes that it avoids\n");
    for line in avoids(entrance, services) {
        let _ = writeln!(text, "- {line}");
    }
    let _ = writeln!(text, "\n## Good to know\n");
    for line in notes(entrance, services) {
        let _ = writeln!(text, "- {line}");
    }
    text
}

fn before(entrance: Entrance, spec: &Spec, services: &[&Service], secrets: &Secrets) -> Vec<String> {
    let mut lines = Vec::new();
    for (secret, keys) in secrets {
        let keys: Vec<String> = keys.iter().map(|key| format!("--from-literal={key}=…")).collect();
        lines.push(format!("`kubectl create secret generic {secret} {}`", keys.join(" ")));
    }
    let https = services.iter().flat_map(|service| &service.ports).any(|port| port.https.is_some());
    let alb = entrance == Entrance::Ingress(Controller::Alb);
    if https && !alb {
        for number in 0..spec.tls.certificates.len().max(1) {
            let pair = spec.tls.certificates.get(number);
            let (cert, key) = pair.map_or(("app.pem", "app.key"), |pair| (&*pair.cert, &*pair.key));
            lines.push(format!("`kubectl create secret tls {} --cert={cert} --key={key}`", certificate(number)));
        }
    }
    match entrance {
        Entrance::Gateway => lines.push(
            "A controller for the Gateway API that carries WebSockets and takes timeouts of 0s (Envoy Gateway, Istio, \
             Cilium, kgateway, Contour, Calico do): write its class into `gatewayClassName`."
                .to_owned(),
        ),
        Entrance::Ingress(_) if alb && https => {
            lines.push("A certificate in ACM for the names of the file: the controller finds it by them.".to_owned());
        }
        Entrance::Ingress(_) => lines.push("The controller that the Ingress is for.".to_owned()),
        Entrance::Edge => lines.extend([
            "An image of Fermata that the cluster can pull: write its name into `images` of kustomization.yaml."
                .to_owned(),
            format!(
                "The namespace of what reads metrics, such as Prometheus: write it in the place of `{MONITORING}` in the \
                 NetworkPolicy `fermata`. No other one reaches them."
            ),
        ]),
    }
    lines
}

fn avoids(entrance: Entrance, services: &[&Service]) -> Vec<String> {
    let longest = services.iter().map(|service| grace(service, entrance)).max().unwrap_or_default();
    let made_of = if entrance == Entrance::Edge {
        "`drain`, over which Fermata tells tunnels to come back, then `stop_grace`"
    } else {
        "the time for endpoints to spread, then the longer of `drain` and `stop_grace`"
    };
    vec![
        format!("A grace period of 30 s: pods have up to {}, which is {made_of}, and a rest.", duration(longest)),
        "A pod that is told to end while it still gets new connections: `preStop` waits until it gets none.".to_owned(),
        "`appProtocol: kubernetes.io/h2c`, or a port called http2 or grpc, over which upgrades do not pass.".to_owned(),
        "A rolling update that ends pods before others are ready.".to_owned(),
        "No PodDisruptionBudget, or one that lets no pod go and blocks every upgrade of nodes.".to_owned(),
        "Autoscaling by CPU, which open sockets do not need, and down in leaps: each pod that goes is a wave of clients."
            .to_owned(),
        "A probe on a WebSocket's path, which never answers 200 to a plain GET.".to_owned(),
        "Secrets in files: they are referred to, and made by the commands above.".to_owned(),
    ]
}

fn notes(entrance: Entrance, services: &[&Service]) -> Vec<String> {
    let mut lines = Vec::new();
    if services.iter().any(|service| service.constraints.max_count.is_some()) {
        lines.push(match entrance {
            Entrance::Edge => {
                "The autoscalers read `fermata_service_tunnels` (as an external metric, summed over all pods of the edge) \
                 and `fermata_tunnels` of each pod of the edge, which serves both at `/metrics` of the port called \
                 metrics; an adapter (such as prometheus-adapter) has to pass them on."
                    .to_owned()
            }
            _ => "The autoscaler reads `ws_connections_open` of each pod: the service has to export it, and an adapter for \
                  custom metrics (such as prometheus-adapter) has to serve it."
                .to_owned(),
        });
    }
    match entrance {
        Entrance::Gateway => lines.push(
            "How long silence is suffered is the controller's setting (Envoy Gateway: `streamIdleTimeout` of a \
             ClientTrafficPolicy, 5 min by default): keep it at two Pings of the service at least."
                .to_owned(),
        ),
        Entrance::Ingress(Controller::Haproxy) => lines.push(
            "`hard-stop-after` of the controller's ConfigMap (30 min) ends sockets so long after each of its reloads."
                .to_owned(),
        ),
        Entrance::Ingress(_) => {}
        Entrance::Edge => lines.push(
            "The edge watches EndpointSlices and reaches each pod itself (`endpoints: kubernetes`). Tunnels of a pod that \
             is to end are told to come back (Close 1012) over `drain`, while its `preStop` waits; its account may list \
             and watch EndpointSlices of this namespace, and nothing else."
                .to_owned(),
        ),
    }
    lines.push("Autoscalers of nodes may cut grace periods (often to 600 s), spot nodes to 30 to 120 s.".to_owned());
    lines
}
