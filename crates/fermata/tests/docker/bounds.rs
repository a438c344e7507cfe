//! What the file says of user, limits, volumes and commands holds inside a container, as a program there sees it.

use rustix::process::Signal;

use crate::engine::Engine;
use crate::support::{Fermata, Folder, until};

const BARE: &str = "fermata-test:bare";

#[test]
fn a_container_runs_within_what_the_file_says() {
    let engine = Engine::start();
    engine.import_bare(BARE);
    let folder = Folder::new("");
    let site = folder.path().canonicalize().unwrap();
    let site = site.display();
    let service_yml = format!(
        "
version: 2
services:
  web:
    image: {BARE}
    command: sh /data/look
    work_dir: /tmp
    log_folder: /var/log/web
    stop_grace: 2
    volumes: [\"/usr:/usr:ro\", \"{site}/data:/data:ro\", \"{site}/fresh/folder:/fresh\", \"{site}/not/there/yet:/made\", {{empty_dir: {{}}, mount_path: /own}}]
    security_context: {{run_as_user: 1000, run_as_group: 1001, supplemental_groups: [1002]}}
    constraints: {{resources: {{limits: {{memory: 64Mi, cpu: 500m}}, requests: {{memory: 32Mi}}}}}}
    post_start_command: sh -c 'echo begun by $(id -u) >> /fresh/notes'
    pre_stop_command: sh -c 'echo ended >> /fresh/notes'
  host:
    image: {BARE}
    command: sleep 1000
    stop_grace: 0
    volumes: [\"/usr:/usr:ro\"]
    security_context: {{host_network: true, host_ipc: true, host_pid: true}}
gateway: {{bind: [127.0.0.1]}}
"
    );
    folder.write("service.yml", &service_yml);
    std::fs::create_dir_all(folder.path().join("data")).unwrap();
    std::fs::create_dir_all(folder.path().join("fresh/folder")).unwrap();
    std::os::unix::fs::chown(folder.path().join("fresh/folder"), Some(1000), None).unwrap();
    folder.write(
        "data/look",
        "id -u; id -g; id -G; pwd\n\
         touch /data/x 2>/dev/null || echo read only\n\
         test -d /own && echo one of its own\n\
         echo so far so good > /var/log/web/today\n\
         cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null\n\
         trap exit TERM\necho done\nwhile :; do sleep 0.1; done\n",
    );
    let fermata = engine.up(folder);
    let seen = || -> Vec<String> {
        let said = fermata.process.stdout.text();
        said.lines().filter_map(|line| Some(line.strip_prefix("web.1        │ ")?.to_owned())).collect()
    };
    until("it has looked", || seen().last().is_some_and(|line| line == "done"));
    assert_eq!(
        seen(),
        ["1000", "1001", "1001 1002", "/tmp", "read only", "one of its own", &(64 << 20).to_string(), "done"]
    );
    let of = |service: &str| {
        let all = engine.containers();
        let id = all.into_iter().find(|one| one.labels.as_ref().unwrap()["fermata.service"] == service);
        engine.inspect(&id.unwrap().id.unwrap()).host_config.unwrap()
    };
    let web = of("web");
    assert_eq!((web.nano_cpus, web.memory_reservation), (Some(500_000_000), Some(32 << 20)));
    assert_eq!(web.log_config.unwrap().typ.as_deref(), Some("local"), "what it keeps is bounded");
    let restarts = web.restart_policy.and_then(|policy| policy.name).map(|name| name.to_string());
    assert!(restarts.is_none_or(|name| ["", "no"].contains(&name.as_str())), "Fermata alone decides when");
    let host = of("host");
    assert_eq!(host.network_mode.as_deref(), Some("host"));
    assert_eq!((host.ipc_mode.as_deref(), host.pid_mode.as_deref()), (Some("host"), Some("host")));

    let Fermata { mut process, folder } = fermata;
    process.signal(Signal::TERM);
    assert_eq!(process.wait().code(), Some(0), "{}", process.transcript());
    let notes = std::fs::read_to_string(folder.path().join("fresh/folder/notes")).unwrap();
    assert_eq!(notes, "begun by 1000\nended\n");
    let log = std::fs::read_to_string(folder.path().join("state/logs/web/today")).unwrap();
    assert_eq!(log, "so far so good\n");
    assert!(folder.path().join("not/there/yet").is_dir());
}
