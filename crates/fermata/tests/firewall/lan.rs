//! A server and a client, each in a network namespace of its own, with a cable between them.

use std::process::Command;

use crate::support::{Ended, Folder, Process};

/// The server's addresses.
pub(crate) const V4: &str = "10.77.0.1";
pub(crate) const V6: &str = "fd77::1";

/// Both machines. Their namespaces end with the processes that hold them.
pub(crate) struct Lan {
    // In the order in which they end.
    listeners: Vec<Process>,
    client: Process,
    server: Process,
    pub(crate) folder: Folder,
}

impl Lan {
    /// Two machines that reach each other; the server has this service.yml, and listens on these ports.
    pub(crate) fn new(service_yml: &str, ports: &[u16]) -> Lan {
        let hold = ["sh", "-c", "echo there; exec sleep infinity"];
        // Whoever is not root is root in a user namespace.
        let user: &[&str] = if is_root() { &[] } else { &["--user", "--map-root-user"] };
        let server = Process::start(Command::new("unshare").args(user).arg("--net").args(hold));
        server.wait_for("that its namespace is there", |line| line == "there");
        let client = Process::start(enter(server.pid()).args(["unshare", "--net"]).args(hold));
        client.wait_for("that its namespace is there", |line| line == "there");
        let mut lan = Lan { listeners: Vec::new(), client, server, folder: Folder::new(service_yml) };
        let peer = lan.client.pid();
        lan.on_server(&format!(
            "ip link set lo up; ip link add lan0 type veth peer name lan0 netns {peer}; ip link set lan0 up;
             ip address add {V4}/24 dev lan0; ip address add {V6}/64 dev lan0 nodad"
        ));
        lan.on_client(
            "ip link set lo up; ip link set lan0 up;
             ip address add 10.77.0.2/24 dev lan0; ip address add fd77::2/64 dev lan0 nodad",
        );
        for port in ports {
            lan.listen(*port);
        }
        lan
    }

    /// Has the server listen on another port.
    pub(crate) fn listen(&mut self, port: u16) {
        let mut command = enter(self.server.pid());
        command.arg(env!("CARGO_BIN_EXE_fermata")).args(["echo", "--listen", &format!("[::]:{port}")]);
        let listener = Process::start(&mut command);
        listener.wait_for("that it listens", |line| line.contains(&port.to_string()));
        self.listeners.push(listener);
    }

    /// Runs a shell's commands on the server; their output.
    pub(crate) fn on_server(&self, script: &str) -> String {
        shell(self.server.pid(), script)
    }

    /// Runs a shell's commands on the client.
    pub(crate) fn on_client(&self, script: &str) -> String {
        shell(self.client.pid(), script)
    }

    /// `fermata firewall` on the server, with its state in the folder.
    pub(crate) fn firewall(&self, arguments: &[&str]) -> Ended {
        self.firewall_with(&[], arguments)
    }

    /// The same behind other words, such as `env NAME=value`.
    pub(crate) fn firewall_with(&self, before: &[&str], arguments: &[&str]) -> Ended {
        self.fermata_with(before, &[&["firewall"], arguments, &["--state-dir", "state"]].concat())
    }

    /// Any command of `fermata` on the server, behind other words.
    pub(crate) fn fermata_with(&self, before: &[&str], arguments: &[&str]) -> Ended {
        let mut command = enter(self.server.pid());
        command.args(before).arg(env!("CARGO_BIN_EXE_fermata")).args(arguments);
        command.current_dir(self.folder.path()).env("NO_COLOR", "1").env_remove("SSH_CONNECTION");
        let mut process = Process::start(&mut command);
        let status = process.wait();
        Ended { code: status.code(), stdout: process.stdout.whole(), stderr: process.stderr.whole() }
    }

    /// Runs it, and insists that it is done.
    pub(crate) fn does(&self, arguments: &[&str]) -> String {
        let ended = self.firewall(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        ended.stdout
    }

    /// Applies and confirms.
    pub(crate) fn protect(&self) {
        self.does(&["apply"]);
        self.does(&["confirm"]);
    }

    /// Whether the client gets a connection, tried until something is certain or the time is over.
    pub(crate) fn connects(&self, address: &str, port: u16, patience: &str) -> bool {
        let mut command = enter(self.client.pid());
        command.args(["timeout", patience, "bash", "-c", &format!("exec 3<>/dev/tcp/{address}/{port}")]);
        Process::start(&mut command).wait().success()
    }

    /// Has the server send datagrams back that come to these ports.
    pub(crate) fn echoes_datagrams(&mut self, ports: &[u16]) {
        const ECHO: &str = "import socket, sys
end = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
end.bind(('::', int(sys.argv[1])))
print('bound', flush=True)
while True: end.sendto(*end.recvfrom(2048))
";
        for port in ports {
            let echo = Process::start(enter(self.server.pid()).args(["python3", "-c", ECHO, &port.to_string()]));
            echo.wait_for("that it is bound", |line| line == "bound");
            self.listeners.push(echo);
        }
    }

    /// Whether a datagram of the client comes back, sent again until it does or the time is over.
    pub(crate) fn echoes(&self, address: &str, port: u16, patience: &str) -> bool {
        let mut command = enter(self.client.pid());
        let script = format!(
            "exec 3<>/dev/udp/{address}/{port}; until {{ echo hello >&3; back=$(timeout 0.3 head -n 1 <&3); [ -n \"$back\" ]; }} 2>/dev/null; \
             do :; done; [ \"$back\" = hello ]"
        );
        command.args(["timeout", patience, "bash", "-c", &script]);
        Process::start(&mut command).wait().success()
    }

    /// Insists that the client gets in.
    pub(crate) fn is_open(&self, port: u16) {
        for address in [V4, V6] {
            assert!(
                self.connects(address, port, "30"),
                "{address} {port} is closed\n{}",
                self.on_server("nft list ruleset")
            );
        }
    }

    /// Insists that the client does not get in. What is dropped says nothing, so this waits a second.
    pub(crate) fn is_closed(&self, port: u16) {
        for address in [V4, V6] {
            assert!(
                !self.connects(address, port, "1"),
                "{address} {port} is open\n{}",
                self.on_server("nft list ruleset")
            );
        }
    }

    /// A client's process with a script of its own.
    pub(crate) fn client(&self, script: &str) -> Process {
        let mut command = enter(self.client.pid());
        command.args(["bash", "-c", script]).current_dir(self.folder.path());
        Process::start(&mut command)
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command inside the namespaces of a process.
fn enter(pid: i32) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--target", &pid.to_string(), "--net"]);
    if !is_root() {
        command.args(["--user", "--preserve-credentials"]);
    }
    command.arg("--");
    command
}

fn shell(pid: i32, script: &str) -> String {
    let script = format!("set -e; PATH=$PATH:/usr/sbin:/sbin; {script}");
    let mut process = Process::start(enter(pid).args(["sh", "-c", &script]));
    let status = process.wait();
    assert!(status.success(), "{script}\n{}", process.transcript());
    process.stdout.whole()
}
