//! Keys of a compose service that no service.yml has, each with what to do instead.

use crate::import::source::Value;

/// Nothing is lost that anybody would miss.
const HARMLESS: &[(&str, &str, &str)] = &[
    ("container_name", "instances have names of their own", "use the service's name, or what fermata status shows"),
    ("hostname", "instances have names of their own", "use the service's name"),
    ("domainname", "instances have names of their own", "use the service's name"),
    ("init", "whoever runs the instance decides", "nothing has to be done"),
    ("attach", "all output is shown", "fermata logs SERVICE shows one service's"),
    ("logging", "output is always captured", "fermata logs shows it"),
    ("pull_policy", "an image that is missing is pulled", "docker pull gets a newer one"),
    ("platform", "the machine's own platform is used", "build the image for it"),
    ("stdin_open", "services have no terminal", "nothing has to be done for a service"),
    ("tty", "services have no terminal", "nothing has to be done for a service"),
    ("develop", "for development with compose", "fermata redeploy SERVICE after a change"),
    ("oom_score_adj", "left to the machine", "nothing has to be done"),
];

/// Something is lost.
const LOST: &[(&str, &str, &str)] = &[
    ("extends", "keys of another service", "write its keys here, or import what docker compose config prints"),
    ("external_links", "containers of others", "give the service their address in a variable"),
    ("extra_hosts", "names in /etc/hosts", "put the names into DNS, or the addresses into variables"),
    ("dns", "name servers of one service", "set them where the containers run"),
    ("dns_search", "name servers of one service", "set them where the containers run"),
    ("dns_opt", "name servers of one service", "set them where the containers run"),
    ("cap_add", "capabilities", "run it as it is, or write security_context: {privileged: true}"),
    ("cap_drop", "capabilities", "drop them in the program, or run it with run_as_user"),
    ("security_opt", "options of the kernel's security modules", "set them where the containers run"),
    ("devices", "devices of the machine", "write security_context: {privileged: true} if nothing less will do"),
    ("gpus", "devices of the machine", "run the service where it has them, and give its address"),
    ("runtime", "another runtime of containers", "make it the default where the containers run"),
    ("read_only", "a root folder that is not written to", "mount single folders with :ro"),
    ("shm_size", "the size of /dev/shm", "mount {mount_path: /dev/shm, empty_dir: {medium: Memory}}"),
    ("sysctls", "parameters of the kernel", "set them on the machine"),
    ("ulimits", "limits of processes", "set them where the containers run"),
    ("stop_signal", "the signal is TERM", "let the program end at TERM, or set STOPSIGNAL in its Dockerfile"),
    ("pids_limit", "a limit of processes", "set it where the containers run"),
    ("cgroup", "left to the machine", "set it where the containers run"),
    ("cgroup_parent", "left to the machine", "set it where the containers run"),
    ("cpu_shares", "relative shares of CPUs", "write constraints: {resources: {limits: {cpu: 500m}}}"),
    ("cpu_quota", "shares of CPUs", "write constraints: {resources: {limits: {cpu: 500m}}}"),
    ("cpu_period", "shares of CPUs", "write constraints: {resources: {limits: {cpu: 500m}}}"),
    ("cpuset", "certain CPUs", "write constraints: {resources: {limits: {cpu: 500m}}}"),
    ("memswap_limit", "swap", "set it where the containers run"),
    ("mem_swappiness", "swap", "set it where the containers run"),
    ("oom_kill_disable", "left to the machine", "write constraints: {resources: {limits: {memory: 512Mi}}}"),
    ("userns_mode", "left to the machine", "set it where the containers run"),
    ("uts", "left to the machine", "set it where the containers run"),
    ("mac_address", "addresses are given by the network", "use the service's name"),
    ("volumes_from", "volumes of another service", "write the same volumes here"),
    ("volume_driver", "drivers of volumes", "mount a folder of the machine"),
    ("storage_opt", "options of the storage", "set them where the containers run"),
    ("blkio_config", "limits of disks", "set them where the containers run"),
    ("device_cgroup_rules", "devices of the machine", "set them where the containers run"),
    ("credential_spec", "credentials of Windows", "set them where the containers run"),
    ("isolation", "isolation of Windows", "set it where the containers run"),
    ("label_file", "labels from a file", "write them under tags"),
    ("models", "models of compose", "run the model as a service, or give its address in a variable"),
    ("provider", "something that compose starts by a program", "start it before fermata up"),
    ("use_api_socket", "Docker's socket", "mount /var/run/docker.sock, if the service may have the machine"),
];

/// Says what becomes of a key.
pub(super) fn say(key: &str, value: &Value<'_>) {
    let found = |table: &'static [(&str, &str, &'static str)]| table.iter().find(|(known, ..)| *known == key);
    if key == "networks" {
        networks(value);
    } else if let Some((_, why, instead)) = found(HARMLESS) {
        value.note(format!("left out: {why}"), *instead);
    } else if let Some((_, what, instead)) = found(LOST) {
        value.left_out(*what, *instead);
    } else if !key.starts_with("x-") {
        value.left_out("not known here", "look up what it did, and write it by hand");
    }
}

/// The file's own `networks` are spoken of once; here only what a service loses.
fn networks(value: &Value<'_>) {
    for (_, network) in value.entries() {
        for (key, value) in network.entries() {
            match key {
                "aliases" => value.left_out(
                    format!("other names of the service: {}", value.texts().join(", ").escape_debug()),
                    "use the service's own name",
                ),
                "ipv4_address" | "ipv6_address" => {
                    value.left_out("a fixed address", "use the service's name");
                }
                _ => {}
            }
        }
    }
}
