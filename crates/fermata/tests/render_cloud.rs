//! Configuration for cloud load balancers: whole files for several service.yml, and what real tools say to them.
//!
//! `tests/render_cloud` has a `NAME.yml` for each service.yml, and a `TARGET.txt` with what becomes of all of them.
//! `FERMATA_BLESS=1 cargo test -p fermata --test render_cloud` writes the latter anew; look at what changed before you
//! commit it. `schemas.json` is what the Terraform providers know of their resources; `schemas.py` makes it.

mod support;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fermata::render::{Rendered, TARGETS, target};
use fermata_spec::balancers::BALANCERS;
use fermata_spec::{Severity, SourceText};
use serde_json::{Value, json};
use support::Folder;

const PORTS: &str = "services:\n  web:\n    image: nginx\n    ports: [\"80:8080\"]\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/render_cloud")
}

/// Name and text of every service.yml.
fn inputs() -> Vec<(String, String)> {
    let entries = fs::read_dir(folder()).expect("the cases are there");
    let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "yml")).collect();
    paths.sort();
    let read = |path: &PathBuf| fs::read_to_string(path).expect("a case can be read");
    paths.iter().map(|path| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), read(path))).collect()
}

/// The targets that stand in front of Fermata or of its machines: all for Terraform and what goes with it.
fn targets() -> Vec<&'static str> {
    let is_balancer = |name: &str| BALANCERS.iter().any(|balancer| name.starts_with(balancer.name));
    let is_here = |name: &&str| is_balancer(name) || name.starts_with("servers-");
    TARGETS.iter().map(|target| target.name).filter(is_here).collect()
}

fn rendered(name: &str, text: &str) -> Rendered {
    let outcome = fermata_spec::read(text);
    let spec = outcome.spec.unwrap_or_else(|| panic!("not a service.yml: {:?}", outcome.diagnostics));
    target(name).expect("a target").render(&spec)
}

/// What is made of a service.yml, and the README.md of the first.
fn transcript(name: &str) -> String {
    let (mut text, mut explained) = (String::new(), false);
    for (input, yml) in inputs() {
        let made = rendered(name, &yml);
        let _ = writeln!(text, "===== {input}");
        let source = SourceText::new(&input, &yml);
        for said in &made.said {
            let place = source.position(said.places[0].span.start);
            let help = said.help.as_deref().unwrap_or_default();
            let _ = writeln!(
                text,
                "{}:{}: {}: {}: {}\n    {help}",
                place.line, place.column, said.severity, said.path, said.message
            );
        }
        for file in made.files.iter().filter(|file| !file.beside || !explained) {
            let _ = write!(text, "----- {}\n{}", file.name, file.text);
        }
        explained |= !made.files.is_empty();
    }
    text
}

#[test]
fn every_file_becomes_exactly_what_is_written_for_each_target() {
    let mut wrong = Vec::new();
    for name in targets() {
        let path = folder().join(format!("{name}.txt"));
        let made = transcript(name);
        if fs::read_to_string(&path).is_ok_and(|expected| expected == made) {
            continue;
        }
        if std::env::var_os("FERMATA_BLESS").is_some() {
            fs::write(&path, made).expect("a case can be written");
        } else {
            wrong.push(format!("{}\n{made}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{} targets differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// All JSON that is rendered, with where it comes from.
fn modules() -> Vec<(String, Value)> {
    let mut modules = Vec::new();
    for name in targets() {
        for (input, yml) in inputs() {
            for file in rendered(name, &yml).files.iter().filter(|file| file.name == "main.tf.json") {
                modules.push((format!("{name} {input}"), serde_json::from_str(&file.text).expect("it is JSON")));
            }
        }
    }
    modules
}

#[test]
fn the_terraform_providers_know_every_argument_and_miss_none() {
    let schemas = fs::read_to_string(folder().join("schemas.json")).expect("the schemas are there");
    let schemas: Value = serde_json::from_str(&schemas).expect("they are JSON");
    let mut wrong = Vec::new();
    for (place, module) in modules() {
        for (kind, resources) in module["resource"].as_object().expect("there are resources") {
            let Some(schema) = schemas.get(kind) else {
                wrong.push(format!("{place}: no provider has {kind}"));
                continue;
            };
            for (name, body) in resources.as_object().expect("resources have names") {
                compare(&format!("{place}: {kind}.{name}"), body, schema, &mut wrong);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether every key is known and all that are required are there. A `!` stands before those.
fn compare(place: &str, body: &Value, schema: &Value, wrong: &mut Vec<String>) {
    if let Some(bodies) = body.as_array() {
        for body in bodies {
            compare(place, body, schema, wrong);
        }
        return;
    }
    let (Some(body), Some(schema)) = (body.as_object(), schema.as_object()) else { return };
    // Terraform's own, for every resource.
    let own = ["for_each", "count", "depends_on", "lifecycle"];
    for (key, value) in body.iter().filter(|(key, _)| !own.contains(&key.as_str())) {
        match schema.get(key).or_else(|| schema.get(&format!("!{key}"))) {
            None => wrong.push(format!("{place} has no argument {key}")),
            Some(inner) => compare(&format!("{place}.{key}"), value, inner, wrong),
        }
    }
    let required = schema.keys().filter_map(|key| key.strip_prefix('!'));
    wrong.extend(required.filter(|key| !body.contains_key(*key)).map(|key| format!("{place} misses {key}")));
}

#[test]
fn every_reference_leads_to_something_that_the_module_has() {
    let mut wrong = Vec::new();
    for (place, module) in modules() {
        let text = module.to_string();
        for piece in text.split("${").skip(1) {
            let expression = piece.split('}').next().unwrap_or_default();
            let words = expression.split(|letter: char| !(letter.is_alphanumeric() || "._".contains(letter)));
            for word in words {
                let mut steps = word.split('.');
                let known = match (steps.next().unwrap_or_default(), steps.next()) {
                    ("var", Some(name)) => module["variable"].get(name).is_some(),
                    (kind, Some(name)) if module["resource"].get(kind).is_some() => {
                        module["resource"][kind].get(name).is_some()
                    }
                    _ => true,
                };
                if !known {
                    wrong.push(format!("{place}: {word}"));
                }
            }
        }
        for (name, variable) in module["variable"].as_object().expect("there are variables") {
            if !text.contains(&format!("var.{name}")) || variable.get("validation").is_none() {
                wrong.push(format!("{place}: variable {name} is not used, or takes anything"));
            }
            let said = variable["description"].as_str().is_some_and(|about| about.ends_with('.'));
            let refused = variable["validation"][0]["error_message"].as_str().is_some_and(|about| about.ends_with('.'));
            assert!(said && refused, "{place}: variable {name}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn cfn_lint_has_nothing_to_say_to_any_template() {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/.venv/bin/cfn-lint");
    let folder = Folder::new(PORTS);
    let mut files = Vec::new();
    for name in targets() {
        for (input, yml) in inputs() {
            for file in rendered(name, &yml).files.iter().filter(|file| file.name == "template.yaml") {
                files.push(folder.write(&format!("{name}-{input}"), &file.text));
            }
        }
    }
    assert!(!files.is_empty());
    let answer = Command::new(tool).args(&files).output().expect("cargo xtask install brings cfn-lint");
    assert_eq!((answer.status.code(), String::from_utf8_lossy(&answer.stdout).as_ref()), (Some(0), ""));
}

#[test]
fn what_a_balancer_cannot_carry_is_told_and_nothing_is_written() {
    let yml = fs::read_to_string(self::folder().join("4-raw.yml")).expect("a case can be read");
    let folder = Folder::new(&yml);
    let ended = folder.run(&["render", "aws-alb", "-o", "aws"]);
    let said = "\
service.yml:6:30: error: services.mqtt.ports[1].tcp: AWS Application Load Balancer carries no raw TCP
    use aws-nlb for it, or open the port beside the balancer
service.yml:9:36: error: services.dns.ports[0].udp: AWS Application Load Balancer carries no UDP
    use aws-nlb for it, or open the port beside the balancer
service.yml: nothing was written
";
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(1), "", said));
    assert!(!folder.path().join("aws").exists());
}

#[test]
fn configuration_and_readme_are_written_into_a_folder_again_and_again() {
    let folder = Folder::new(PORTS);
    for _ in 0..2 {
        let ended = folder.run(&["render", "aws-nlb", "-o", "aws"]);
        let said = "service.yml: written to aws/main.tf.json, aws/README.md (0 left out or changed, 0 notes)\n";
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", said));
    }
    folder.write("aws/README.md", "# Mine\n");
    let before = fs::read(folder.path().join("aws/main.tf.json")).expect("it was written");
    folder.write("service.yml", &PORTS.replace("8080", "8081"));
    let ended = folder.run(&["render", "aws-nlb", "-o", "aws"]);
    let said = "error: aws/README.md was not written by fermata render; move it, or name another folder\n";
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), said));
    assert_eq!(fs::read(folder.path().join("aws/main.tf.json")).expect("it is there"), before);
}

#[test]
fn check_tells_what_does_not_go_well_behind_a_balancer() {
    let yml = "services:\n  web:\n    image: nginx\n    ports: [\"80:8080\"]\n    websocket: {keepalive: 1m}\n";
    let folder = Folder::new(yml);
    let ended = folder.run(&["check", "--behind", "cloudflare"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said = "\
warning[W-BALANCER]: gateway.trusted_proxies: Cloudflare's proxy tells who the client is, and nobody is believed: all clients look like it
warning[W-BALANCER]: services.web.websocket.keepalive: Cloudflare's proxy ends connections that are silent for 100s; a Ping every 1m comes too late";
    let lines = ended.stdout.lines().filter(|line| line.starts_with("warning[W-BALANCER]"));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.join("\n"), said);
    let ended = folder.run(&["check", "--behind", "gcp-nlb"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let ended = folder.run(&["check", "--behind", "elb"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("aws-alb, aws-nlb, aws-classic"), "{}", ended.stderr);
}

#[test]
fn a_health_path_that_no_name_leads_to_is_refused() {
    let yml = "services:\n  web:\n    image: nginx\n    ports: [\"80:8080\"]\n    traffic_matches: [a.example.com]\nload_balancer:\n  \
               servers: [{name: web1, address: 10.0.0.11}]\n  httpchk: \"HEAD /up\"\n";
    let errors = rendered("aws-nlb", yml).said;
    let errors: Vec<&str> = errors.iter().map(|said| said.message.as_str()).collect();
    let expected = [
        "AWS Network Load Balancer asks with GET, not HEAD",
        "a balancer asks by address, and every service answers to its traffic_matches only",
    ];
    assert_eq!(errors, expected);
}

/// Every balancer, with a file that fits all of them and one that is hard to carry.
#[test]
fn every_balancer_judges_by_its_own_row() {
    let hard = fs::read_to_string(folder().join("5-seldom.yml")).expect("a case can be read");
    let spec = fermata_spec::read(&hard).spec.expect("it is a service.yml");
    let mut text = String::new();
    for balancer in BALANCERS {
        let said = fermata_spec::balancers::judge(balancer, &spec);
        let errors = said.iter().filter(|one| one.severity == Severity::Error).count();
        let _ = writeln!(text, "{}: {errors} errors, {} warnings", balancer.name, said.len() - errors);
    }
    let expected = "\
aws-alb: 2 errors, 1 warnings
aws-nlb: 1 errors, 1 warnings
aws-classic: 1 errors, 1 warnings
aws-api-gateway: 3 errors, 2 warnings
gcp-alb: 2 errors, 0 warnings
gcp-nlb: 2 errors, 1 warnings
azure-appgw: 2 errors, 1 warnings
azure-lb: 1 errors, 1 warnings
azure-frontdoor: 3 errors, 2 warnings
digitalocean: 3 errors, 1 warnings
hetzner: 1 errors, 2 warnings
linode: 1 errors, 2 warnings
vultr: 2 errors, 1 warnings
scaleway: 2 errors, 1 warnings
openstack-octavia: 2 errors, 1 warnings
rackspace: 2 errors, 1 warnings
cloudflare: 2 errors, 2 warnings
fly: 2 errors, 1 warnings
oracle: 2 errors, 1 warnings
";
    assert_eq!(text, expected);
}

/// The value of a resource's argument, for every resource of a kind in what a target makes of a service.yml.
fn arguments(target: &str, input: &str, kind: &str, pointer: &str) -> Vec<Value> {
    let (_, yml) = inputs().into_iter().find(|(name, _)| name == input).expect("a case");
    arguments_of(&yml, target, kind, pointer)
}

fn arguments_of(yml: &str, target: &str, kind: &str, pointer: &str) -> Vec<Value> {
    let module: Value = serde_json::from_str(&rendered(target, yml).files[0].text).expect("it is JSON");
    let resources = module["resource"][kind].as_object().cloned().unwrap_or_default();
    resources.values().map(|body| body.pointer(pointer).cloned().unwrap_or(Value::Null)).collect()
}

#[test]
fn no_idle_limit_is_less_than_two_pings() {
    // 2-both pings every two minutes.
    for (target, kind, pointer, seconds) in [
        ("aws-alb", "aws_lb", "/idle_timeout", 1.0),
        ("aws-nlb", "aws_lb_listener", "/tcp_idle_timeout_seconds", 1.0),
        ("azure-lb", "azurerm_lb_rule", "/idle_timeout_in_minutes", 60.0),
        ("digitalocean", "digitalocean_loadbalancer", "/http_idle_timeout_seconds", 1.0),
        ("openstack-octavia", "openstack_lb_listener_v2", "/timeout_client_data", 0.001),
        ("openstack-octavia", "openstack_lb_listener_v2", "/timeout_member_data", 0.001),
    ] {
        let limits = arguments(target, "2-both.yml", kind, pointer);
        let enough = |limit: &Value| limit.as_f64().is_some_and(|limit| limit * seconds >= 240.0);
        assert!(!limits.is_empty() && limits.iter().all(enough), "{target}: {limits:?}");
    }
    let tunnels = arguments("scaleway", "2-both.yml", "scaleway_lb_backend", "/timeout_tunnel");
    assert_eq!(tunnels, ["3600s"]);
    // An idle limit of the balancer itself means nothing for an NLB.
    assert_eq!(arguments("aws-nlb", "2-both.yml", "aws_lb", "/idle_timeout"), [Value::Null]);
}

#[test]
fn no_lifetime_is_taken_for_an_idle_limit() {
    assert_eq!(arguments("gcp-alb", "2-both.yml", "google_compute_backend_service", "/timeout_sec"), [86_400]);
    let settings = arguments(
        "azure-appgw",
        "2-both.yml",
        "azurerm_application_gateway",
        "/backend_http_settings/0/request_timeout",
    );
    assert_eq!(settings, [86_400]);
}

#[test]
fn no_server_is_asked_at_the_path_of_a_websocket() {
    for (place, module) in modules() {
        let text = module.to_string();
        for path in ["path", "request_path", "url_path", "uri", "check_path"] {
            for piece in text.split(&format!("\"{path}\":\"")).skip(1) {
                let asked = piece.split('"').next().unwrap_or_default();
                assert!(["/.fermata/health", "/healthz"].contains(&asked), "{place}: {asked}");
            }
        }
        for codes in ["\"101", "426\"", "\"400"] {
            assert!(!text.contains(codes), "{place}: {codes}");
        }
    }
}

#[test]
fn no_upgrade_is_sent_over_http_2() {
    assert_eq!(arguments("aws-alb", "2-both.yml", "aws_lb_target_group", "/protocol_version"), ["HTTP1"]);
    assert_eq!(arguments("gcp-alb", "2-both.yml", "google_compute_backend_service", "/protocol"), ["HTTP"]);
    for (place, module) in modules() {
        let text = module.to_string().to_lowercase();
        for word in ["\"http2\"", "\"h2c\"", "\"grpc\"", "http2only"] {
            assert!(!text.contains(word), "{place}: {word}");
        }
    }
}

#[test]
fn no_server_is_cut_off_sooner_than_its_tunnels_leave() {
    // 2-both drains for 90 s.
    for (target, kind, pointer) in [
        ("aws-alb", "aws_lb_target_group", "/deregistration_delay"),
        ("aws-nlb", "aws_lb_target_group", "/deregistration_delay"),
        ("aws-nlb", "aws_lb_target_group", "/target_health_state/unhealthy_draining_interval"),
        ("gcp-alb", "google_compute_backend_service", "/connection_draining_timeout_sec"),
        (
            "azure-appgw",
            "azurerm_application_gateway",
            "/backend_http_settings/0/connection_draining/drain_timeout_sec",
        ),
    ] {
        let times = arguments(target, "2-both.yml", kind, pointer);
        assert!(!times.is_empty() && times.iter().all(|time| time.as_u64() >= Some(90)), "{target}: {times:?}");
    }
    let text = rendered("fly", &inputs()[1].1).files[0].text.clone();
    assert!(text.contains("kill_timeout = \"95s\"\n") && !text.contains("soft_limit = 20\n"), "{text}");
}

#[test]
fn one_failed_check_cuts_no_socket() {
    let pointer = "/target_health_state/enable_unhealthy_connection_termination";
    let group = "aws_lb_target_group";
    assert_eq!(arguments("aws-nlb", "1-page.yml", group, pointer), [false]);
    assert_eq!(arguments("aws-nlb", "1-page.yml", group, "/connection_termination"), [false]);
    assert_eq!(arguments("scaleway", "1-page.yml", "scaleway_lb_backend", "/on_marked_down_action"), ["none"]);
    assert_eq!(arguments("linode", "1-page.yml", "linode_nodebalancer_config", "/check_passive"), [false]);
    assert_eq!(arguments("azure-lb", "1-page.yml", "azurerm_lb_rule", "/tcp_reset_enabled"), [true]);
}

#[test]
fn proxy_protocol_is_not_spoken_to_a_gateway_that_does_not_expect_it() {
    for (place, module) in modules().into_iter().filter(|(place, _)| !place.contains("7-announced.yml")) {
        let text = module.to_string();
        for word in [
            "\"proxy_protocol_v2\":true",
            "\"enable_proxy_protocol\":true",
            "\"proxyprotocol\":true",
            "PROXYV2",
            "\"v2\"",
        ] {
            assert!(!text.contains(word), "{place}: {word}");
        }
    }
}

#[test]
fn rules_for_load_balancers_are_written_when_it_is_known_where_these_are() {
    let yml = format!("{PORTS}firewall: {{rules: [{{port: 8080, from: load_balancer}}]}}\n");
    for name in ["servers-aws", "servers-gcp", "servers-digitalocean"] {
        let Rendered { files, said } = rendered(name, &yml);
        let said: Vec<_> = said.iter().map(|one| (&*one.path, &*one.message, one.help.as_deref())).collect();
        let (why, way) =
            ("which addresses the load balancers have is not known", "name them under gateway: trusted_proxies");
        assert_eq!((files.len(), said), (0, vec![("firewall.rules[0].from", why, Some(way))]), "{name}");
    }
}

#[test]
fn the_port_of_every_target_and_check_is_open_to_the_balancer_and_to_nobody_else() {
    for input in ["1-page.yml", "2-both.yml", "6-short.yml"] {
        let inside = arguments("aws-alb", input, "aws_vpc_security_group_ingress_rule", "/cidr_ipv4");
        let groups = arguments("aws-alb", input, "aws_vpc_security_group_ingress_rule", "/security_group_id");
        for (network, group) in inside.iter().zip(&groups) {
            let servers = group == "${aws_security_group.servers.id}";
            assert_eq!(network.is_null(), servers, "{input}: only the balancer's group may reach the servers");
        }
        let open = arguments("aws-alb", input, "aws_vpc_security_group_egress_rule", "/to_port");
        let checked = arguments("aws-alb", input, "aws_lb_target_group", "/health_check/port");
        for port in checked.iter().filter_map(Value::as_str) {
            assert!(open.iter().any(|open| open.as_u64() == port.parse().ok()), "{input}: {port} of {open:?}");
        }
    }
}

/// The table of docs/elsewhere.md.
fn documented() -> String {
    use fermata_spec::balancers::{Carries, Drain, Idle};
    let mut table =
        "| balancer | carries | silence | time to leave | pins by |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for balancer in BALANCERS {
        let mut carries = match balancer.carries {
            Carries::Requests | Carries::RequestsAsTheyCome => "http, https".to_owned(),
            Carries::Bytes => "http, https, tcp, byte for byte".to_owned(),
            Carries::Messages => "messages of its own".to_owned(),
        };
        carries += if balancer.tcp && balancer.carries == Carries::Requests { ", tcp" } else { "" };
        carries += if balancer.udp { ", udp" } else { "" };
        let idle = match balancer.idle {
            Idle::Set(range, _) => format!("{} s, up to {} s", range.default, range.max),
            Idle::Fixed(seconds) => format!("{seconds} s"),
            Idle::Assumed(seconds) => format!("{seconds} s, assumed"),
            Idle::Unlimited => "no limit".to_owned(),
        };
        let drain = match balancer.drain {
            Drain::Set(range) => format!("up to {} s", range.max),
            Drain::Unbounded => "no limit".to_owned(),
        };
        let pins = match balancer.pins {
            fermata_spec::balancers::Pins::Cookie => "cookie",
            fermata_spec::balancers::Pins::Address => "address",
        };
        let name = balancer.name;
        let target = if target(name).is_some() { format!("**`{name}`**") } else { format!("`{name}`") };
        let _ = writeln!(table, "| {target} | {carries} | {idle} | {drain} | {pins} |");
    }
    table
}

#[test]
fn the_documentation_has_the_table_of_balancers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/elsewhere.md");
    let page = fs::read_to_string(&path).expect("the page is there");
    let (before, rest) = page.split_once("<!-- balancers -->\n").expect("the table begins");
    let (_, after) = rest.split_once("<!-- end -->").expect("the table ends");
    let made = format!("{before}<!-- balancers -->\n\n{}\n<!-- end -->{after}", documented());
    if std::env::var_os("FERMATA_BLESS").is_some() {
        fs::write(&path, &made).expect("it can be written");
    } else {
        assert_eq!(page, made);
    }
}

#[test]
fn the_proxy_protocol_is_on_at_both_ends_or_at_none() {
    for (target, kind, pointer, on, off) in [
        ("hetzner", "hcloud_load_balancer_service", "/proxyprotocol", json!(true), json!(false)),
        ("linode", "linode_nodebalancer_config", "/proxy_protocol", json!("v2"), json!("none")),
        ("scaleway", "scaleway_lb_backend", "/proxy_protocol", json!("v2"), json!("none")),
        ("vultr", "vultr_load_balancer", "/proxy_protocol", json!(true), json!(false)),
    ] {
        for (input, expected) in [("7-announced.yml", &on), ("1-page.yml", &off)] {
            let said = arguments(target, input, kind, pointer);
            assert!(!said.is_empty() && said.iter().all(|one| one == expected), "{target} {input}: {said:?}");
        }
    }
    let yml = fs::read_to_string(folder().join("7-announced.yml")).expect("a case can be read");
    let errors = |target: &str, yml: &str| -> Vec<String> {
        let made = rendered(target, yml);
        assert!(made.files.is_empty(), "{target}");
        made.said.into_iter().filter(|said| said.path == "gateway.proxy_protocol").map(|said| said.message).collect()
    };
    let preserved = "AWS Network Load Balancer passes the clients' own addresses on, and says no PROXY protocol";
    assert_eq!(errors("aws-nlb", &yml), [preserved]);
    let forwarded = "Fly.io tells who the client is by X-Forwarded-For, and says no PROXY protocol";
    assert_eq!(errors("fly", &yml), [forwarded]);
    let one = yml.replace("proxy_protocol: true", "proxy_protocol: [8080, 8443]");
    let everywhere = "Vultr Load Balancer says the PROXY protocol on all ports or on none, and 1883 expects none";
    assert_eq!(errors("vultr", &one), [everywhere]);
    assert_eq!(arguments_of(&one, "hetzner", "hcloud_load_balancer_service", "/proxyprotocol"), [false, true, true]);
}
