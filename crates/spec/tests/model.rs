//! What a file says is what the model says.

use std::time::Duration;

use fermata_spec::{
    Address, Balance, CheckKind, Database, Health, HostPattern, LbEngine, LbPort, Network, Origin, Port, Protocol,
    ProxyPorts, ProxyVersion, Resources, Service, Share, Source, Spec, Sticky, VolumeSource, WebSocket, Whence,
    Workload, read,
};

fn spec(text: &str) -> Spec {
    let outcome = read(text);
    let said: String = outcome.diagnostics.iter().map(|said| said.render("service.yml", text, false)).collect();
    outcome.spec.unwrap_or_else(|| panic!("refused:\n{said}"))
}

/// A file with one service that has these keys.
fn service(keys: &str) -> Service {
    let lines: Vec<String> = keys.lines().map(|line| format!("    {line}\n")).collect();
    spec(&format!("services:\n  web:\n{}", lines.concat())).services.remove(0)
}

fn port(container: u16) -> Port {
    Port { container, websocket: None, http: None, https: None, tcp: None, udp: None, tls: None }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_original_three_line_example_is_a_running_service_on_8080() {
    let spec = spec("version: 2\nservices:\n  ws-app:\n    ports:\n    - container: 3000\n      http: 8080\n");
    let [service] = spec.services.as_slice() else { panic!("one service") };
    assert_eq!(&*service.name, "ws-app");
    assert_eq!(service.source, Source::Running(vec![]));
    assert_eq!(service.ports, [Port { http: Some(8080), ..port(3000) }]);
    assert_eq!((service.replicas, service.stop_grace), (1, seconds(10)));
    assert_eq!(service.websocket, WebSocket::default());
}

#[test]
fn every_form_of_ports_is_understood() {
    let http_and_https = Port { http: Some(80), https: Some(443), ..port(3000) };
    for (written, expected) in [
        ("[\"3000:80:443\"]", http_and_https),
        ("[3000:80:443]", http_and_https),
        ("[\"3000:80\"]", Port { http: Some(80), ..port(3000) }),
        ("[\"3000:80:\"]", Port { http: Some(80), ..port(3000) }),
        ("[\"4000::8443\"]", Port { https: Some(8443), ..port(4000) }),
        ("[\"5000\"]", port(5000)),
        ("[5000]", port(5000)),
        ("5000", port(5000)),
        ("\"3000:80:443\"", http_and_https),
        ("[22:22]", Port { http: Some(22), ..port(22) }),
        ("[{container: 3000, http: 80, https: 443}]", http_and_https),
        ("[{container: \"3000\", http: \"80\", https: \"443\"}]", http_and_https),
        ("{container: 3000}", port(3000)),
        ("[{container: 8787, tcp: 9000, udp: 9001}]", Port { tcp: Some(9000), udp: Some(9001), ..port(8787) }),
    ] {
        assert_eq!(service(&format!("ports: {written}")).ports, [expected], "{written}");
    }
}

#[test]
fn what_makes_the_instances_follows_from_the_keys() {
    let text = |text: &str| Some(text.to_owned());
    let image = Source::Image { image: "nginx".into(), command: text("run me") };
    assert_eq!(service("image: nginx\ncommand: run me\ngit_url: https://git.example.com/x").source, image);
    assert_eq!(service("command: run me").source, Source::Command("run me".into()));
    let build =
        Source::Build { root: text("app"), dockerfile: None, git_url: None, git_branch: None, command: text("run") };
    assert_eq!(service("build_root: app\ncommand: run").source, build);
    let host = |host: &str, port| Address::Host { host: host.into(), port };
    for (written, expected) in [
        ("10.0.0.5", vec![host("10.0.0.5", None)]),
        ("10.0.0.5:3000", vec![host("10.0.0.5", Some(3000))]),
        ("App.Internal:3000", vec![host("app.internal", Some(3000))]),
        ("\"[::1]:3000\"", vec![host("::1", Some(3000))]),
        ("\"::1\"", vec![host("::1", None)]),
        ("unix:/run/app.sock", vec![Address::Unix("/run/app.sock".into())]),
        ("[a, b:1]", vec![host("a", None), host("b", Some(1))]),
    ] {
        assert_eq!(service(&format!("address: {written}")).source, Source::Running(expected), "{written}");
    }
}

#[test]
fn server_names_are_kept_in_lower_case() {
    let names =
        service("ports: [\"80:80\"]\ntraffic_matches: [App.Example.com., \"*.Example.org\", _]").traffic_matches;
    let expected =
        [HostPattern::Exact("app.example.com".into()), HostPattern::Under("example.org".into()), HostPattern::Any];
    assert_eq!(names, expected);
}

#[test]
fn variables_keep_their_order_and_are_taken_as_written() {
    let service = service("env_vars: {B: 1, A: \"yes\", C: 0700, D: , E: _env(E:x), F: 1.50, G: true}");
    let expected =
        [("B", "1"), ("A", "yes"), ("C", "0700"), ("D", ""), ("E", "_env(E:x)"), ("F", "1.50"), ("G", "true")];
    assert_eq!(service.env_vars, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn durations_are_seconds_or_have_units() {
    for (written, expected) in
        [("30", 30), ("\"30\"", 30), ("30s", 30), ("1m", 60), ("1h", 3600), ("1m30s", 90), ("0", 0), ("2d", 172_800)]
    {
        assert_eq!(service(&format!("stop_grace: {written}")).stop_grace, seconds(expected), "{written}");
    }
    assert_eq!(service("websocket: {drain: 1500ms}").websocket.drain, Duration::from_millis(1500));
}

#[test]
fn health_is_none_default_or_checks_with_the_documented_defaults() {
    assert_eq!(service("image: x").health, Health::None);
    assert_eq!(service("health: none").health, Health::None);
    assert_eq!(service("health: default").health, Health::Default);
    let Health::Checks { ready: Some(ready), alive: Some(alive), startup: None } =
        service("ports: [80]\nhealth:\n  ready: {}\n  alive: {type: exec, command: /bin/ok, timeout: 300s, period: 1}")
            .health
    else {
        panic!("two checks")
    };
    assert_eq!(ready.kind, CheckKind::Http { endpoint: "/".into(), headers: vec![] });
    assert_eq!(
        (ready.port, ready.timeout, ready.period, ready.initial_delay),
        (None, seconds(5), seconds(5), seconds(1))
    );
    assert_eq!((ready.success_threshold, ready.failure_threshold), (1, 1));
    assert_eq!(alive.kind, CheckKind::Exec("/bin/ok".into()));
    assert_eq!((alive.timeout, alive.period), (seconds(300), seconds(1)));
}

#[test]
fn constraints_are_bytes_and_thousandths_and_bound_the_instances() {
    let constraints = "constraints:\n  resources: {requests: {memory: 100M, cpu: 500m}, limits: {memory: 500Mi, cpu: 1.5}}\n  min_count: 2\n  max_count: 7\n  max_unavailable: 30%\n  max_surge: 2";
    let service = service(constraints);
    assert_eq!(service.constraints.requests, Resources { memory: Some(100_000_000), cpu: Some(500) });
    assert_eq!(service.constraints.limits, Resources { memory: Some(500 << 20), cpu: Some(1500) });
    assert_eq!(
        (service.constraints.max_unavailable, service.constraints.max_surge),
        (Share::Percent(30), Share::Count(2))
    );
    assert_eq!(service.replicas, 2, "at least min_count");
}

#[test]
fn volumes_have_a_source_and_a_place() {
    let volumes = service("volumes:\n- /a:/b:ro\n- _env(LOGS:/var/log):/log\n- {mount_path: /c, nfs: {server: x, path: /y}, read_only: true}").volumes;
    assert_eq!(volumes[0].source, VolumeSource::HostPath("/a".into()));
    assert_eq!((volumes[0].mount_path.as_str(), volumes[0].read_only), ("/b", true));
    assert_eq!(volumes[1].source, VolumeSource::HostPath("_env(LOGS:/var/log)".into()));
    let VolumeSource::Kubernetes(kind, value) = &volumes[2].source else { panic!("nfs") };
    assert_eq!((kind.as_str(), value.to_string().as_str()), ("nfs", r#"{"server":"x","path":"/y"}"#));
}

#[test]
fn the_rest_of_a_service_is_read() {
    let service = service(
        "type: daemon_set\ntags: [\"a=1\", \"b:2\", c]\nannotations: {x: 1}\nsecurity_context: {run_as_user: 1000, privileged: true}\nreplicas: \"3\"\nbalance: source\nsticky: cookie\nproxy_protocol: v2\nslow_start: 30s\nrebalance: 10m\nwork_dir: /app\npost_start_command: warm up",
    );
    assert_eq!(service.workload, Workload::DaemonSet);
    let pairs =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>();
    assert_eq!(service.tags, pairs(&[("a", "1"), ("b", "2"), ("c", "")]));
    assert_eq!(service.annotations, pairs(&[("x", "1")]));
    assert_eq!((service.security_context.run_as_user, service.security_context.privileged), (Some(1000), Some(true)));
    assert_eq!((service.replicas, service.balance, service.sticky), (3, Balance::Source, Sticky::Cookie));
    assert_eq!(service.proxy_protocol, Some(ProxyVersion::V2));
    assert_eq!((service.slow_start, service.rebalance), (Some(seconds(30)), Some(seconds(600))));
    assert_eq!((service.work_dir.as_deref(), service.post_start_command.as_deref()), (Some("/app"), Some("warm up")));
}

#[test]
fn websocket_settings_are_read() {
    let websocket = service("websocket: {keepalive: off, pong_timeout: 5s, idle_timeout: 10m, max_connections: 9, max_connections_per_ip: 3, max_handshake_rate: 50/s, max_message: 16MiB, max_message_rate: 200/s, origins: [\"https://*.Example.com\", \"http://a.b:8080\", \"https://c.d:443\"], drain: 1m}").websocket;
    let origin = |scheme: &str, host, port| Origin { scheme: scheme.into(), host, port };
    let expected = WebSocket {
        keepalive: None,
        pong_timeout: seconds(5),
        idle_timeout: Some(seconds(600)),
        max_connections: Some(9),
        max_connections_per_ip: Some(3),
        max_handshake_rate: Some(50),
        max_message: Some(16 << 20),
        max_message_rate: Some(200),
        origins: vec![
            origin("https", HostPattern::Under("example.com".into()), None),
            origin("http", HostPattern::Exact("a.b".into()), Some(8080)),
            origin("https", HostPattern::Exact("c.d".into()), None),
        ],
        drain: seconds(60),
    };
    assert_eq!(websocket, expected);
}

#[test]
fn the_sections_beside_services_are_read() {
    let spec = spec(
        "services: {web: {image: x}}\ndatabases: [redis]\ntls: {certificates: [{cert: a.pem, key: a.key}], acme: {domains: [Example.com]}}\ngateway: {bind: 127.0.0.1, trusted_proxies: [10.1.2.3/8, \"::1\"], proxy_protocol: [8080, \"443\"], tester: true, status: \"[::1]:8081\", head_timeout: 3, max_head: 64KiB}\nload_balancer: {engine: haproxy, servers: [{name: a, address: Web1, weight: 2, backup: true, zone: b}], httpchk: GET /up, ports: {http: \"80:3000\", ws: 9080}, sticky: off, proxy_protocol: v2, wait_after_adding_servers: 30, ws_check: {type: websocket, endpoint: /cable}}\nfirewall: {rules: [{port: 53, protocol: udp, from: 10.0.0.1}]}\n",
    );
    assert_eq!(spec.databases, [Database::Redis]);
    assert_eq!(spec.tls.certificates[0].cert, "a.pem");
    assert_eq!(spec.tls.acme.as_ref().unwrap().domains, ["example.com"]);
    assert_eq!(spec.gateway.bind, ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    let network = |address: &str, prefix| Network { address: address.parse().unwrap(), prefix };
    assert_eq!(spec.gateway.trusted_proxies, [network("10.0.0.0", 8), network("::1", 128)]);
    assert_eq!(spec.gateway.proxy_protocol, ProxyPorts::Some(vec![8080, 443]));
    assert_eq!(
        (spec.gateway.tester, spec.gateway.head_timeout, spec.gateway.max_head),
        (Some(true), seconds(3), 65536)
    );
    let balancer = spec.load_balancer.as_ref().unwrap();
    assert_eq!((balancer.engine, balancer.httpchk.as_deref()), (LbEngine::Haproxy, Some("GET /up")));
    let port = |public, server| LbPort { public, server };
    assert_eq!((balancer.ports.http, balancer.ports.ws), (port(80, 3000), port(9080, 9080)));
    assert_eq!((balancer.ports.https, balancer.sticky), (port(443, 443), Sticky::Off));
    assert_eq!(balancer.wait_after_adding_servers, seconds(30));
    let checks = [&balancer.check, &balancer.ws_check].map(|check| check.as_ref().map(|check| check.kind.clone()));
    assert_eq!(checks, [None, Some(CheckKind::WebSocket { endpoint: "/cable".into(), headers: vec![] })]);
    assert_eq!(balancer.proxy_protocol, Some(ProxyVersion::V2));
    let server = &balancer.servers[0];
    assert_eq!(
        (server.address.as_str(), server.weight, server.backup, server.zone.as_deref()),
        ("web1", 2, true, Some("b"))
    );
    let rule = &spec.firewall.rules[0];
    assert_eq!((rule.port, rule.protocol, rule.from), (53, Protocol::Udp, Whence::Network(network("10.0.0.1", 32))));
}

#[test]
fn older_spellings_mean_what_they_meant() {
    let old = "production:\n  services:\n    web:\n      git: https://git.example.com/x\n      local_ports: [3000, 4000]\n      public_port: [\"80:443\", \"8080\"]\n      tcp: [\"22:10022\"]\n      env: {A: b}\n      stop_grace: 1m\n      privileged: true\n      health: {type: inbound, endpoint: /up, protocol: HTTPS, timeout: 30s}\n";
    let service = spec(old).services.remove(0);
    let Source::Build { git_url, .. } = &service.source else { panic!("a source to build") };
    assert_eq!(git_url.as_deref(), Some("https://git.example.com/x"));
    let expected = [
        Port { http: Some(80), https: Some(443), ..port(3000) },
        Port { http: Some(8080), ..port(4000) },
        Port { tcp: Some(10022), ..port(22) },
    ];
    assert_eq!(service.ports, expected);
    assert_eq!(service.env_vars, [("A".to_owned(), "b".to_owned())]);
    assert_eq!((service.stop_grace, service.security_context.privileged), (seconds(60), Some(true)));
    let Health::Checks { ready: Some(ready), .. } = service.health else { panic!("a check") };
    assert_eq!(ready.kind, CheckKind::Https { endpoint: "/up".into(), headers: vec![] });
}

#[test]
fn merge_keys_fill_in_what_is_not_given() {
    let text = "x-base: &base {image: nginx, replicas: 2}\nservices:\n  a: {<<: *base, replicas: 3}\n  b: *base\n";
    let spec = spec(text);
    assert_eq!((spec.services[0].replicas, spec.services[1].replicas), (3, 2));
    assert_eq!(spec.services[0].source, spec.services[1].source);
}

#[test]
fn places_lead_from_a_path_to_the_text() {
    let text = "services:\n  web:\n    image: nginx\n    ports: [\"3000:80:443\", {container: 1, tcp: 9000}]\n    websocket:\n      drain: 5s\n  \"a.b\": {image: x}\n";
    let spec = spec(text);
    for (path, expected) in [
        ("services.web.image", "nginx"),
        ("services.web.ports[0]", "\"3000:80:443\""),
        ("services.web.ports[0].http", "80"),
        ("services.web.ports[0].https", "443"),
        ("services.web.ports[1].tcp", "9000"),
        ("services.web.websocket.drain", "5s"),
        ("services.\"a.b\".image", "x"),
    ] {
        let place = spec.places.find(path).unwrap_or_else(|| panic!("{path} has no place"));
        assert_eq!(&text[place], expected, "{path}");
    }
    assert_eq!(spec.places.find("services.api"), None);
}
