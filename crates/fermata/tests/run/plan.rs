//! What `up --dry-run` prints, and what each instance gets.

use std::ffi::OsStr;
use std::time::Duration;

use fermata_spec::{Address, Check, CheckKind, Health, Port, Source};

use crate::site::{Site, port, service};

fn texts(site: &Site) -> Vec<String> {
    site.plan().unwrap_err().iter().map(ToString::to_string).collect()
}

fn env(site: &mut Site, variables: &[(&str, &str)]) {
    site.caller.env = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
}

fn vars(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_plan_tells_what_is_started_in_which_order_and_keeps_secrets() {
    let mut site = Site::new();
    site.caller.folder = "/srv/shop".into();
    env(&mut site, &[("DB_PASSWORD", "topsecret"), ("TOKEN", "topsecret"), ("HOME", "/home/ada")]);
    let mut web = service("web", "node server.js --port $(PORT) --name '$(NAME) of $(HOME)' --token=_env(TOKEN)");
    web.work_dir = Some("web".to_owned());
    web.ports = vec![Port { http: Some(8080), ..port(3000) }, port(4000), Port { udp: Some(53), ..port(5353) }];
    web.requires = vec!["db".into(), "cache".into(), "queue".into()];
    web.env_vars = vars(&[
        ("NAME", "the shop"),
        ("DATABASE_URL", "postgres://app:_env(DB_PASSWORD)@localhost/shop"),
        ("SESSION_KEY", "AUTO_GENERATE_32"),
        ("MODE", "_env(MODE:live)"),
    ]);
    let check = |kind| Check {
        kind,
        port: None,
        timeout: Duration::from_secs(5),
        success_threshold: 1,
        failure_threshold: 3,
        initial_delay: Duration::from_secs(1),
        period: Duration::from_secs(5),
    };
    let page = CheckKind::Http { endpoint: "/healthz".to_owned(), headers: Vec::new() };
    web.health = Health::Checks {
        ready: Some(check(page)),
        alive: Some(Check { port: Some(4000), ..check(CheckKind::Tcp) }),
        startup: Some(check(CheckKind::Exec("./is-up --port=$(PORT) _env(TOKEN)".to_owned()))),
    };
    let mut db = service("db", "postgres -D data");
    db.ports = vec![port(5432)];
    db.stop_grace = Duration::from_secs(30);
    let mut queue = service("queue", "worker");
    queue.replicas = 3;
    let mut chat = service("chat", "python3 chat.py --port=$(PORT)");
    chat.ports = vec![port(3000)];
    chat.replicas = 2;
    let socket = CheckKind::WebSocket { endpoint: "/ws".to_owned(), headers: Vec::new() };
    chat.health = Health::Checks { ready: Some(check(socket)), alive: None, startup: None };
    chat.requires = vec!["db".into()];
    let mut cache = service("cache", "");
    cache.source = Source::Running(vec![
        Address::Host { host: "10.0.0.5".to_owned(), port: None },
        Address::Host { host: "fd00::1".to_owned(), port: Some(7000) },
        Address::Unix("/run/cache.sock".to_owned()),
    ]);
    cache.ports = vec![port(6379)];
    site.spec.services = vec![web, db, queue, chat, cache];
    let wanted = "\
start db
  command    postgres -D data
  folder     /srv/shop
  instances  db.1
  listen     127.0.0.1:5432 (PORT and PORT_5432)
  ready      once 127.0.0.1:5432 accepts a connection
  stop       TERM to the process group, KILL after 30 s

start queue
  command    worker
  folder     /srv/shop
  instances  queue.1 to queue.3
  ready      as soon as it has been started
  stop       TERM to the process group, KILL after 10 s

start web, once db and queue are ready
  command    node server.js --port 3000 --name 'the shop of $(HOME)' '--token=_env(TOKEN)'
  folder     /srv/shop/web
  variables  NAME='the shop'
             DATABASE_URL='postgres://app:_env(DB_PASSWORD)@localhost/shop'
             SESSION_KEY=AUTO_GENERATE_32
             MODE='_env(MODE:live)'
  instances  web.1
  listen     127.0.0.1:3000 (PORT and PORT_3000)
             127.0.0.1:4000 (PORT_4000)
             127.0.0.1:5353, UDP (PORT_5353)
  startup    ./is-up '--port=3000' '_env(TOKEN)' ends with exit code 0; restarted if it does not within 16 s
  ready      while GET /healthz at 127.0.0.1:3000 answers 200 to 399, looked at after 1 s and every 5 s
  alive      127.0.0.1:4000 accepts a connection, looked at after 1 s and every 5 s; restarted after 3 failures in a row
  stop       TERM to the process group, KILL after 10 s

start chat, once db is ready
  command    python3 chat.py '--port=$(PORT)'
  folder     /srv/shop
  instances  chat.1 to chat.2
  listen     127.0.0.1, each at a free port (PORT and PORT_3000)
  ready      while a WebSocket handshake with /ws at its port 3000 succeeds, looked at after 1 s and every 5 s
  stop       TERM to the process group, KILL after 10 s

use cache, which runs already
  at         10.0.0.5:6379
             [fd00::1]:7000
             unix:/run/cache.sock
";
    assert_eq!(site.plan().unwrap().to_string(), wanted);
}

#[test]
fn an_instance_gets_the_callers_environment_its_own_variables_and_its_ports() {
    let mut site = Site::with("'my program' $(PORT) $(PORT_4000) _env(WORDS) $(GREETING) $(NOBODY) $$(PORT)");
    env(&mut site, &[("WORDS", "two words"), ("HOME", "/home/ada"), ("NOTIFY_SOCKET", "/run/systemd/notify")]);
    let web = &mut site.spec.services[0];
    web.ports = vec![port(3000), port(4000)];
    web.env_vars = vars(&[("GREETING", "hello $(PORT)"), ("PORT", "1")]);
    let plan = site.plan().unwrap();
    let launch = plan.services[0].program.launch(&[(3000, 31000), (4000, 31001)]);
    assert_eq!(launch.program, "my program");
    assert_eq!(launch.arguments, ["31000", "31001", "two words", "hello $(PORT)", "$(NOBODY)", "$(PORT)"]);
    let env: Vec<(&OsStr, &OsStr)> = launch.env.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
    let wanted = [
        ("GREETING", "hello $(PORT)"),
        ("HOME", "/home/ada"),
        ("PORT", "31000"),
        ("PORT_3000", "31000"),
        ("PORT_4000", "31001"),
        ("WORDS", "two words"),
    ];
    assert_eq!(env, wanted.map(|(name, value)| (OsStr::new(name), OsStr::new(value))));
}

#[test]
fn variables_of_other_services_are_resolved_and_generated_ones_are_the_same_everywhere() {
    let mut site = Site::new();
    env(&mut site, &[("REGION", "north")]);
    let mut web = service("web", "web");
    web.env_vars = vars(&[
        ("URL", "db://_env(SERVICE[db].USER):_env(SERVICE[db].PASSWORD)@_env(SERVICE[db].HOST:localhost)"),
        ("OLD", "{{SERVICE[db].PLACE}}/_env:REGION"),
        ("NESTED", "_env(NONE:_env(REGION))"),
        ("OTHER", "_env(STACK[x1].KEY:none)"),
        ("SHORT", "AUTO_GENERATE"),
    ]);
    let mut db = service("db", "db");
    db.env_vars = vars(&[("USER", "app"), ("PASSWORD", "AUTO_GENERATE_12"), ("PLACE", "_env(REGION) pole")]);
    site.spec.services = vec![web, db];
    let plan = site.plan().unwrap();
    let values = |place: usize| -> Vec<String> {
        let variables = &plan.services[place].program.surroundings.variables;
        variables.iter().map(|(name, value)| format!("{name}={}", value.text)).collect()
    };
    assert_eq!(
        values(0),
        [
            "URL=db://app:ABCDEFGHIJKL@localhost",
            "OLD=north pole/north",
            "NESTED=north",
            "OTHER=none",
            "SHORT=ABCDEFGHIJ",
        ]
    );
    assert_eq!(values(1), ["USER=app", "PASSWORD=ABCDEFGHIJKL", "PLACE=north pole"]);
}

#[test]
fn everything_that_cannot_be_resolved_is_told_at_once_with_its_place_and_a_way_out() {
    let mut site = Site::new();
    env(&mut site, &[]);
    let mut web = service("web", "web --key=_env(KEY)");
    web.env_vars = vars(&[
        ("A", "_env(HOST_NAME)"),
        ("B", "_env(SERVICE[db].PASSWORD)"),
        ("C", "_env(SERVICE[cache].X)"),
        ("D", "_env(STACK[x1].SERVICE[db].KEY)"),
        ("E", "_env(KEY"),
        ("F", "_env(SERVICE[db].LOOP)"),
    ]);
    let mut db = service("db", "db 'half");
    db.env_vars = vars(&[("LOOP", "a_env(SERVICE[web].F)")]);
    let empty = service("empty", " # nothing");
    let mut image = service("image", "");
    image.source = Source::Image { image: "redis:7".to_owned(), command: None };
    let mut unchecked = service("unchecked", "u");
    let portless = Check {
        kind: CheckKind::Tcp,
        port: None,
        timeout: Duration::from_secs(5),
        success_threshold: 1,
        failure_threshold: 1,
        initial_delay: Duration::from_secs(1),
        period: Duration::from_secs(5),
    };
    unchecked.health = Health::Checks { ready: None, alive: Some(portless), startup: None };
    site.spec.services = vec![web, db, empty, image, unchecked];
    assert_eq!(
        texts(&site),
        [
            "services.web.env_vars.A: the environment variable HOST_NAME is not set; set it, or give a default: \
             _env(HOST_NAME:default)",
            "services.web.env_vars.B: service db has no variable PASSWORD, and the environment has none either; add \
             it to env_vars of db, or give a default: _env(SERVICE[db].PASSWORD:default)",
            "services.web.env_vars.C: _env(SERVICE[cache].X) names no service of this file",
            "services.web.env_vars.D: _env(STACK[x1].SERVICE[db].KEY) is a variable of another application, which is \
             not known here; write its value, or give a default: _env(STACK[x1].SERVICE[db].KEY:default)",
            "services.web.env_vars.E: \"_env(KEY\" is not a reference; write _env(VAR), _env(VAR:default) or \
             _env(SERVICE[name].VAR)",
            "services.web.env_vars.F: web.F to db.LOOP to web.F refer to each other in a circle; give one of them a \
             value",
            "services.web.command: the environment variable KEY is not set; set it, or give a default: \
             _env(KEY:default)",
            "services.db.env_vars.LOOP: web.F to db.LOOP to web.F refer to each other in a circle; give one of them \
             a value",
            "services.db.command: a quote is opened and not closed, or the last letter is a \\",
            "services.empty.command: the command is empty; write the program to run",
            "services.unchecked.health.alive: the service has no port to check; give the check a port",
        ]
    );
}

#[test]
fn two_that_would_listen_on_one_port_of_the_machine_are_told() {
    let mut site = Site::new();
    let with = |name: &str, ports: Vec<Port>, replicas: u32| {
        let mut service = service(name, "x");
        service.ports = ports;
        service.replicas = replicas;
        service
    };
    site.spec.services = vec![
        with("api", vec![port(3000)], 1),
        with("web", vec![port(4000), port(3000)], 1),
        with("page", vec![Port { http: Some(8080), ..port(8080) }], 1),
        with("dns", vec![Port { udp: Some(8080), ..port(5353) }], 1),
        with("many", vec![Port { http: Some(5353), ..port(3000) }], 2),
    ];
    let wanted = [
        "services.web.ports[1].container: as a process of this machine web would listen on 127.0.0.1:3000, and so \
         would api; write another container port (the process gets it in PORT)",
        "services.page.ports[0].container: as a process of this machine page would listen on 127.0.0.1:8080, and so \
         would the gateway, for page; write another container port (the process gets it in PORT)",
    ];
    assert_eq!(texts(&site), wanted);
    site.spec.gateway.bind = vec!["10.0.0.1".parse().unwrap()];
    assert_eq!(texts(&site), wanted[..1]);
}
