//! A real systemd, in namespaces of its own, that runs one service.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use rustix::process::{Pid, Signal, kill_process};

use super::Folder;
use super::process::{Process, until};

/// The service that it runs.
pub const UNIT: &str = "fermata.service";

/// Makes a cgroup, and in it namespaces with a systemd of their own that knows the units of one folder and no others: what
/// it does at the start of a machine must not happen to this one.
const BOOT: &str = r#"
set -eu
units=$1
network=$2
prepare=$3
hierarchy=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
own=$hierarchy$(sed -n 's/^0:://p' /proc/self/cgroup)/fermata-test-$$
mkdir "$own"
echo "$own"
echo $$ > "$own/cgroup.procs"
exec unshare --mount --pid --fork --kill-child --cgroup --ipc --uts $network sh -euc '
    mount --make-rprivate /
    umount -R /sys/fs/cgroup
    mount -t proc proc /proc
    mount -t tmpfs tmpfs /run
    eval "$2"
    exec env -i "PATH=$PATH" container=fermata-test "SYSTEMD_UNIT_PATH=$1" \
        SYSTEMD_GENERATOR_PATH=/nonexistent SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/nonexistent \
        /lib/systemd/systemd --system --unit=fermata.service --log-target=console --show-status=0
' sh "$units" "$prepare"
"#;

/// Which network its services are in.
#[derive(Clone, Copy)]
pub enum Network {
    /// That of the machine.
    Shared,
    /// One of their own, with nothing but loopback.
    Own,
}

/// A systemd that runs one service.
pub struct Systemd {
    process: Process,
    /// Its own number, outside its namespace.
    pid: i32,
    cgroup: PathBuf,
    /// What it was booted for.
    pub folder: Folder,
}

impl Systemd {
    /// One that knows these units, one of which is [`UNIT`], once that is active. `prepare` is run by a shell in its namespaces
    /// before it starts. What the service says goes into the file `log` of the folder.
    pub fn boot(folder: Folder, units: &[(&str, &str)], network: Network, prepare: &str) -> Systemd {
        let home = folder.path().join("units");
        fs::create_dir_all(home.join(format!("{UNIT}.d"))).expect("a fresh folder");
        for (name, text) in units {
            fs::write(home.join(name), text).expect("a fresh folder");
        }
        let log = folder.path().join("log");
        let log = log.display();
        let said = format!("[Service]\nStandardOutput=append:{log}\nStandardError=append:{log}\n");
        fs::write(home.join(format!("{UNIT}.d/log.conf")), said).expect("a fresh folder");
        let (network, prepare) = match network {
            Network::Shared => ("", prepare.to_owned()),
            Network::Own => ("--net", format!("ip link set lo up\n{prepare}")),
        };
        let mut boot = Command::new("bash");
        boot.args(["-c", BOOT, "bash"]).arg(&home).args([network, &prepare]);
        let mut process = Process::start(&mut boot);
        let cgroup = PathBuf::from(process.wait_for("where its cgroup is", |line| line.starts_with('/')));
        let pid = first_child(&mut process);
        let systemd = Systemd { process, pid, cgroup, folder };
        until("the service is active", || {
            let state = systemd.shows("ActiveState");
            assert_ne!(state, "failed", "{}\n{}", systemd.process.transcript(), systemd.log());
            state == "active"
        });
        systemd
    }

    /// Runs a command where its processes run.
    pub fn run(&self, command: &[&str]) -> Output {
        let pid = self.pid.to_string();
        let mut enter = Command::new("nsenter");
        enter
            .args(["--target", &pid, "--mount", "--pid", "--cgroup", "--net", "--"])
            .args(command)
            .current_dir(self.folder.path());
        enter.output().expect("nsenter runs")
    }

    /// Runs a command that must not fail.
    pub fn order(&self, command: &[&str]) -> Output {
        let output = self.run(command);
        assert!(output.status.success(), "{command:?}: {output:?}\n{}{}", self.process.transcript(), self.log());
        output
    }

    /// One property of the service.
    pub fn shows(&self, property: &str) -> String {
        let output = self.run(&["systemctl", "show", UNIT, "--value", "--property", property]);
        String::from_utf8(output.stdout).expect("systemctl speaks UTF-8").trim().to_owned()
    }

    /// What the service has said so far.
    pub fn log(&self) -> String {
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
