//! The table. A figure without a firm source is `Assumed`, or its row says so.

use super::{Announces, Balancer, Carries, Client, Closes, Drain, Idle, Lifetime, Pins, Range};

const fn range(default: u64, min: u64, max: u64) -> Range {
    Range { default, min, max }
}

/// For layer 7 balancers without a row of their own: what most have in common.
const REQUESTS: Balancer = Balancer {
    name: "",
    title: "",
    carries: Carries::Requests,
    tcp: false,
    udp: false,
    pins: Pins::Cookie,
    client: Client::Forwarded,
    closes: Closes::Never,
    announces: Announces::Never,
    idle: Idle::Unlimited,
    lifetime: Lifetime::Unlimited,
    setting: "",
    drain: Drain::Unbounded,
    ports: &[],
    listeners: None,
    instead: "",
    source: "",
};

/// The same for layer 4.
const BYTES: Balancer =
    Balancer { carries: Carries::Bytes, tcp: true, pins: Pins::Address, client: Client::Hidden, ..REQUESTS };

/// All balancers, in the order of the documentation.
pub const BALANCERS: &[Balancer] = &[
    Balancer {
        name: "aws-alb",
        title: "AWS Application Load Balancer",
        closes: Closes::ByPort,
        idle: Idle::Set(range(60, 1, 4000), 300),
        drain: Drain::Set(range(300, 0, 3600)),
        setting: "idle_timeout.timeout_seconds",
        instead: "aws-nlb",
        source: "botocore elbv2 (idle_timeout.timeout_seconds, deregistration_delay.timeout_seconds)",
        ..REQUESTS
    },
    Balancer {
        name: "aws-nlb",
        title: "AWS Network Load Balancer",
        closes: Closes::ByPort,
        udp: true,
        client: Client::Preserved,
        idle: Idle::Set(range(350, 60, 6000), 3600),
        drain: Drain::Set(range(300, 0, 3600)),
        setting: "tcp.idle_timeout.seconds of the listener",
        listeners: Some(50),
        instead: "aws-alb",
        source: "botocore elbv2 (tcp.idle_timeout.seconds, deregistration_delay.timeout_seconds); AWS quotas: 50 listeners",
        ..BYTES
    },
    Balancer {
        name: "aws-classic",
        title: "AWS Classic Load Balancer",
        closes: Closes::ByPort,
        announces: Announces::ByPort,
        idle: Idle::Set(range(60, 1, 3600), 300),
        drain: Drain::Set(range(300, 1, 3600)),
        setting: "ConnectionSettings.IdleTimeout",
        instead: "aws-alb",
        source: "botocore elb (ConnectionSettings.IdleTimeout); no WebSocket on its HTTP listeners: TCP only",
        ..BYTES
    },
    Balancer {
        name: "aws-api-gateway",
        title: "AWS API Gateway (WebSocket API)",
        carries: Carries::Messages,
        idle: Idle::Fixed(600),
        lifetime: Lifetime::Fixed(7200),
        instead: "aws-alb",
        source: "awsdocs/amazon-api-gateway-developer-guide, limits: idle 10 min, connection 2 h, frame 32 KB",
        ..REQUESTS
    },
    Balancer {
        name: "gcp-alb",
        title: "Google Cloud Application Load Balancer",
        // Above a day its front ends restart under the connection (gcpdiag lb/BP/2025_002).
        lifetime: Lifetime::Set(range(30, 1, 86_400), 86_400),
        drain: Drain::Set(range(0, 0, 3600)),
        setting: "timeoutSec of the backend service, which should be 86400 for WebSockets,",
        instead: "gcp-nlb",
        source: "gcloud help: timeoutSec is the time that a WebSocket can be open, idle or not",
        ..REQUESTS
    },
    Balancer {
        name: "gcp-nlb",
        title: "Google Cloud passthrough Network Load Balancer",
        closes: Closes::ByPort,
        udp: true,
        client: Client::Preserved,
        idle: Idle::Fixed(60),
        drain: Drain::Set(range(0, 0, 3600)),
        instead: "gcp-alb",
        source: "Google Cloud documentation, connection tracking: 60 s, not to be set on external ones",
        ..BYTES
    },
    Balancer {
        name: "azure-appgw",
        title: "Azure Application Gateway v2",
        closes: Closes::ByPort,
        // Whether requestTimeout is an idle limit or a lifetime is not settled, so a day is written. The portal writes 20.
        idle: Idle::Set(range(30, 1, 86_400), 86_400),
        drain: Drain::Set(range(30, 1, 3600)),
        setting: "requestTimeout of the HTTP settings",
        instead: "azure-lb",
        source: "MicrosoftDocs/azure-docs and azure-mgmt-network: requestTimeout 1-86400, drainTimeoutInSec 1-3600",
        ..REQUESTS
    },
    Balancer {
        name: "azure-lb",
        title: "Azure Load Balancer",
        closes: Closes::ByPort,
        udp: true,
        client: Client::Preserved,
        idle: Idle::Set(range(240, 240, 1800), 1800),
        setting: "idleTimeoutInMinutes of the rule",
        instead: "azure-appgw",
        source: "azure-mgmt-network: idleTimeoutInMinutes 4-30",
        ..BYTES
    },
    Balancer {
        name: "azure-frontdoor",
        title: "Azure Front Door Standard and Premium",
        idle: Idle::Fixed(300),
        lifetime: Lifetime::Fixed(14_400),
        instead: "azure-lb",
        source: "MicrosoftDocs/azure-docs, Front Door WebSocket: idle 5 min, connection 4 h",
        ..REQUESTS
    },
    Balancer {
        name: "digitalocean",
        title: "DigitalOcean Load Balancer",
        closes: Closes::AsAWhole,
        announces: Announces::Everywhere,
        tcp: true,
        udp: true,
        idle: Idle::Set(range(60, 30, 600), 600),
        setting: "http_idle_timeout_seconds",
        instead: "a Droplet of your own with fermata lb",
        source: "Terraform provider digitalocean 2: http_idle_timeout_seconds 30-600; an hour once upgraded, by reports",
        ..REQUESTS
    },
    Balancer {
        name: "hetzner",
        title: "Hetzner Load Balancer",
        announces: Announces::ByPort,
        idle: Idle::Assumed(60),
        listeners: Some(30),
        instead: "a server of your own with fermata lb",
        source: "hcloud-cloud-controller-manager; the limit of tcp services is nowhere documented; lb31 has 30 services",
        ..BYTES
    },
    Balancer {
        name: "linode",
        title: "Linode NodeBalancer",
        announces: Announces::ByPort,
        idle: Idle::Assumed(60),
        instead: "a Linode of your own with fermata lb",
        source: "linode-cloud-controller-manager; its limit is nowhere documented, nor WebSocket in its http mode",
        ..BYTES
    },
    Balancer {
        name: "vultr",
        title: "Vultr Load Balancer",
        announces: Announces::Everywhere,
        idle: Idle::Fixed(600),
        instead: "an instance of your own with fermata lb",
        source: "vultr-cloud-controller-manager: timeout 600 s, not in the Terraform provider",
        ..BYTES
    },
    Balancer {
        name: "scaleway",
        title: "Scaleway Load Balancer",
        announces: Announces::ByPort,
        tcp: true,
        // The provider names no largest value; a week is as good as none.
        idle: Idle::Set(range(600, 1, 604_800), 3600),
        setting: "timeout_tunnel of the backend",
        instead: "an instance of your own with fermata lb",
        source: "Terraform provider scaleway: timeout_tunnel takes precedence over client and server timeout",
        ..REQUESTS
    },
    Balancer {
        name: "openstack-octavia",
        title: "OpenStack Octavia (OVHcloud and others)",
        closes: Closes::ByPort,
        tcp: true,
        udp: true,
        idle: Idle::Set(range(50, 0, 2_073_600), 3600),
        setting: "timeout_client_data and timeout_member_data, in milliseconds,",
        instead: "a server of your own with fermata lb",
        source: "openstack/octavia, timeout_client_data and timeout_member_data 0-2073600000 ms",
        ..REQUESTS
    },
    Balancer {
        name: "rackspace",
        title: "Rackspace Cloud Load Balancer",
        idle: Idle::Set(range(30, 1, 120), 120),
        setting: "timeout",
        instead: "a server of your own with fermata lb",
        source: "Rackspace Cloud Load Balancers API: timeout 30 s, at most 120",
        ..BYTES
    },
    Balancer {
        name: "cloudflare",
        title: "Cloudflare's proxy",
        carries: Carries::RequestsAsTheyCome,
        idle: Idle::Assumed(100),
        ports: &[80, 8080, 8880, 2052, 2082, 2086, 2095, 443, 2053, 2083, 2087, 2096, 8443],
        instead: "a DNS record that is not proxied",
        source: "Cloudflare documentation, network ports; the idle limit is not stated, 100 s by reports",
        ..REQUESTS
    },
    Balancer {
        name: "fly",
        title: "Fly.io",
        tcp: true,
        udp: true,
        pins: Pins::Address,
        idle: Idle::Set(range(60, 1, 86_400), 3600),
        drain: Drain::Set(range(5, 0, 300)),
        setting: "http_options.idle_timeout",
        instead: "a server of your own with fermata up",
        source: "Fly.io documentation, fly.toml: kill_timeout 5 s, at most 300; http_options.idle_timeout",
        ..REQUESTS
    },
    Balancer {
        name: "oracle",
        title: "Oracle Cloud Load Balancer",
        // A send does not begin the time of receiving anew, nor the other way round; a Ping and its Pong do both.
        idle: Idle::Set(range(60, 1, 7200), 3600),
        setting: "idleTimeout of the listener",
        instead: "an instance of your own with fermata lb",
        source: "Oracle Cloud documentation, connection management: HTTP 60 s, TCP 300 s, at most 7200",
        ..REQUESTS
    },
];
