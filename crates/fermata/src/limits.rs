//! What the system allows this process: raised as far as may be, and compared with what the file wants.

use fermata_spec::Spec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors beside those of tunnels: listeners, event loops, files, pipes to services.
const SPARE: u64 = 100;

/// Raises the soft limit of descriptors to the hard one (getrlimit(2)): a tunnel takes two, and the usual soft limit of
/// 1024 is there for programs that use select(2). The processes of services inherit it.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    // What cannot be raised stays as it was, and `check` tells what that is too little for.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// What the limits of now are too small for.
pub fn check(spec: &Spec) -> Option<String> {
    too_few(spec, getrlimit(Resource::Nofile).current?)
}

/// How many tunnels this many descriptors are enough for.
pub fn tunnels(allowed: u64) -> u64 {
    allowed.saturating_sub(SPARE) / 2
}

/// What a process with this many descriptors is too small for.
pub fn too_few(spec: &Spec, allowed: u64) -> Option<String> {
    let connections = spec.gateway.max_connections?;
    let wanted = u64::from(connections) * 2 + SPARE;
    (allowed < wanted).then(|| {
        format!(
            "gateway.max_connections is {connections}, which needs {wanted} descriptors, and this process may have {allowed}: \
             raise the limit (LimitNOFILE= in a systemd unit, --ulimit nofile= for docker run) or lower the number"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_of(gateway: &str) -> Option<String> {
        let text = format!("version: 2\nservices:\n  a:\n    address: 127.0.0.1:3000\ngateway: {{{gateway}}}\n");
        check(&fermata_spec::read(&text).spec.expect("a valid file"))
    }

    #[test]
    fn a_number_that_the_limit_cannot_carry_is_told() {
        raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(said_of(""), None);
        assert_eq!(said_of("max_connections: 2"), None);
        let allowed = limit.current.expect("no machine of ours is without a limit");
        assert_eq!(
            said_of("max_connections: 4000000000").expect("too many"),
            format!(
                "gateway.max_connections is 4000000000, which needs 8000000100 descriptors, and this process may have \
                 {allowed}: raise the limit (LimitNOFILE= in a systemd unit, --ulimit nofile= for docker run) or lower the number"
            )
        );
    }
}
