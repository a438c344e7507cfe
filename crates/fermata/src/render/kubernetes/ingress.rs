//! The older Ingress, for controllers by name: each has annotations of its own for what a WebSocket needs.

use fermata_spec::{Service, Spec, Sticky, service_path};

use super::gateway::{certificate, hosts};
use super::names::{annotated, object};
use crate::render::Gaps;
use crate::render::cloud::seconds;
use crate::render::yaml::{Map, Value};
use fermata_spec::balancers::{self, duration};

/// A controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    /// traefik.io
    Traefik,
    /// haproxytech/kubernetes-ingress
    Haproxy,
    /// nginx/kubernetes-ingress, of F5: not the retired ingress-nginx of the Kubernetes project.
    Nginx,
    /// kubernetes-sigs/aws-load-balancer-controller
    Alb,
}

impl Controller {
    fn class(self) -> &'static str {
        match self {
            Controller::Traefik => "traefik",
            Controller::Haproxy => "haproxy",
            Controller::Nginx => "nginx",
            Controller::Alb => "alb",
        }
    }
}

/// An Ingress for each service with http or https ports.
pub(super) fn objects(controller: Controller, spec: &Spec, services: &[&Service], gaps: &mut Gaps<'_>) -> Vec<Map> {
    let mut made = Vec::new();
    for service in services {
        let at = service_path(&service.name);
        raw(service, &at, gaps);
        if let Some(port) = service.ports.iter().find(|port| port.http.or(port.https).is_some()) {
            public(controller, service, &at, gaps);
            made.push(ingress(controller, service, port.container, spec, &at, gaps));
        }
    }
    made
}

fn raw(service: &Service, at: &str, gaps: &mut Gaps<'_>) {
    for (number, port) in service.ports.iter().enumerate() {
        for (key, there) in [("tcp", port.tcp.is_some()), ("udp", port.udp.is_some())] {
            if there {
                let why = format!("an Ingress carries HTTP, not raw {}", key.to_uppercase());
                gaps.refused(
                    &format!("{at}.ports[{number}].{key}"),
                    why,
                    "render kubernetes, which has the Gateway API",
                );
            }
        }
    }
}

/// An Ingress has no ports: its controller has, and all but one listen on 80 and 443 only.
fn public(controller: Controller, service: &Service, at: &str, gaps: &mut Gaps<'_>) {
    if controller == Controller::Alb {
        return;
    }
    for (number, port) in service.ports.iter().enumerate() {
        for (key, public, usual) in [("http", port.http, 80), ("https", port.https, 443)] {
            if let Some(public) = public.filter(|public| *public != usual) {
                let how = format!("an Ingress has no ports: {public} is answered on the controller's {usual}");
                gaps.changed(
                    &format!("{at}.ports[{number}].{key}"),
                    how,
                    "render kubernetes, which has the Gateway API",
                );
            }
        }
    }
}

fn ingress(
    controller: Controller,
    service: &Service,
    container: u16,
    spec: &Spec,
    at: &str,
    gaps: &mut Gaps<'_>,
) -> Map {
    let name = object(&service.name);
    let annotations = annotations(controller, service, &name, spec, at, gaps);
    let mut made = annotated("networking.k8s.io/v1", "Ingress", &name, &annotations);
    let mut inside = Map::of([("ingressClassName", Value::text(controller.class()))]);
    let names = hosts(service);
    if controller != Controller::Alb && service.ports.iter().any(|port| port.https.is_some()) {
        let mut tls = Map::default();
        if !names.is_empty() {
            tls.put("hosts", Value::words(&names));
        }
        tls.put("secretName", Value::text(certificate(0)));
        inside.put("tls", Value::maps([tls]));
    }
    let port = Map::of([("number", Value::bare(container))]);
    let backend = Map::of([("name", Value::text(&name)), ("port", port.into())]);
    let path = Map::of([
        ("path", Value::text("/")),
        ("pathType", Value::text("Prefix")),
        ("backend", Map::of([("service", backend.into())]).into()),
    ]);
    let http = || Map::of([("paths", Value::maps([path.clone()]))]);
    let rules: Vec<Map> = match names.as_slice() {
        [] => vec![Map::of([("http", http().into())])],
        names => names.iter().map(|name| Map::of([("host", Value::text(name)), ("http", http().into())])).collect(),
    };
    inside.put("rules", Value::maps(rules));
    made.put("spec", inside);
    made
}

fn annotations(
    controller: Controller,
    service: &Service,
    name: &str,
    spec: &Spec,
    at: &str,
    gaps: &mut Gaps<'_>,
) -> Vec<(String, String)> {
    let sticky = service.sticky == Sticky::Cookie;
    let own = |pairs: &[(&str, String)]| pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    match controller {
        // Traefik has no idle limit for upgraded connections; its cookie is a setting of the Service.
        Controller::Traefik => {
            if sticky {
                gaps.refused(
                    &format!("{at}.sticky"),
                    "Traefik's cookie is a setting of its Service, and of no Ingress",
                    "render kubernetes-ingress-haproxy or kubernetes-ingress-alb",
                );
            }
            Vec::new()
        }
        Controller::Haproxy => {
            let mut pairs = vec![("haproxy.org/timeout-tunnel", "1h".to_owned())];
            pairs.push(("haproxy.org/load-balance", "leastconn".to_owned()));
            if sticky {
                pairs.push(("haproxy.org/cookie-persistence", "fermata-server".to_owned()));
            }
            own(&pairs)
        }
        Controller::Nginx => {
            if sticky {
                let why = "nginx's cookie needs its commercial version";
                gaps.refused(
                    &format!("{at}.sticky"),
                    why,
                    "render kubernetes-ingress-haproxy or kubernetes-ingress-alb",
                );
            }
            own(&[
                ("nginx.org/websocket-services", name.to_owned()),
                ("nginx.org/proxy-read-timeout", "3600s".to_owned()),
                ("nginx.org/proxy-send-timeout", "3600s".to_owned()),
                ("nginx.org/lb-method", "least_conn".to_owned()),
            ])
        }
        Controller::Alb => own(&alb(service, spec, at, gaps)),
    }
}

/// By the same table as `aws-alb`.
fn alb(service: &Service, spec: &Spec, at: &str, gaps: &mut Gaps<'_>) -> Vec<(&'static str, String)> {
    let balancer = balancers::balancer("aws-alb").expect("the table has it");
    if let Some(said) = balancers::judge(balancer, spec)
        .into_iter()
        .find(|said| said.path == format!("{at}.websocket.keepalive") || said.path == format!("{at}.websocket.drain"))
    {
        gaps.refused(&said.path, said.message, said.help.unwrap_or_default());
    }
    let idle = service.websocket.keepalive.map_or(4000, |ping| (seconds(ping) * 2).clamp(300, 4000));
    let drain = seconds(service.websocket.drain);
    let ports = service.ports.iter().flat_map(|port| {
        let one = |word: &str, port: Option<u16>| port.map(|port| format!("{{\"{word}\": {port}}}"));
        [one("HTTP", port.http), one("HTTPS", port.https)]
    });
    let ports: Vec<String> = ports.flatten().collect();
    let sticky = if service.sticky == Sticky::Cookie { "true" } else { "false" };
    let attributes = format!(
        "deregistration_delay.timeout_seconds={drain},load_balancing.algorithm.type=least_outstanding_requests,\
         stickiness.enabled={sticky},stickiness.type=lb_cookie"
    );
    vec![
        ("alb.ingress.kubernetes.io/scheme", "internet-facing".to_owned()),
        ("alb.ingress.kubernetes.io/target-type", "ip".to_owned()),
        ("alb.ingress.kubernetes.io/listen-ports", format!("[{}]", ports.join(", "))),
        ("alb.ingress.kubernetes.io/backend-protocol-version", "HTTP1".to_owned()),
        ("alb.ingress.kubernetes.io/load-balancer-attributes", format!("idle_timeout.timeout_seconds={idle}")),
        ("alb.ingress.kubernetes.io/target-group-attributes", attributes),
        ("alb.ingress.kubernetes.io/healthcheck-path", health(service, at, gaps)),
        ("alb.ingress.kubernetes.io/success-codes", "200".to_owned()),
    ]
}

/// It asks the pods itself, so a plain path has to be known.
fn health(service: &Service, at: &str, gaps: &mut Gaps<'_>) -> String {
    use fermata_spec::{CheckKind, Health};
    if let Health::Checks { ready: Some(check), .. } = &service.health
        && let CheckKind::Http { endpoint, .. } = &check.kind
    {
        return endpoint.clone();
    }
    let why = format!("an ALB asks every pod over HTTP, each {}, and nothing says where", duration(15));
    gaps.refused(&format!("{at}.health"), why, "write health: {ready: {type: http, endpoint: /healthz}}");
    "/".to_owned()
}
