//! Under a service manager that can be told of another process (`sd_notify(3)`): nobody has to stay.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::clients::{echo, file, open, pid, runtime, upgrade};
use crate::support::{Folder, PATIENCE, Process, free_port, until};

/// What the service manager is told, in order.
fn told(manager: &UnixDatagram) -> String {
    let mut said = [0; 200];
    let length = manager.recv(&mut said).expect("something is said");
    String::from_utf8_lossy(&said[..length]).into_owned()
}

#[test]
fn the_manager_is_told_of_the_new_main_process_and_the_old_one_ends() {
    let (port, folder) = (free_port(), Folder::new(""));
    folder.write("service.yml", &file(port, free_port(), ""));
    let place = folder.path().join("notify");
    let manager = UnixDatagram::bind(&place).expect("a fresh path");
    manager.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut command = folder.command(&["up", "--state-dir", "state"]);
    let process = Process::start(command.env("NOTIFY_SOCKET", &place));
    assert_eq!(told(&manager), "READY=1");
    let mut fermata = folder.adopt(process);
    let first = pid(&fermata);
    let last = runtime().block_on(async {
        let mut socket = open(port).await;
        upgrade(&fermata).await;
        let second = pid(&fermata);
        let both = [told(&manager), told(&manager)];
        assert!(both.contains(&format!("MAINPID={second}")) && both.contains(&"READY=1".to_owned()), "{both:?}");
        echo(&mut socket, "still here").await;
        second
    });
    assert_eq!(fermata.process.wait().code(), Some(0), "process {first} is not needed any more");
    // As the manager would, to the main process.
    kill_process(Pid::from_raw(last).expect("a pid"), Signal::TERM).expect("it runs");
    assert_eq!(told(&manager), "STOPPING=1");
    until("it has ended", || !std::path::Path::new(&format!("/proc/{last}/exe")).exists());
    manager.set_read_timeout(Some(Duration::from_millis(1))).expect("a socket");
    assert!(manager.recv(&mut [0; 1]).is_err(), "nothing else is said");
}
