//! Pieces of regular expressions that several rules for scalars share (ECMA 262, as JSON Schema has it).

/// Digits of a number from 1 to 65535.
macro_rules! port {
    () => {
        "0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
    };
}

/// One to three digits of an IPv4 address.
macro_rules! octet {
    () => {
        "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    };
}

/// An IPv4 address.
macro_rules! ipv4 {
    () => {
        concat!("(", patterns::octet!(), "\\.){3}", patterns::octet!())
    };
}

/// An IPv6 address, without counting what stands around `::`.
macro_rules! ipv6 {
    () => {
        concat!(
            "(([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|([0-9A-Fa-f]{1,4}:){6}",
            patterns::ipv4!(),
            "|[0-9A-Fa-f:]*::[0-9A-Fa-f:.]*)"
        )
    };
}

/// A DNS name, underscores allowed.
macro_rules! name {
    () => {
        "[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\\.?"
    };
}

pub(crate) use {ipv4, ipv6, name, octet, port};
