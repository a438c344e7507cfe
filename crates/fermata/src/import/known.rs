//! What well known numbers and images tell: which protocol a port speaks, and which image is a database.

/// What a public port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Speech {
    Http,
    Https,
    Tcp,
    Udp,
}

impl Speech {
    /// The key of service.yml.
    pub(super) fn key(self) -> &'static str {
        match self {
            Speech::Http => "http",
            Speech::Https => "https",
            Speech::Tcp => "tcp",
            Speech::Udp => "udp",
        }
    }
}

/// Ports of protocols that are not HTTP: IANA's registry where it has them, else the default of the server named.
const RAW: &[(u16, &str)] = &[
    (21, "FTP"),
    (22, "SSH"),
    (23, "Telnet"),
    (25, "SMTP"),
    (53, "DNS"),
    (110, "POP3"),
    (143, "IMAP"),
    (389, "LDAP"),
    (465, "SMTP"),
    (587, "SMTP"),
    (636, "LDAP"),
    (853, "DNS"),
    (873, "rsync"),
    (993, "IMAP"),
    (995, "POP3"),
    (1025, "SMTP"),
    (1433, "SQL Server"),
    (1521, "Oracle"),
    (1883, "MQTT"),
    (2181, "ZooKeeper"),
    (2222, "SSH"),
    (3306, "MySQL"),
    (3389, "RDP"),
    (4222, "NATS"),
    (5222, "XMPP"),
    (5432, "PostgreSQL"),
    (5433, "PostgreSQL"),
    (5671, "AMQP"),
    (5672, "AMQP"),
    (6379, "Redis"),
    (6380, "Redis"),
    (6432, "PgBouncer"),
    (8883, "MQTT"),
    (9042, "Cassandra"),
    (9092, "Kafka"),
    (9300, "Elasticsearch"),
    (11211, "memcached"),
    (26257, "CockroachDB"),
    (27017, "MongoDB"),
    (27018, "MongoDB"),
    (33060, "MySQL"),
    (50051, "gRPC"),
];

/// The protocol of a port that is known for one that is not HTTP.
pub(super) fn raw(port: u16) -> Option<&'static str> {
    RAW.iter().find(|(number, _)| *number == port).map(|(_, name)| *name)
}

/// Whether a number is known for HTTP over TLS.
pub(super) fn is_tls(port: u16) -> bool {
    matches!(port, 443 | 4443 | 8443 | 9443)
}

/// Whether a text is a host name or an address: labels of letters, digits, dashes and underscores (RFC 1123, 2.1, and what
/// resolvers let through), or an IPv6 address.
pub(super) fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (text.len() <= 253 && text.split('.').all(label)) || text.parse::<std::net::Ipv6Addr>().is_ok()
}

/// The word that `databases:` has for an image.
pub(super) fn database(image: &str) -> Option<&'static str> {
    const IMAGES: &[(&str, &str)] = &[
        ("postgres", "postgresql"),
        ("postgresql", "postgresql"),
        ("postgis", "postgresql"),
        ("pgvector", "postgresql"),
        ("timescaledb", "postgresql"),
        ("mysql", "mysql"),
        ("mysql-server", "mysql"),
        ("mariadb", "mysql"),
        ("percona", "mysql"),
        ("redis", "redis"),
        ("redis-stack", "redis"),
        ("redis-stack-server", "redis"),
        ("valkey", "redis"),
        ("mongo", "mongodb"),
        ("mongodb", "mongodb"),
        ("elasticsearch", "elasticsearch"),
        ("rabbitmq", "rabbitmq"),
    ];
    let last = image.rsplit('/').next().unwrap_or_default();
    let name = last.split([':', '@']).next().unwrap_or_default();
    IMAGES.iter().find(|(known, _)| *known == name).map(|(_, word)| *word)
}
