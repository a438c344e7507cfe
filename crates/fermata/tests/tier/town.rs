//! Machines on one switch, each in a network namespace of its own: a client, two balancers, three web servers.

use std::process::Command;

use rustix::process::Signal;

use crate::support::{Folder, Process, until};

/// The first machines' last numbers; their addresses are 10.88.0.NUMBER.
const CLIENT: u8 = 2;
const BALANCERS: [u8; 2] = [11, 12];
const SERVERS: [u8; 3] = [21, 22, 23];

/// One machine, held by a process that sleeps in it.
struct Machine {
    number: u8,
    process: Process,
}

/// A service that runs on a machine: `fermata up` or `fermata lb`.
pub(crate) struct Running {
    pub(crate) process: Process,
    state: String,
}

/// All of it. Namespaces end with the processes in them.
pub(crate) struct Town {
    // In the order in which they end.
    pub(crate) balancers: Vec<Running>,
    pub(crate) servers: Vec<Running>,
    services: Vec<Process>,
    machines: Vec<Machine>,
    switch: Process,
    pub(crate) folder: Folder,
}

impl Town {
    /// The town, with everything running: `keys` are more of `load_balancer`, a line each.
    pub(crate) fn new(keys: &str) -> Town {
        let switch = hold(Command::new("unshare").args(user()).arg("--net"));
        shell(switch.pid(), "ip link set lo up; ip link add switch type bridge; ip link set switch up");
        let mut town = Town {
            balancers: Vec::new(),
            servers: Vec::new(),
            services: Vec::new(),
            machines: Vec::new(),
            switch,
            folder: Folder::new(""),
        };
        for number in [CLIENT].into_iter().chain(BALANCERS).chain(SERVERS) {
            town.build(number);
        }
        for number in SERVERS {
            let mut echo = enter(town.pid(number));
            echo.arg(env!("CARGO_BIN_EXE_fermata")).args(["echo", "--listen", "127.0.0.1:3000"]);
            let echo = Process::start(&mut echo);
            echo.wait_for("that it listens", |line| line.contains("3000"));
            town.services.push(echo);
            let file = "services:\n  app:\n    address: 127.0.0.1:3000\n    websocket: {keepalive: off}\n    \
                        ports: [{container: 3000, http: 8080}]\n\
                        gateway: {trusted_proxies: [10.88.0.11, 10.88.0.12]}\n";
            let server = town.start("up", number, file);
            server.process.wait_for("that it is ready", |line| line.starts_with("ready"));
            town.servers.push(server);
        }
        let servers = SERVERS.map(|number| format!("  - {{name: web{number}, address: 10.88.0.{number}}}\n")).concat();
        // A dead server is found soon, where a test says nothing else.
        let silence = if keys.contains("websocket:") { "" } else { "\nwebsocket: {keepalive: 1s, pong_timeout: 1s}" };
        let keys: String = format!("{keys}{silence}").trim().lines().map(|line| format!("  {line}\n")).collect();
        for number in BALANCERS {
            let file = format!(
                "load_balancer:\n  servers:\n{servers}  ports: {{http: \"80:8080\"}}\n  sticky: off\n  \
                 check: {{type: http, endpoint: /healthz, period: 1, timeout: 1, failure_threshold: 2, initial_delay: 0}}\n{keys}\
                 gateway: {{connect_timeout: 1s, answer_timeout: 2s}}\n"
            );
            let balancer = town.start("lb", number, &file);
            for server in SERVERS {
                let well = format!("web{server} is well on 8080");
                balancer.process.wait_for(&well, |line| line.contains(&well));
            }
            town.balancers.push(balancer);
        }
        town
    }

    /// A machine and its cable.
    fn build(&mut self, number: u8) {
        let process = hold(enter(self.switch.pid()).args(["unshare", "--net"]));
        let machine = process.pid();
        shell(
            self.switch.pid(),
            &format!(
                "ip link add m{number} type veth peer name lan netns {machine}; ip link set m{number} master switch;
                 ip link set m{number} up"
            ),
        );
        shell(machine, &format!("ip link set lo up; ip address add 10.88.0.{number}/24 dev lan; ip link set lan up"));
        self.machines.push(Machine { number, process });
    }

    fn pid(&self, number: u8) -> i32 {
        let machine = self.machines.iter().find(|one| one.number == number).expect("a machine of this number");
        machine.process.pid()
    }

    /// `fermata up` or `lb` with this file, on a machine.
    fn start(&self, command: &str, number: u8, file: &str) -> Running {
        self.folder.write(&format!("m{number}.yml"), file);
        self.run(command, number)
    }

    /// The same with the file that it had.
    fn run(&self, command: &str, number: u8) -> Running {
        let name = format!("m{number}.yml");
        let state = format!("state{number}");
        let mut process = enter(self.pid(number));
        process.args([env!("CARGO_BIN_EXE_fermata"), command, "--state-dir", &state, &name]);
        process.current_dir(self.folder.path()).env("NO_COLOR", "1").env("RUST_LOG", "warn");
        Running { process: Process::start(&mut process), state }
    }

    /// Moves the client far away, for as long as what is returned runs: each packet to it or from it takes so many milliseconds, and a
    /// part of so many percent is lost.
    pub(crate) fn move_client_away(&self, delay: u32, loss: u32) -> Process {
        let (switch, client) = (self.switch.pid(), self.pid(CLIENT));
        shell(switch, &format!("ip link delete m{CLIENT}"));
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tier/wire.py");
        let mut wire = enter(switch);
        wire.args(["python3", script, "wire0", "wire1", &delay.to_string(), &loss.to_string()]);
        let wire = Process::start(&mut wire);
        wire.wait_for("that both ends are there", |line| line == "there");
        shell(
            switch,
            &format!("ip link set wire0 master switch; ip link set wire0 up; ip link set wire1 netns {client}"),
        );
        shell(
            client,
            &format!("ip link set wire1 name lan; ip address add 10.88.0.{CLIENT}/24 dev lan; ip link set lan up"),
        );
        wire
    }

    /// A process of the client.
    pub(crate) fn client(&self, script: &str, arguments: &[&str]) -> Process {
        let peers = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/ws/");
        let mut command = enter(self.pid(CLIENT));
        command.arg("node").arg(format!("{peers}{script}")).args(arguments);
        Process::start(&mut command)
    }

    /// Asks a balancer so often, and tells what came of it.
    pub(crate) fn ask(&self, count: usize, balancer: usize) -> String {
        self.ask_at(count, &format!("10.88.0.{}", BALANCERS[balancer]))
    }

    /// Asks an address.
    pub(crate) fn ask_at(&self, count: usize, address: &str) -> String {
        let mut asking = self.client("ask.js", &[&count.to_string(), &format!("http://{address}/")]);
        assert!(asking.wait().success(), "{}", asking.transcript());
        asking.stdout.whole()
    }

    /// A client that holds so many sockets through the balancers of these numbers.
    pub(crate) fn open(&self, count: usize, balancers: &[usize]) -> Process {
        let addresses: Vec<String> = balancers.iter().map(|one| format!("10.88.0.{}", BALANCERS[*one])).collect();
        self.open_at(count, &addresses.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The same through these addresses.
    pub(crate) fn open_at(&self, count: usize, addresses: &[&str]) -> Process {
        let urls: Vec<String> = addresses.iter().map(|address| format!("ws://{address}/")).collect();
        let count = count.to_string();
        let arguments: Vec<&str> = std::iter::once(count.as_str()).chain(urls.iter().map(String::as_str)).collect();
        let holding = self.client("hold.js", &arguments);
        holding.wait_for("that they are open", |line| line == format!("open {count}"));
        holding
    }

    /// How many tunnels each server has, as a balancer counts.
    pub(crate) fn live(&self, balancer: usize) -> Vec<u64> {
        let said = self.folder.run(&["status", "--state-dir", &self.balancers[balancer].state, "--format", "json"]);
        let status: serde_json::Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{said:?}"));
        let servers = status["services"][0]["instances"].as_array().expect("servers").iter();
        servers.map(|one| one["live"].as_u64().expect("a number")).collect()
    }

    /// Pulls a server's cable, or plugs it in.
    pub(crate) fn cable(&self, server: usize, state: &str) {
        shell(self.switch.pid(), &format!("ip link set m{} {state}", SERVERS[server]));
    }

    /// Pulls a balancer's cable, or plugs it in.
    pub(crate) fn balancer_cable(&self, balancer: usize, state: &str) {
        shell(self.switch.pid(), &format!("ip link set m{} {state}", BALANCERS[balancer]));
    }

    /// Starts a balancer again that has ended.
    pub(crate) fn start_again(&mut self, balancer: usize) {
        let started = self.run("lb", BALANCERS[balancer]);
        started.process.wait_for("that it is ready", |line| line.starts_with("ready"));
        self.balancers[balancer] = started;
    }

    /// A keepalived on each balancer, with the files that Fermata writes for them.
    pub(crate) fn share_address(&self) -> [Process; 2] {
        let file = format!("m{}.yml", BALANCERS[0]);
        let rendered = self.folder.run(&["render", "keepalived", &file, "-o", "."]);
        assert_eq!(rendered.code, Some(0), "{rendered:?}");
        [0, 1].map(|balancer| {
            let number = balancer + 1;
            let folder = self.folder.path().display();
            let mut command = enter(self.pid(BALANCERS[balancer]));
            // In the foreground, saying everything, and keeping the numbers of its processes to itself.
            command.args(["sh", "-c"]).arg(format!(
                "PATH=$PATH:/usr/sbin:/sbin; exec keepalived -n -l -D -P -f {folder}/keepalived-{number}.conf \
                 -p {folder}/{number}.pid -r {folder}/{number}.vrrp.pid 2>&1"
            ));
            Process::start(&mut command)
        })
    }

    /// Rules of nftables on a server: what it drops of what comes in.
    pub(crate) fn drops(&self, server: usize, rule: &str) {
        shell(
            self.pid(SERVERS[server]),
            &format!(
                "nft 'add table ip town; add chain ip town in {{ type filter hook input priority 0; }};
                 add rule ip town in {rule} drop'"
            ),
        );
    }

    /// A signal to the gateway of a server.
    pub(crate) fn signal(&mut self, server: usize, signal: Signal) {
        self.servers[server].process.signal(signal);
    }

    /// Waits until a balancer has said this.
    pub(crate) fn hears(&self, balancer: usize, said: &str) {
        self.balancers[balancer].process.wait_for(said, |line| line.contains(said));
    }

    /// Waits until a balancer has said this so many times.
    pub(crate) fn hears_again(&self, balancer: usize, said: &str, times: usize) {
        let text = || self.balancers[balancer].process.stdout.text();
        until(said, || text().lines().filter(|line| line.contains(said)).count() >= times);
    }
}

/// Has every socket of a client echo, and waits until all that should be there have.
pub(crate) fn echoes(holding: &mut Process, count: usize) {
    holding.signal(Signal::USR2);
    holding.wait_for("that they echo", |line| line == format!("echoed {count}"));
}

fn hold(command: &mut Command) -> Process {
    let process = Process::start(command.args(["sh", "-c", "echo there; exec sleep infinity"]));
    process.wait_for("that its namespace is there", |line| line == "there");
    process
}

/// Whoever is not root is root in a user namespace.
fn user() -> &'static [&'static str] {
    if rustix::process::geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] }
}

/// A command inside the namespaces of a process.
fn enter(pid: i32) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--target", &pid.to_string(), "--net"]);
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--preserve-credentials"]);
    }
    command.arg("--");
    command
}

fn shell(pid: i32, script: &str) {
    let script = format!("set -e; PATH=$PATH:/usr/sbin:/sbin; {script}");
    let mut process = Process::start(enter(pid).args(["sh", "-c", &script]));
    assert!(process.wait().success(), "{script}\n{}", process.transcript());
}
