//! Which service a request belongs to: by public port and by name.

use crate::site::Service;
use crate::support::{Fermata, Folder, free_port};
use crate::talk::Talk;

/// Asks for a name, and tells which of the services is asked then.
fn asked(port: u16, target: &str, host: &str, services: &[(&'static str, &Service)]) -> &'static str {
    let mut client = Talk::to(port);
    client.say(&format!("GET {target} HTTP/1.1\nHost: {host}\nConnection: close\n\n"));
    let (name, mut far) = services
        .iter()
        .cycle()
        .find_map(|(name, service)| service.try_accept().map(|far| (*name, far)))
        .expect("somebody is asked");
    far.head();
    far.say("HTTP/1.1 204 No Content\nConnection: close\n\n");
    client.head();
    name
}

#[test]
fn services_of_one_port_are_told_apart_by_name() {
    let (first, late, wild, near, any) =
        (Service::new(), Service::new(), Service::new(), Service::new(), Service::new());
    let http = free_port();
    let service = |name: &str, service: &Service, matches: &str| {
        format!(
            "  {name}: {{address: 127.0.0.1:{}, ports: [\"3000:{http}\"], traffic_matches: [{matches}]}}\n",
            service.port
        )
    };
    let services = [
        service("any", &any, "_"),
        service("wild", &wild, "\"*.example.test\""),
        service("first", &first, "app.example.test, other.test"),
        service("late", &late, "app.example.test"),
        service("near", &near, "\"*.eu.example.test\""),
    ];
    let fermata =
        Fermata::up(&format!("version: 2\nservices:\n{}gateway: {{bind: [\"127.0.0.1\"]}}\n", services.concat()));
    let services = [("first", &first), ("late", &late), ("wild", &wild), ("near", &near), ("any", &any)];
    for (host, name) in [
        ("app.example.test", "first"),
        ("App.Example.TEST:8080", "first"),
        ("app.example.test.", "first"),
        ("other.test", "first"),
        ("x.example.test", "wild"),
        ("a.b.example.test", "wild"),
        ("x.eu.example.test", "near"),
        ("eu.example.test", "wild"),
        ("example.test", "any"),
        ("127.0.0.1", "any"),
        ("[::1]:8080", "any"),
        ("", "any"),
    ] {
        assert_eq!(asked(http, "/", host, &services), name, "{host}");
    }
    assert_eq!(asked(http, "http://other.test/", "x.example.test", &services), "first");
    let stderr = fermata.stop().stderr;
    let warning = "app.example.test";
    assert!(
        stderr.lines().next().is_some_and(|line| line.starts_with("warning") && line.contains(warning)),
        "{stderr}"
    );
}

#[test]
fn one_service_may_have_several_ports_and_another_name_on_each() {
    let (one, two) = (Service::new(), Service::new());
    let [a, b, c] = [(); 3].map(|()| free_port());
    let _fermata = Fermata::up(&format!(
        r#"version: 2
services:
  one: {{address: 127.0.0.1:{}, ports: ["3000:{a}", {{container: 3000, http: {b}}}], traffic_matches: [one.test]}}
  two: {{address: 127.0.0.1:{}, ports: ["3000:{a}", "3000:{c}"]}}
gateway: {{bind: ["127.0.0.1"]}}
"#,
        one.port, two.port
    ));
    let services = [("one", &one), ("two", &two)];
    assert_eq!(asked(a, "/", "one.test", &services), "one");
    assert_eq!(asked(a, "/", "else.test", &services), "two");
    assert_eq!(asked(b, "/", "one.test", &services), "one");
    assert_eq!(asked(c, "/", "one.test", &services), "two");
    let mut client = Talk::to(b);
    client.say("GET / HTTP/1.1\nHost: else.test\n\n");
    assert!(client.response().head.starts_with("HTTP/1.1 404 Not Found\n"));
}

#[test]
fn every_form_of_a_port_is_read() {
    for (ports, listening) in [
        ("3000", ""),
        ("[3000]", ""),
        ("[\"3000:8080\"]", "listen  ws   8080  app (1 instance)\n"),
        ("[\"3000::8443\"]", "listen  wss  8443  app (1 instance)\n"),
        ("[\"3000:8080:8443\"]", "listen  ws   8080  app (1 instance)\nlisten  wss  8443  app (1 instance)\n"),
        (
            "[{container: 3000, http: 80, https: 443}]",
            "listen  ws     80  app (1 instance)\nlisten  wss   443  app (1 instance)\n",
        ),
        (
            "[{container: 3000, tcp: 9000, udp: 9000}, {container: 3001, http: \"8080\"}]",
            "listen  ws   8080  app (1 instance)\nlisten  tcp  9000  app (1 instance)\nlisten  udp  9000  app (1 instance)\n",
        ),
    ] {
        let folder = Folder::new(&format!("version: 2\nservices:\n  app: {{address: 127.0.0.1, ports: {ports}}}\n"));
        let ended = folder.run(&["up", "--dry-run"]);
        let plan: String =
            ended.stdout.lines().filter(|line| line.starts_with("listen")).map(|line| format!("{line}\n")).collect();
        assert_eq!((ended.code, plan.as_str()), (Some(0), listening), "{ports}: {}{}", ended.stdout, ended.stderr);
    }
}
