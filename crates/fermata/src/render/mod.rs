//! Configuration for other programs: one file here for each, a pure function of the [`Spec`].
//!
//! A renderer touches no file, no socket and no clock. What its target cannot express it says, with the place in the
//! service.yml and a way out; it never writes something else in silence.

mod cloud;
mod compose;
mod haproxy;
mod keepalived;
mod kubernetes;
mod references;
pub mod yaml;

pub use self::haproxy::{ENDING, Front, Paths, fronts, render_with as haproxy_with};
use fermata_spec::{Diagnostic, Place, Severity, Spec, nearest_word};

/// Something that can be rendered for.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it writes.
    pub about: &'static str,
    render: fn(&Spec) -> Rendered,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target::new("compose", "compose.yaml for docker compose", compose::render),
    Target::new("haproxy", "haproxy.cfg for the load balancer tier", haproxy::render),
    Target::new("keepalived", "keepalived.conf for each of two balancers with a floating address", keepalived::render),
    Target::new("aws-alb", "Terraform: AWS Application Load Balancer", cloud::aws::alb),
    Target::new("aws-nlb", "Terraform: AWS Network Load Balancer", cloud::aws::nlb),
    Target::new("aws-alb-cloudformation", "CloudFormation: AWS Application Load Balancer", cloud::cloudformation::alb),
    Target::new("aws-nlb-cloudformation", "CloudFormation: AWS Network Load Balancer", cloud::cloudformation::nlb),
    Target::new("gcp-alb", "Terraform: Google Cloud Application Load Balancer", cloud::gcp::alb),
    Target::new("gcp-nlb", "Terraform: Google Cloud passthrough Network Load Balancer", cloud::gcp::nlb),
    Target::new("azure-appgw", "Terraform: Azure Application Gateway v2", cloud::azure::appgw),
    Target::new("azure-lb", "Terraform: Azure Load Balancer", cloud::azure::lb),
    Target::new("digitalocean", "Terraform: DigitalOcean Load Balancer", cloud::digitalocean::balancer),
    Target::new("hetzner", "Terraform: Hetzner Load Balancer", cloud::hetzner::balancer),
    Target::new("linode", "Terraform: Linode NodeBalancer", cloud::linode::balancer),
    Target::new("vultr", "Terraform: Vultr Load Balancer", cloud::vultr::balancer),
    Target::new("scaleway", "Terraform: Scaleway Load Balancer", cloud::scaleway::balancer),
    Target::new("openstack-octavia", "Terraform: OpenStack Octavia", cloud::octavia::balancer),
    Target::new("cloudflare", "Terraform: Cloudflare load balancing", cloud::cloudflare::balancer),
    Target::new("servers-aws", "Terraform: the security group of machines that run Fermata", cloud::groups::aws),
    Target::new("servers-gcp", "Terraform: the same for Google Cloud, as firewall rules", cloud::groups::gcp),
    Target::new(
        "servers-digitalocean",
        "Terraform: the same for DigitalOcean, as a firewall",
        cloud::groups::digitalocean,
    ),
    Target::new("servers-azure", "Terraform: the same for Azure, as a network security group", cloud::groups::azure),
    Target::new("servers-hetzner", "Terraform: the same for Hetzner, as a firewall", cloud::groups::hetzner),
    Target::new("servers-openstack", "Terraform: the same for OpenStack", cloud::groups::openstack),
    Target::new("kubernetes", "Kubernetes: workloads, Gateway API, Kustomize base", kubernetes::gateway),
    Target::new("kubernetes-edge", "Kubernetes with Fermata as the edge", kubernetes::edge),
    Target::new(
        "kubernetes-ingress-alb",
        "Kubernetes with an Ingress for AWS Load Balancer Controller",
        kubernetes::alb,
    ),
    Target::new(
        "kubernetes-ingress-haproxy",
        "Kubernetes with an Ingress for HAProxy's controller",
        kubernetes::haproxy,
    ),
    Target::new("kubernetes-ingress-nginx", "Kubernetes with an Ingress for F5's nginx controller", kubernetes::nginx),
    Target::new("kubernetes-ingress-traefik", "Kubernetes with an Ingress for Traefik", kubernetes::traefik),
    Target::new("fly", "fly.toml for Fly.io", cloud::fly::balancer),
];

/// What a target is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The files.
    pub files: Vec<File>,
    /// What the target cannot express, in the order of the service.yml. An error means that there are no files.
    pub said: Vec<Diagnostic>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, without a folder.
    pub name: &'static str,
    /// Its text; one of its first lines has the [`SIGN`].
    pub text: String,
    /// Whether it only explains or gathers the others, so that it is no part of what is printed.
    pub beside: bool,
}

/// Stands in one of the first lines of every file that is rendered. One without is somebody's own.
pub const SIGN: &str = "Written by fermata render; change service.yml and render again.";
/// The sign as a comment of YAML and its like.
pub const MARK: &str = "# Written by fermata render; change service.yml and render again.";

impl File {
    fn new(name: &'static str, text: String) -> File {
        File { name, text, beside: false }
    }

    fn beside(name: &'static str, text: String) -> File {
        File { name, text, beside: true }
    }

    /// Whether a text has the sign of a file that was rendered.
    pub fn is_ours(text: &[u8]) -> bool {
        let lines = text.split(|byte| *byte == b'\n').take(3);
        lines.into_iter().any(|line| line.windows(SIGN.len()).any(|words| words == SIGN.as_bytes()))
    }
}

/// The target of a name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Targets that were probably meant by a name that is none: the one that it is a slip of the fingers away from, or else those
/// that share the most words with it.
pub fn near(name: &str) -> Vec<&'static str> {
    let names = || TARGETS.iter().map(|target| target.name);
    if let Some(meant) = nearest_word(name, names()) {
        return vec![meant];
    }
    let shared = |target: &str| target.split('-').filter(|word| name.split('-').any(|own| own == *word)).count();
    let most = names().map(shared).max().unwrap_or_default();
    names().filter(|target| most > 0 && shared(target) == most).collect()
}

impl Target {
    const fn new(name: &'static str, about: &'static str, render: fn(&Spec) -> Rendered) -> Target {
        Target { name, about, render }
    }

    /// Renders a checked file.
    pub fn render(&self, spec: &Spec) -> Rendered {
        (self.render)(spec)
    }
}

/// Collects what a target cannot express.
struct Gaps<'s> {
    spec: &'s Spec,
    said: Vec<Diagnostic>,
}

impl<'s> Gaps<'s> {
    fn new(spec: &'s Spec) -> Self {
        Gaps { spec, said: Vec::new() }
    }

    /// Whether the file says something of this path itself.
    fn has(&self, path: &str) -> bool {
        self.spec.places.find(path).is_some()
    }

    /// Says that a value is left out, and what to do instead.
    fn left_out(&mut self, path: &str, why: impl Into<String>, instead: impl Into<String>) {
        self.say(Severity::Warning, path, format!("left out: {}", why.into()), instead.into());
    }

    /// The same, where the file has the value.
    fn left_out_if_there(&mut self, path: &str, why: &str, instead: &str) {
        if self.has(path) {
            self.left_out(path, why, instead);
        }
    }

    /// Says that a value cannot be carried, so that nothing is written.
    fn refused(&mut self, path: &str, why: impl Into<String>, instead: impl Into<String>) {
        self.say(Severity::Error, path, why.into(), instead.into());
    }

    /// Says that a value means something else there.
    fn changed(&mut self, path: &str, how: impl Into<String>, advice: impl Into<String>) {
        self.say(Severity::Warning, path, how.into(), advice.into());
    }

    fn say(&mut self, severity: Severity, path: &str, message: String, help: String) {
        let span = self.spec.places.nearest(path);
        let places = vec![Place { span, label: String::new() }];
        self.said.push(Diagnostic {
            code: if severity == Severity::Error { "E-RENDER" } else { "W-RENDER" },
            severity,
            path: path.to_owned(),
            message,
            help: Some(help),
            places,
        });
    }

    fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.said.sort_by_key(|said| said.places[0].span.start);
        self.said
    }
}
