//! Endpoints that a cluster knows: pods come and go, the API server breaks in every way that it has, and tunnels are held or
//! told to leave.
//!
//! Each pod is a real service on an address of its own (127.0.0.2 and up).

#[path = "../support/mod.rs"]
mod support;

mod api_server;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use support::{Fermata, Folder, Process, free_port, until};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use api_server::{ApiServer, Gone, ended, ready, terminating, unready};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const A: &str = "127.0.0.2";
const B: &str = "127.0.0.3";

/// A cluster of one Service, whose pods all listen on one port, and a file that follows it.
struct Site {
    api: ApiServer,
    folder: Folder,
    /// The public port.
    port: u16,
    /// The port of every pod.
    container: u16,
    pods: Vec<Process>,
}

impl Site {
    /// With pods at these addresses, which nobody knows yet.
    fn new(pods: &[&str]) -> Site {
        let folder = Folder::new("");
        let api = ApiServer::start(&folder);
        let (port, container) = (free_port(), free_port());
        let pods = pods.iter().map(|address| {
            let at = format!("{address}:{container}");
            let process = Process::start(&mut folder.command(&["echo", "--listen", &at]));
            process.wait_for("that it listens", |line| line.starts_with("listening"));
            process
        });
        let pods = pods.collect();
        let site = Site { api, folder, port, container, pods };
        site.folder.write("service.yml", &site.file("500ms"));
        site
    }

    fn file(&self, drain: &str) -> String {
        let Site { port, container, api, .. } = self;
        format!(
            "version: 2\nservices:\n  chat:\n    endpoints: {{kubernetes: shop/web}}\n    websocket: {{drain: {drain}}}\n    \
             ports: [{{container: {container}, http: {port}}}]\ngateway: {{bind: [\"127.0.0.1\"]}}\n\
             kubernetes: {{server: \"https://127.0.0.1:{}\", ca: api.pem, token_file: token}}\n",
            api.port
        )
    }

    /// Puts the only slice.
    fn pods_are(&self, pods: &[api_server::Pod]) {
        self.api.put("web-1", self.container, pods);
    }

    fn up(self) -> Running {
        let Site { api, folder, port, container, pods } = self;
        let fermata = folder.up();
        Running { fermata, api, port, container, _pods: pods }
    }
}

struct Running {
    fermata: Fermata,
    api: ApiServer,
    port: u16,
    container: u16,
    _pods: Vec<Process>,
}

impl Running {
    fn pods_are(&self, pods: &[api_server::Pod]) {
        self.api.put("web-1", self.container, pods);
    }

    fn instances(&self) -> Vec<String> {
        let status = self.fermata.status();
        let instances = status["services"][0]["instances"].as_array().expect("instances").iter();
        let word = |one: &serde_json::Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
        instances.map(|one| format!("{} {} {}", word(one, "name"), word(one, "state"), one["live"])).collect()
    }

    fn until_instances(&self, expected: &[&str]) {
        let told = || self.instances().join("; ");
        until(&format!("the instances are {expected:?}, and not {}", told()), || told() == expected.join("; "));
    }

    fn says(&self, line: &str) {
        let whole = |said: &str| said.ends_with(&line.replace("PORT", &self.container.to_string()));
        let process = &self.fermata.process;
        assert!(process.stdout.wait_for(whole).is_some(), "{line:?} is not in\n{}", process.transcript());
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn open(port: u16) -> Socket {
    connect_async(format!("ws://127.0.0.1:{port}/")).await.expect("a tunnel opens").0
}

async fn open_many(port: u16, count: usize) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        sockets.push(open(port).await);
    }
    sockets
}

async fn works(socket: &mut Socket) {
    socket.send(Message::text("still here")).await.expect("the tunnel takes a message");
    assert_eq!(socket.next().await.expect("open").expect("a message"), Message::text("still here"));
}

/// How tunnels ended, as their clients saw it.
async fn endings(sockets: Vec<Socket>) -> BTreeMap<(u16, String), usize> {
    let one = async |mut socket: Socket| loop {
        match socket.next().await {
            Some(Ok(Message::Close(Some(close)))) => return (u16::from(close.code), close.reason.to_string()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return (1006, String::new()),
        }
    };
    let mut tasks = JoinSet::new();
    for socket in sockets {
        tasks.spawn(one(socket));
    }
    let mut seen = BTreeMap::new();
    while let Some(ending) = tasks.join_next().await {
        *seen.entry(ending.expect("no client panics")).or_default() += 1;
    }
    seen
}

fn told_to_come_back(count: usize) -> BTreeMap<(u16, String), usize> {
    BTreeMap::from([((1012, "the service restarts".to_owned()), count)])
}

#[test]
fn pods_get_traffic_as_they_become_ready_and_their_tunnels_are_told_as_they_leave() {
    let site = Site::new(&[A, B]);
    site.pods_are(&[ready("web-a", A), unready("web-b", B)]);
    let running = site.up();
    running.says("chat.web-a at 127.0.0.2:PORT is ready");
    running.says("chat.web-b at 127.0.0.3:PORT is not ready");
    runtime().block_on(async {
        let mut first = open_many(running.port, 20).await;
        running.until_instances(&["chat.web-a ready 20", "chat.web-b not ready 0"]);
        running.pods_are(&[ready("web-a", A), ready("web-b", B)]);
        running.says("chat.web-b at 127.0.0.3:PORT is ready");
        let mut second = open_many(running.port, 20).await;
        running.until_instances(&["chat.web-a ready 20", "chat.web-b ready 20"]);
        // What is only not ready gets nothing new, and keeps what it has.
        running.pods_are(&[unready("web-a", A), ready("web-b", B)]);
        running.says("chat.web-a at 127.0.0.2:PORT is not ready");
        running.until_instances(&["chat.web-a not ready 20", "chat.web-b ready 20"]);
        second.extend(open_many(running.port, 5).await);
        works(&mut first[0]).await;
        // Whoever comes back is known with all that it has.
        running.pods_are(&[ready("web-a", A), ready("web-b", B)]);
        running.until_instances(&["chat.web-a ready 20", "chat.web-b ready 25"]);
        running.pods_are(&[terminating("web-a", A), ready("web-b", B)]);
        assert_eq!(endings(first).await, told_to_come_back(20));
        running.until_instances(&["chat.web-a stopping 0", "chat.web-b ready 25"]);
        running.says("chat.web-a leaves: 20 tunnels are being closed over 0.5 s");
        running.pods_are(&[ready("web-b", B)]);
        running.until_instances(&["chat.web-b ready 25"]);
        for socket in &mut second {
            works(socket).await;
        }
        // One that vanishes without a word of its end leaves all the same.
        running.api.delete("web-1");
        assert_eq!(endings(second).await, told_to_come_back(25));
        running.says("warning: Service shop/web has no endpoints: is it there, and does it select pods?");
    });
    assert_eq!(running.fermata.stop().code, Some(0));
}

#[test]
fn where_all_pods_leave_those_that_still_serve_get_what_is_new() {
    let site = Site::new(&[A, B]);
    site.pods_are(&[ready("web-a", A)]);
    let running = site.up();
    running.says("chat.web-a at 127.0.0.2:PORT is ready");
    runtime().block_on(async {
        let first = open_many(running.port, 10).await;
        running.pods_are(&[terminating("web-a", A)]);
        assert_eq!(endings(first).await, told_to_come_back(10));
        // They come back to where they were, as nobody else is there.
        let mut second = open_many(running.port, 10).await;
        running.until_instances(&["chat.web-a stopping 10"]);
        works(&mut second[0]).await;
        running.pods_are(&[terminating("web-a", A), unready("web-b", B)]);
        running.until_instances(&["chat.web-a stopping 10", "chat.web-b not ready 0"]);
        running.pods_are(&[terminating("web-a", A), ready("web-b", B)]);
        assert_eq!(endings(second).await, told_to_come_back(10));
        let third = open_many(running.port, 10).await;
        running.until_instances(&["chat.web-a stopping 0", "chat.web-b ready 10"]);
        running.pods_are(&[ended("web-a", A), ended("web-b", B)]);
        assert_eq!(endings(third).await, told_to_come_back(10));
        let refused = connect_async(format!("ws://127.0.0.1:{}/", running.port)).await.expect_err("nobody serves");
        assert_eq!(refused.to_string(), "HTTP error: 503 Service Unavailable");
    });
    assert_eq!(running.fermata.stop().code, Some(0));
}

#[test]
fn a_watch_that_breaks_is_resumed_from_where_it_was_and_misses_nothing() {
    let site = Site::new(&[A]);
    site.pods_are(&[ready("web-a", A)]);
    let running = site.up();
    let api = &running.api;
    api.until_asked(&["list from 0", "watch from 101"]);
    api.bookmark();
    api.put("web-2", running.container, &[unready("web-b", B)]);
    running.says("chat.web-b at 127.0.0.3:PORT is not ready");
    // In the middle of a line.
    api.cut();
    api.until_asked(&["list from 0", "watch from 101", "watch from 112"]);
    api.put("web-2", running.container, &[unready("web-c", B)]);
    running.says("chat.web-c at 127.0.0.3:PORT is not ready");
    // As ends a watch whose time is over; then as one that has heard of nothing but time.
    api.end();
    api.until_asked(&["list from 0", "watch from 101", "watch from 112", "watch from 113"]);
    api.put("web-2", running.container, &[unready("web-d", B)]);
    running.says("chat.web-d at 127.0.0.3:PORT is not ready");
    api.bookmark();
    api.end();
    api.until_asked(&["list from 0", "watch from 101", "watch from 112", "watch from 113", "watch from 124"]);
    assert_eq!(running.fermata.stop().code, Some(0));
}

#[test]
fn a_version_that_is_too_old_begins_again_with_a_list_of_several_pages() {
    let site = Site::new(&[A]);
    site.pods_are(&[ready("web-a", A)]);
    let running = site.up();
    let api = &running.api;
    api.until_asked(&["list from 0", "watch from 101"]);
    for (gone, name) in [(Gone::AtOnce, "web-b"), (Gone::AsEvent, "web-c")] {
        runtime().block_on(async {
            let tunnels = open_many(running.port, 10).await;
            // While nobody watches, a pod leaves and others come.
            api.refuse(Some((500, "etcdserver: leader changed")));
            api.cut();
            running.pods_are(&[]);
            for slice in ["web-2", "web-3", "web-4", "web-5"] {
                api.put(slice, running.container, &[unready(name, B)]);
            }
            api.compact(gone);
            api.refuse(None);
            assert_eq!(endings(tunnels).await, told_to_come_back(10));
        });
        running.says(&format!("chat.{name} at 127.0.0.3:PORT is not ready"));
        let asked = api.asked();
        let lists: Vec<&str> = asked.iter().map(String::as_str).filter(|asked| asked.starts_with("list")).collect();
        assert_eq!(lists[lists.len() - 3..], ["list from 0", "list from 2", "list from 4"], "{asked:?}");
        running.pods_are(&[ready("web-a", A)]);
        running.until_instances(&["chat.web-a ready 0", &format!("chat.{name} not ready 0")]);
    }
    assert_eq!(running.fermata.stop().code, Some(0));
}

#[test]
fn while_the_api_server_is_away_what_was_found_last_stays_true() {
    let site = Site::new(&[A, B]);
    site.pods_are(&[ready("web-a", A)]);
    let certificate = site.folder.path().join("api.pem");
    let mut running = site.up();
    runtime().block_on(async {
        let mut tunnels = open_many(running.port, 5).await;
        let port = running.api.port;
        running.api = ApiServer::start_again(&certificate, 0, 100);
        running.says(&format!(
            "warning: cannot follow Service shop/web: the API server 127.0.0.1:{port}: Connection refused (os error 111)"
        ));
        tunnels.extend(open_many(running.port, 5).await);
        running.api = ApiServer::start_again(&certificate, port, 1000);
        running.pods_are(&[ready("web-a", A), ready("web-b", B)]);
        running.says("the endpoints of chat are followed again");
        running.until_instances(&["chat.web-a ready 10", "chat.web-b ready 0"]);
        for socket in &mut tunnels {
            works(socket).await;
        }
    });
    assert_eq!(running.fermata.stop().code, Some(0));
}

#[test]
fn a_token_that_is_replaced_is_read_again_and_who_may_not_ask_is_told_what_to_do() {
    let site = Site::new(&[A]);
    site.pods_are(&[ready("web-a", A)]);
    let running = site.up();
    let api = &running.api;
    api.until_asked(&["list from 0", "watch from 101"]);
    running.fermata.folder.write("token", "second-token\n");
    api.want("second-token");
    api.cut();
    api.until_asked(&["list from 0", "watch from 101", "watch from 101"]);
    api.want("third-token");
    api.cut();
    let cannot = format!("warning: cannot follow Service shop/web: the API server 127.0.0.1:{}", api.port);
    running.says(&format!("{cannot}: 401: Unauthorized; look at kubernetes.token_file"));
    api.want("second-token");
    running.says("the endpoints of chat are followed again");
    api.refuse(Some((403, "endpointslices.discovery.k8s.io is forbidden")));
    api.cut();
    running.says(&format!(
        "{cannot}: 403: endpointslices.discovery.k8s.io is forbidden; its account needs a Role with list and watch for \
         endpointslices of discovery.k8s.io"
    ));
    assert_eq!(running.fermata.stop().code, Some(0));
}

#[test]
fn a_service_that_leads_to_another_port_is_told_of() {
    let site = Site::new(&[]);
    site.api.put("web-1", 81, &[ready("web-a", A)]);
    site.api.put("web-2", 80, &[ready("web-a", A)]);
    let running = site.up();
    running.says("warning: Service shop/web leads to port 80, 81 of its pods, not to PORT: write container: 80, 81");
    assert_eq!(running.instances(), [""; 0]);
    assert_eq!(running.fermata.stop().code, Some(0));
}

#[test]
fn a_reload_and_an_upgrade_go_on_with_the_pods_that_are_there() {
    let site = Site::new(&[A, B]);
    site.pods_are(&[ready("web-a", A), ready("web-b", B)]);
    let longer = site.file("1s");
    let running = site.up();
    let ask = |arguments: &[&str]| {
        let mut command = running.fermata.folder.command(arguments);
        command.args(["--state-dir", "state"]);
        async move {
            let asked = tokio::task::spawn_blocking(move || command.output().expect("fermata runs"));
            let output = asked.await.expect("no panic");
            (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
        }
    };
    runtime().block_on(async {
        let mut tunnels = open_many(running.port, 10).await;
        running.fermata.folder.write("service.yml", &longer);
        let (said, why) = ask(&["reload"]).await;
        assert!(said.starts_with("reloaded: "), "{said}{why}");
        for socket in &mut tunnels {
            works(socket).await;
        }
        let lists = running.api.asked().iter().filter(|asked| asked.starts_with("list")).count();
        assert_eq!(lists, 1, "the reload was no reason to ask anew");
        let (said, why) = ask(&["upgrade"]).await;
        assert!(said.contains("10 tunnels went along"), "{said}{why}");
        running.until_instances(&["chat.web-a ready 5", "chat.web-b ready 5"]);
        running.pods_are(&[ready("web-b", B)]);
        running.until_instances(&["chat.web-b ready 5"]);
        running.api.delete("web-1");
        assert_eq!(endings(tunnels).await, told_to_come_back(10));
    });
    assert_eq!(running.fermata.stop().code, Some(0));
}

#[test]
fn tunnels_of_a_pod_that_was_not_ready_and_is_gone_after_an_upgrade_are_told() {
    let site = Site::new(&[A, B]);
    site.pods_are(&[ready("web-a", A), ready("web-b", B)]);
    let running = site.up();
    running.says("chat.web-b at 127.0.0.3:PORT is ready");
    runtime().block_on(async {
        let tunnels = open_many(running.port, 10).await;
        running.pods_are(&[ready("web-a", A), unready("web-b", B)]);
        running.until_instances(&["chat.web-a ready 5", "chat.web-b not ready 5"]);
        // The new process hears nothing of the cluster until the pod is gone.
        running.api.refuse(Some((500, "etcdserver: leader changed")));
        let mut command = running.fermata.folder.command(&["upgrade", "--state-dir", "state"]);
        let asked = tokio::task::spawn_blocking(move || command.output().expect("fermata runs"));
        let output = asked.await.expect("no panic");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("10 tunnels went along"), "{said}");
        running.pods_are(&[ready("web-a", A)]);
        running.api.refuse(None);
        running.until_instances(&["chat.web-a ready 5"]);
        running.api.delete("web-1");
        assert_eq!(endings(tunnels).await, told_to_come_back(10));
    });
    assert_eq!(running.fermata.stop().code, Some(0));
}

/// What docs/elsewhere.md says of it was printed here; how long it takes is no matter of right or wrong.
#[test]
fn how_soon_a_change_of_the_cluster_is_known_is_printed() {
    let site = Site::new(&[]);
    site.pods_are(&[ready("web-a", A)]);
    let running = site.up();
    running.says("chat.web-a at 127.0.0.2:PORT is ready");
    let mut times = Vec::new();
    for round in 0..50 {
        let (address, begun) = (format!("127.0.1.{round}"), Instant::now());
        running.pods_are(&[ready("web-b", &address)]);
        running.says(&format!("chat.web-b at {address}:PORT is ready"));
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let [least, middle, most] = [0, times.len() / 2, times.len() - 1].map(|at| times[at].as_secs_f64() * 1000.0);
    println!("50 changes were known after {least:.1} ms at least, {middle:.1} ms in the middle, {most:.1} ms at most");
    assert_eq!(running.fermata.stop().code, Some(0));
}

#[test]
fn the_edge_that_is_rendered_for_a_cluster_finds_its_pods_there() {
    let Site { api, folder, port, container, pods: _pods } = Site::new(&[A]);
    let status = free_port();
    folder.write(
        "cluster.yml",
        &format!(
            "services:\n  web:\n    image: example/web\n    sticky: cookie\n    websocket: {{drain: 2s}}\n    \
             ports: [{{container: {container}, http: {port}}}]\n"
        ),
    );
    let rendered = folder.run(&["render", "kubernetes-edge", "cluster.yml"]);
    assert_eq!(rendered.code, Some(0), "{rendered:?}");
    let file: String = rendered
        .stdout
        .lines()
        .skip_while(|line| *line != "  service.yml: |")
        .skip(1)
        .map_while(|line| line.strip_prefix("    "))
        .flat_map(|line| [line, "\n"])
        .collect();
    let here = format!("gateway:\n  bind: [127.0.0.1]\n  status: \"127.0.0.1:{status}\"\n");
    let file = file.replace("gateway:\n  status: \"0.0.0.0:9090\"\n", &here);
    let cluster = format!(
        "kubernetes: {{server: \"https://127.0.0.1:{}\", ca: api.pem, token_file: token, namespace: shop}}\n",
        api.port
    );
    folder.write("service.yml", &(file + &cluster));
    api.put("web-1", container, &[ready("web-a", A)]);
    let fermata = folder.up();
    runtime().block_on(async {
        let (socket, answer) = connect_async(format!("ws://127.0.0.1:{port}/")).await.expect("a tunnel opens");
        let cookie = answer.headers()["set-cookie"].to_str().expect("a text");
        assert_eq!(cookie, "fermata-web=web.web-a; Path=/; HttpOnly; SameSite=Lax");
        api.put("web-1", container, &[terminating("web-a", A)]);
        assert_eq!(endings(vec![socket]).await, told_to_come_back(1));
    });
    assert_eq!(fermata.stop().code, Some(0));
}

#[test]
fn without_a_cluster_nothing_is_started() {
    let folder = Folder::new("services:\n  web:\n    endpoints: kubernetes\n    ports: [\"3000:8080\"]\n");
    let planned = folder.run(&["up", "--dry-run"]);
    assert!(
        planned.stdout.contains(
            "follow web, which Kubernetes runs\n  at         Service web of Fermata's own namespace\n  ports      3000\n"
        ),
        "{planned:?}"
    );
    let mut command = folder.command(&["up", "--state-dir", "state"]);
    let output = command.env_remove("KUBERNETES_SERVICE_HOST").output().expect("fermata runs");
    let said = "error: services.web.endpoints: this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set); name the API \
                server: kubernetes: {server: https://…, ca: …, token_file: …}\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), said);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_double_serves_what_the_schema_of_kubernetes_accepts() {
    let site = Site::new(&[]);
    site.pods_are(&[ready("web-a", A), unready("web-b", B), terminating("web-c", B)]);
    let text: String = site.api.slices().iter().map(|slice| format!("---\n{slice}\n")).collect();
    let file = site.folder.write("slices.yaml", &text);
    let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/.venv/bin/kubernetes-validate");
    let answer = Command::new(tool).arg("--strict").arg(file).output().expect("cargo xtask install brings it");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stdout));
}
