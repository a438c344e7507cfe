//! How services start: in which order, when they are ready, and what is told when they cannot.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use fermata::run::{Event, InstanceName};
use fermata_spec::{CheckKind, Health, Port};
use tokio::net::TcpStream;

use crate::site::{LISTEN, Running, Site, check, free_port, port, service};

async fn ready(running: &mut Running) -> (String, Vec<(u16, SocketAddr)>) {
    loop {
        if let Event::Ready { instance, addresses } = running.event().await {
            return (instance.to_string(), addresses.to_vec());
        }
    }
}

#[tokio::test]
async fn a_single_instance_listens_on_its_container_port_and_is_ready_once_it_accepts_connections() {
    let mut site = Site::with("./listen");
    site.program("listen", LISTEN);
    let listens = free_port();
    site.spec.services[0].ports = vec![port(listens)];
    let mut running = site.up().await;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, listens));
    assert_eq!(running.event().await.to_string(), "web.1 starts");
    assert_eq!(running.event().await.to_string(), format!("web.1 is ready, {listens} at {address}"));
    assert!(TcpStream::connect(address).await.is_ok());
    assert_eq!(running.down().await, ["web.1 stops", "web.1 has stopped"]);
}

#[tokio::test]
async fn each_of_several_instances_gets_free_ports_of_its_own() {
    let mut site = Site::with("sh -c 'echo $PORT $PORT_3000 $PORT_5353 > ports.$PORT; exec ./listen'");
    site.program("listen", LISTEN);
    let web = &mut site.spec.services[0];
    web.replicas = 3;
    web.ports = vec![port(3000), Port { udp: Some(53), ..port(5353) }, Port { http: Some(8080), ..port(3000) }];
    let mut running = site.up().await;
    let mut ports = Vec::new();
    for _ in 0..3 {
        let (instance, addresses) = ready(&mut running).await;
        let [(3000, first), (5353, second)] = addresses[..] else { panic!("{instance} is at {addresses:?}") };
        let text = site.text(&format!("ports.{}", first.port()));
        assert_eq!(text, format!("{0} {0} {1}\n", first.port(), second.port()));
        ports.extend([first.port(), second.port()]);
    }
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 6, "{ports:?}");
    running.down().await;
}

#[tokio::test]
async fn a_service_starts_once_those_that_it_requires_are_ready_and_stops_before_them() {
    let mut site = Site::new();
    site.program("listen", LISTEN);
    // Listens only after it was told to.
    site.program("slow", "#!/bin/sh\nmkfifo go 2>/dev/null\nread line < go\nexec ./listen\n");
    let mut web = service("web", "./listen");
    web.ports = vec![port(3000)];
    web.replicas = 2;
    web.requires = vec!["db".into(), "queue".into()];
    let mut db = service("db", "./slow");
    db.ports = vec![port(free_port())];
    let queue = service("queue", "sh -c 'exec sleep 1000'");
    site.spec.services = vec![web, db, queue];
    let mut running = site.up().await;
    let first = [running.event().await, running.event().await, running.event().await].map(|event| event.to_string());
    assert_eq!(first, ["db.1 starts", "queue.1 starts", "queue.1 is ready"]);
    let fifo = site.path("go");
    tokio::task::spawn_blocking(move || {
        while !fifo.exists() {
            std::thread::yield_now();
        }
        fs::write(fifo, "go\n").unwrap();
    })
    .await
    .unwrap();
    let second = running.until("db.1 is ready").await;
    assert_eq!(second.len(), 1, "{second:?}");
    let mut third = [running.event().await, running.event().await].map(|event| event.to_string());
    third.sort();
    assert_eq!(third, ["web.1 starts", "web.2 starts"]);
    ready(&mut running).await;
    ready(&mut running).await;
    let end = running.down().await;
    let place = |text: &str| end.iter().position(|event| event == text).unwrap();
    for web in ["web.1 has stopped", "web.2 has stopped"] {
        assert!(place(web) < place("db.1 stops").min(place("queue.1 stops")), "{end:#?}");
    }
    assert_eq!(end.len(), 8, "{end:#?}");
}

#[tokio::test]
async fn what_waits_for_others_can_be_stopped() {
    let mut site = Site::new();
    let mut web = service("web", "sleep 1000");
    web.requires = vec!["db".into()];
    let mut db = service("db", "sleep 1000");
    db.ports = vec![port(free_port())];
    site.spec.services = vec![web, db];
    let mut running = site.up().await;
    running.until("db.1 starts").await;
    assert_eq!(running.down().await, ["web.1 has stopped", "db.1 stops", "db.1 has stopped"]);
}

#[tokio::test]
async fn nothing_is_started_where_one_program_cannot_be() {
    let mut site = Site::new();
    site.file("notes.txt", "");
    site.program("script", "#!/opt/no-such-interpreter -x\n");
    site.caller.env.insert("PATH".into(), "/usr/bin:/bin".into());
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let number = taken.local_addr().unwrap().port();
    let mut elsewhere = service("elsewhere", "true");
    elsewhere.work_dir = Some("no/such/folder".to_owned());
    let mut checked = service("checked", "sleep 1000");
    let exec = check(CheckKind::Exec("no-such-check --fast".to_owned()));
    checked.health = Health::Checks { ready: None, alive: Some(exec), startup: None };
    let mut listens = service("listens", "sleep 1000");
    listens.ports = vec![port(number)];
    site.spec.services = vec![
        service("good", "touch started"),
        service("missing", "no-such-program --port 1"),
        service("path", "bin/no-such-program"),
        service("plain", "./notes.txt"),
        service("folder", "./"),
        service("script", "./script"),
        elsewhere,
        checked,
        listens,
    ];
    let folder = site.folder.path().display();
    let shell = "a command runs without a shell: for a shell's own words write sh -c '...'";
    let comm = fs::read_to_string("/proc/self/comm").unwrap();
    let holder = format!("{} (pid {})", comm.trim(), std::process::id());
    let wanted = [
        format!(
            "services.missing.command: the program no-such-program is in none of the folders of PATH \
             (/usr/bin:/bin); install it, or write its path; {shell}"
        ),
        format!("services.path.command: the program {folder}/bin/no-such-program does not exist; {shell}"),
        format!(
            "services.plain.command: {folder}/./notes.txt is not executable; run chmod +x on it, or write the \
             program that runs it in front"
        ),
        format!("services.folder.command: {folder}/./ is a folder and no program"),
        format!(
            "services.script.command: the first line of {folder}/./script names /opt/no-such-interpreter, which is \
             no program of this machine; install it, or change that line"
        ),
        format!(
            "services.elsewhere.command: the folder {folder}/no/such/folder does not exist; create it, or change \
             work_dir"
        ),
        format!(
            "services.checked.health.alive.command: the program no-such-check is in none of the folders of PATH \
             (/usr/bin:/bin); install it, or write its path; {shell}"
        ),
        format!(
            "services.listens.ports: 127.0.0.1:{number}, where listens is to listen, is taken already by {holder}; \
             end that process, or write another container port"
        ),
    ];
    assert_eq!(site.try_up().await.err().unwrap(), wanted);
    assert!(!site.path("started").exists());
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_ends_is_started_again_after_longer_and_longer_waits() {
    // No port and so no check: nothing else makes the paused clock run ahead.
    let site = Site::with("sh -c 'echo run >> runs; exit 3'");
    let mut running = site.up().await;
    for wait in ["0.5", "1", "2", "4", "8", "16", "30", "30"] {
        let ended = format!("web.1 ended with exit code 3; starting again in {wait} s");
        for wanted in ["web.1 starts", "web.1 is ready", &ended] {
            assert_eq!(running.event_at_any_time().await.to_string(), wanted);
        }
    }
    running.down_at_any_time().await;
    assert_eq!(site.text("runs"), "run\n".repeat(8));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_takes_its_time_is_told_with_what_is_waited_for() {
    let mut site = Site::with("sleep 1000");
    let silent = free_port();
    site.spec.services[0].ports = vec![port(silent)];
    let mut running = site.up().await;
    assert_eq!(running.event_at_any_time().await.to_string(), "web.1 starts");
    let wanted = format!("web.1 is still not ready: nothing listens at 127.0.0.1:{silent}");
    assert_eq!(running.event_at_any_time().await.to_string(), wanted);
    running.down_at_any_time().await;
}

#[tokio::test]
async fn folders_may_be_relative_to_where_fermata_was_called() {
    let mut site = Site::with("./program");
    fs::create_dir(site.path("web")).unwrap();
    site.program("web/program", "#!/bin/sh\npwd\nexec sleep 1000\n");
    site.spec.services[0].work_dir = Some("web".to_owned());
    let here = std::env::current_dir().unwrap();
    let up: std::path::PathBuf = here.components().skip(1).map(|_| "..").collect();
    site.caller.folder = up.join(site.folder.path().strip_prefix("/").unwrap());
    let mut running = site.up().await;
    assert_eq!(running.line().await.text, site.path("web").canonicalize().unwrap().display().to_string());
    running.down().await;
}

#[tokio::test]
async fn instances_and_services_can_be_added_and_removed_while_others_run() {
    let mut site = Site::with("sh -c 'echo $PORT; exec ./listen'");
    site.program("listen", LISTEN);
    let fixed = free_port();
    site.spec.services[0].ports = vec![port(fixed)];
    let mut running = site.up().await;
    ready(&mut running).await;

    site.spec.services[0].replicas = 3;
    let mut worker = service("worker", "sleep 1000");
    worker.requires = vec!["web".into()];
    site.spec.services.push(worker);
    let plan = site.plan().unwrap();
    let names: Vec<InstanceName> = plan.services[0].instances.iter().map(|instance| instance.name.clone()).collect();
    running.supervisor.add(plan.services).unwrap();
    let mut added = [ready(&mut running).await.0, ready(&mut running).await.0, ready(&mut running).await.0];
    added.sort();
    assert_eq!(added, ["web.2", "web.3", "worker.1"]);

    names[..2].iter().for_each(|name| running.supervisor.dismiss(name));
    let mut stopped = Vec::new();
    for _ in 0..4 {
        stopped.push(running.event().await.to_string());
    }
    stopped.sort();
    assert_eq!(stopped, ["web.1 has stopped", "web.1 stops", "web.2 has stopped", "web.2 stops"]);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, fixed)).await.is_err());

    assert_eq!(running.supervisor.instances("web"), &names[2..]);

    let mut broken = site.plan().unwrap().services;
    broken[0].program.words[0].text = "no-such-program".to_owned();
    assert_eq!(running.supervisor.add(broken).unwrap_err().len(), 1);
    let end = running.down().await;
    assert_eq!(end, ["worker.1 stops", "worker.1 has stopped", "web.3 stops", "web.3 has stopped"]);
}

#[tokio::test]
async fn the_cause_of_an_end_is_told() {
    let mut site = Site::new();
    site.spec.services = vec![
        service("done", "true"),
        service("code", "sh -c 'exit 7'"),
        service("signal", "sh -c 'kill -9 $$$$'"),
        service("fault", "sh -c 'kill -SEGV $$$$'"),
        service("vanished", "./once"),
    ];
    site.program("once", "#!/bin/sh\nrm once\n");
    let mut running = site.up().await;
    let mut seen = Vec::new();
    while seen.len() < 6 {
        let event = running.event().await;
        if let Event::Exited { .. } = event {
            seen.push(event.to_string());
        }
    }
    for wanted in [
        "done.1 ended with exit code 0; starting again in 0.5 s",
        "code.1 ended with exit code 7; starting again in 0.5 s",
        "signal.1 ended with signal 9 (KILL); starting again in 0.5 s",
        "fault.1 ended with signal 11 (SEGV); starting again in 0.5 s",
        "vanished.1 ended with exit code 0; starting again in 0.5 s",
    ] {
        assert!(seen.iter().any(|event| event == wanted), "{wanted} is not in {seen:#?}");
    }
    let vanished = running.until("vanished.1 cannot be started").await.pop().unwrap();
    let folder = site.folder.path().display();
    assert!(vanished.contains(&format!("the program {folder}/./once does not exist")), "{vanished}");
    running.down().await;
}
