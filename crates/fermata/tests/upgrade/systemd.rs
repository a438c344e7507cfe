//! Under a real systemd, with the unit of `docs/upgrade.md`: it follows the main process from one program to the next, and
//! everything else that it does with a service still reaches the right one.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{fs, str};

use futures_util::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use tokio_tungstenite::tungstenite::Message;

use crate::clients::{Socket, echo, file, open, runtime};
use crate::support::{Folder, Process, TlsFront, free_port, until};

const PAGE: &str = include_str!("../../../../docs/upgrade.md");
const UNIT: &str = "fermata.service";

/// Makes a cgroup, and in it namespaces with a systemd of their own that knows the units of one folder and no others: what
/// it does at the start of a machine must not happen to this one.
const BOOT: &str = r#"
set -eu
units=$1
hierarchy=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
own=$hierarchy$(sed -n 's/^0:://p' /proc/self/cgroup)/fermata-test-$$
mkdir "$own"
echo "$own"
echo $$ > "$own/cgroup.procs"
exec unshare --mount --pid --fork --kill-child --cgroup --ipc --uts sh -euc '
    mount --make-rprivate /
    umount -R /sys/fs/cgroup
    mount -t proc proc /proc
    mount -t tmpfs tmpfs /run
    exec env -i "PATH=$PATH" container=fermata-test "SYSTEMD_UNIT_PATH=$1" \
        SYSTEMD_GENERATOR_PATH=/nonexistent SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/nonexistent \
        /lib/systemd/systemd --system --unit=fermata.service --log-target=console --show-status=0
' sh "$units"
"#;

/// A systemd that runs one service, `fermata up` in a folder.
struct Systemd {
    process: Process,
    /// Its own number, outside its namespace.
    pid: i32,
    cgroup: PathBuf,
    folder: Folder,
}

impl Systemd {
    fn boot(folder: Folder) -> Systemd {
        let units = folder.path().join("units");
        fs::create_dir(&units).expect("a fresh folder");
        fs::write(units.join(UNIT), unit(folder.path())).expect("a fresh folder");
        let mut process = Process::start(Command::new("bash").args(["-c", BOOT, "bash"]).arg(&units));
        let cgroup = PathBuf::from(process.wait_for("where its cgroup is", |line| line.starts_with('/')));
        let pid = first_child(&mut process);
        let systemd = Systemd { process, pid, cgroup, folder };
        until("the service is active", || systemd.shows("ActiveState") == "active");
        systemd
    }

    /// Runs a command where its processes run.
    fn run(&self, command: &[&str]) -> Output {
        let pid = self.pid.to_string();
        let mut enter = Command::new("nsenter");
        enter
            .args(["--target", &pid, "--mount", "--pid", "--cgroup", "--"])
            .args(command)
            .current_dir(self.folder.path());
        enter.output().expect("nsenter runs")
    }

    /// Runs a command that must not fail.
    fn order(&self, command: &[&str]) {
        let output = self.run(command);
        assert!(output.status.success(), "{command:?}: {output:?}\n{}{}", self.process.transcript(), self.log());
    }

    /// Runs a command of fermata that must not fail, from the same namespace.
    fn ask(&self, arguments: &[&str]) -> Output {
        let state = self.folder.path().join("state").display().to_string();
        let output = self.run(&[&[FERMATA], arguments, &["--state-dir", &state]].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}\n{}", self.log());
        output
    }

    /// One property of the service.
    fn shows(&self, property: &str) -> String {
        let output = self.run(&["systemctl", "show", UNIT, "--value", "--property", property]);
        str::from_utf8(&output.stdout).expect("systemctl speaks UTF-8").trim().to_owned()
    }

    /// What `fermata status` says, as JSON.
    fn status(&self) -> serde_json::Value {
        let output = self.ask(&["status", "--format", "json"]);
        serde_json::from_slice(&output.stdout).expect("the status is JSON")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        // The first process of a PID namespace takes all others with it (pid_namespaces(7)).
        let _ = kill_process(Pid::from_raw(self.pid).expect("a pid"), Signal::KILL);
        self.process.wait();
        until("its cgroups are gone", || {
            // Children first.
            let _ = Command::new("find").arg(&self.cgroup).args(["-depth", "-type", "d", "-delete"]).output();
            !self.cgroup.exists()
        });
    }
}

const FERMATA: &str = env!("CARGO_BIN_EXE_fermata");

/// The unit that the page on upgrades shows, for this program and this folder.
fn unit(folder: &Path) -> String {
    let shown =
        PAGE.split_once("```ini\n").and_then(|(_, rest)| rest.split_once("```")).expect("the page has a unit").0;
    let place = "/usr/local/bin/fermata up /etc/fermata/service.yml";
    assert!(shown.contains(place), "{shown}");
    let folder = folder.display();
    let here = format!("{FERMATA} up {folder}/service.yml --state-dir {folder}/state");
    let log = format!("StandardOutput=append:{folder}/log\nStandardError=append:{folder}/log\n");
    // None of the targets that a machine has is there.
    format!("[Unit]\nDefaultDependencies=no\n{}{log}", shown.replace(place, &here))
}

/// The process that `unshare --fork` has made, as soon as it is systemd.
fn first_child(process: &mut Process) -> i32 {
    let children = format!("/proc/{0}/task/{0}/children", process.pid());
    let mut child = None;
    until("systemd runs", || {
        let listed = fs::read_to_string(&children).unwrap_or_default();
        child = listed.trim().parse().ok();
        let name = child.map(|pid: i32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default());
        name.is_some_and(|name| name == "systemd\n")
    });
    child.expect("it was found")
}

/// The code of the Close that a client gets next.
async fn farewell(socket: &mut Socket, systemd: &Systemd) -> u16 {
    match socket.next().await {
        Some(Ok(Message::Close(Some(close)))) => close.code.into(),
        other => panic!("{other:?} instead of a Close\n{}", systemd.log()),
    }
}

#[test]
fn systemd_follows_the_main_process_reloads_it_and_stops_it() {
    let (port, container) = (free_port(), free_port());
    let folder = Folder::new("");
    folder.write("service.yml", &file(port, container, ""));
    let systemd = Systemd::boot(folder);
    let mut main = systemd.shows("MainPID");
    runtime().block_on(async {
        let mut socket = open(port).await;
        for _ in 0..2 {
            systemd.ask(&["upgrade"]);
            let before = std::mem::replace(&mut main, systemd.status()["pid"].to_string());
            assert_ne!(main, before);
            until("systemd knows the new process", || systemd.shows("MainPID") == main);
            until("the old one has ended", || {
                !systemd.run(&["test", "-e", &format!("/proc/{before}")]).status.success()
            });
            echo(&mut socket, "still here").await;
        }

        systemd.folder.write("service.yml", &file(port, container, "  also:\n    ports: [{container: 9}]\n"));
        systemd.order(&["systemctl", "reload", UNIT]);
        until("the file was read again", || systemd.status()["services"].as_array().is_some_and(|all| all.len() == 2));
        echo(&mut socket, "and here").await;
        assert_eq!(
            [systemd.shows("MainPID"), systemd.shows("NRestarts"), systemd.shows("SubState")],
            [main.as_str(), "0", "running"]
        );

        systemd.order(&["systemctl", "stop", "--no-block", UNIT]);
        assert_eq!(farewell(&mut socket, &systemd).await, 1001);
    });
    until("systemd has stopped it", || systemd.shows("ActiveState") == "inactive");
    assert_eq!(systemd.shows("Result"), "success", "{}", systemd.log());
}

#[test]
fn a_stop_by_systemd_reaches_what_has_moved_and_what_has_stayed_over_tls() {
    let (port, https, container) = (free_port(), free_port(), free_port());
    let folder = Folder::new("");
    let text = file(port, container, "").replace(&format!("http: {port}"), &format!("http: {port}, https: {https}"));
    folder.write("service.yml", &(text + "tls:\n  certificates: [{cert: app.pem, key: app.key}]\n"));
    let front = TlsFront::of(https, &folder.write_certificate("app", &["localhost"]));
    let systemd = Systemd::boot(folder);
    runtime().block_on(async {
        let (mut clear, mut tls) = (open(port).await, open(front.port).await);
        systemd.ask(&["upgrade"]);
        echo(&mut clear, "in the new process").await;
        echo(&mut tls, "in the old process").await;
        systemd.order(&["systemctl", "stop", "--no-block", UNIT]);
        assert_eq!([farewell(&mut clear, &systemd).await, farewell(&mut tls, &systemd).await], [1001, 1001]);
    });
    until("systemd has stopped it", || systemd.shows("ActiveState") == "inactive");
    assert_eq!(systemd.shows("Result"), "success", "{}", systemd.log());
}

#[test]
fn systemd_starts_another_where_the_one_that_took_over_was_killed() {
    let (port, container) = (free_port(), free_port());
    let folder = Folder::new("");
    folder.write("service.yml", &file(port, container, ""));
    let systemd = Systemd::boot(folder);
    systemd.ask(&["upgrade"]);
    let second = systemd.status()["pid"].to_string();
    until("systemd knows the new process", || systemd.shows("MainPID") == second);
    systemd.order(&["kill", "-KILL", &second]);
    until("systemd has started another", || {
        systemd.shows("NRestarts") == "1" && systemd.shows("ActiveState") == "active"
    });
    assert_eq!(systemd.status()["pid"].to_string(), systemd.shows("MainPID"));
    runtime().block_on(async { echo(&mut open(port).await, "at your service").await });
}
