//! Any value of any key of a service: the part of the format that random YAML hardly ever reaches.
#![no_main]

use fermata_spec::read;
use libfuzzer_sys::fuzz_target;

/// Keys with readers of their own.
const KEYS: &[&str] = &[
    "address", "command", "constraints", "env_vars", "health", "image", "local_ports", "ports", "public_port", "replicas",
    "requires", "security_context", "stop_grace", "tags", "tcp", "traffic_matches", "volumes", "websocket",
];

fuzz_target!(|input: (u8, &str)| {
    let key = KEYS[usize::from(input.0) % KEYS.len()];
    // In quotes, and as it is.
    let quoted = input.1.replace('\\', "\\\\").replace('"', "\\\"");
    read(&format!("services:\n  web:\n    {key}: \"{quoted}\"\n"));
    read(&format!("services:\n  web:\n    {key}: [\"{quoted}\"]\n"));
    read(&format!("services:\n  web:\n    {key}: {}\n", input.1));
});
