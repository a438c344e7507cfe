//! From a checked file to everything that it needs: planned, read, bound, and all or nothing. `running` makes it live.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fermata_spec::{ServerTls, Source, Spec};
use rustls_pki_types::ServerName;

use crate::acme;
use crate::discovery::{self, Cluster, SERVICE_ACCOUNT};
use crate::limits;
use crate::listening::Bound;
use crate::net::BindError;
use crate::public::{PublicPort, Scheme, public_ports};
use crate::route::Secure;
pub use crate::run::Drawn;
use crate::run::{Caller, LockError, Plan, Problem};
use crate::tls::{self, LoadError, Loaded};

/// Why it could not begin. Nothing has been started.
#[derive(Debug)]
pub enum StartError {
    /// Services that cannot be run as the file says.
    Plan(Vec<Problem>),
    /// The state folder.
    State(LockError),
    /// A certificate.
    Certificate(LoadError),
    /// Public ports, all that failed.
    Bind(Vec<BindError>),
    /// Something of the system.
    System(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn lines<T: fmt::Display>(out: &mut fmt::Formatter<'_>, all: &[T]) -> fmt::Result {
            all.iter().enumerate().try_for_each(|(at, one)| {
                if at > 0 {
                    out.write_str("\n       ")?;
                }
                one.fmt(out)
            })
        }
        match self {
            StartError::Plan(problems) => lines(out, problems),
            StartError::Bind(errors) => lines(out, errors),
            StartError::State(error) => error.fmt(out),
            StartError::Certificate(error) => error.fmt(out),
            StartError::System(text) => out.write_str(text),
        }
    }
}

/// Where and for whom it runs.
#[derive(Debug, Clone)]
pub struct Place {
    /// The folder of the service.yml.
    pub folder: PathBuf,
    /// The state folder.
    pub state: PathBuf,
    /// Values that were drawn for services that run already.
    pub drawn: Drawn,
}

/// Plans the services of a file, as `up` called now would start them.
pub fn plan(spec: &Spec, place: &Place) -> Result<Plan, StartError> {
    let mut env: BTreeMap<_, _> = std::env::vars_os().collect();
    if let Ok(program) = std::env::current_exe() {
        // So that an example can use Fermata's own echo without anything else installed.
        env.insert("FERMATA".into(), program.into());
    }
    Plan::of(
        spec,
        &Caller { folder: place.folder.clone(), state: place.state.clone(), env, drawn: place.drawn.clone() },
        random,
    )
    .map_err(StartError::Plan)
}

/// Everything that a file needs, checked and bound; nothing has been started or changed yet.
pub struct Prepared {
    /// The file.
    pub spec: Spec,
    /// What would run.
    pub plan: Plan,
    /// The cluster in which some of it is found.
    pub cluster: Option<Arc<Cluster>>,
    /// Its public ports.
    pub ports: Vec<PublicPort>,
    /// The same, bound.
    pub bound: Bound,
    /// Its certificates, read.
    pub certificates: Loaded,
    /// TLS on the way to the servers of a load balancer.
    pub secure: Option<Secure>,
    /// What somebody should look at.
    pub warnings: Vec<String>,
}

impl Prepared {
    /// Takes everything that `spec` needs, or nothing. What is bound already is taken from there.
    pub fn new(spec: Spec, place: &Place, before: &Bound) -> Result<Prepared, StartError> {
        let plan = plan(&spec, place)?;
        let cluster = cluster(&spec, &plan, place)?;
        let ports = public_ports(&spec);
        let mut warnings: Vec<String> = limits::check(&spec).into_iter().collect();
        let files = certificate_files(&spec, &ports, place, &mut warnings)?;
        let certificates = Loaded::read(&files).map_err(StartError::Certificate)?;
        warnings.extend(unseen(&spec, &certificates));
        let secure = secure(&spec, place)?;
        let bound = Bound::new(&spec.gateway, &ports, before).map_err(StartError::Bind)?;
        Ok(Prepared { spec, plan, cluster, ports, bound, certificates, secure, warnings })
    }
}

/// The cluster of a file; nothing where no service is found in one.
fn cluster(spec: &Spec, plan: &Plan, place: &Place) -> Result<Option<Arc<Cluster>>, StartError> {
    let Some(first) = plan.found.first() else { return Ok(None) };
    let env: BTreeMap<_, _> = std::env::vars_os().collect();
    let caller = discovery::Caller { folder: &place.folder, env: &env, account: Path::new(SERVICE_ACCOUNT) };
    let cluster = Cluster::of(&spec.kubernetes, &caller);
    let cluster = cluster.map_err(|error| StartError::System(format!("services.{}.endpoints: {error}", first.name)))?;
    Ok(Some(Arc::new(cluster)))
}

/// Certificates of a load balancer that no client sees: the TLS of all their names is passed to the servers.
fn unseen(spec: &Spec, certificates: &Loaded) -> Vec<String> {
    let Some(passed) = spec.services.iter().find_map(|service| match &service.source {
        Source::Servers(balancer) => Some(&balancer.pass_through),
        _ => None,
    }) else {
        return Vec::new();
    };
    let is_passed = |name: &String| passed.iter().any(|pattern| pattern.includes(name));
    let unseen = certificates.names().filter(|(_, names)| !names.is_empty() && names.iter().all(is_passed));
    unseen
        .map(|(file, names)| {
            format!(
                "{} is for {} alone, whose TLS is passed through: no client sees it here; take it out of tls.certificates, or the \
                 names out of load_balancer.pass_through",
                file.display(),
                names.join(", ")
            )
        })
        .collect()
}

/// `server_tls` of a load balancer that runs.
fn secure(spec: &Spec, place: &Place) -> Result<Option<Secure>, StartError> {
    let servers = spec.services.iter().find_map(|service| match &service.source {
        Source::Servers(balancer) => balancer.server_tls.as_ref(),
        _ => None,
    });
    let Some(ServerTls { ca, name }) = servers else { return Ok(None) };
    let problem = |why: String| StartError::System(format!("load_balancer.server_tls: {why}"));
    let file = ca.as_ref().map(|ca| place.folder.join(ca));
    let config = tls::client_config(file.as_deref()).map_err(problem)?;
    let name = name.clone().map(ServerName::try_from).transpose().map_err(|error| problem(error.to_string()))?;
    Ok(Some(Secure { config, name }))
}

/// Bytes for passwords: from the kernel (getrandom(2)).
fn random(bytes: &mut [u8]) {
    let mut done = 0;
    while done < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[done..], rustix::rand::GetRandomFlags::empty()) {
            Ok(written) => done += written,
            // Only before the kernel's pool is seeded, early in the machine's start, or interrupted by a signal.
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// The certificates to offer: the file's, or one made on the spot where an https port has none.
fn certificate_files(
    spec: &Spec,
    ports: &[PublicPort],
    place: &Place,
    warnings: &mut Vec<String>,
) -> Result<Vec<(PathBuf, PathBuf)>, StartError> {
    let path = |file: &str| place.folder.join(file);
    let mut files: Vec<_> = spec.tls.certificates.iter().map(|one| (path(&one.cert), path(&one.key))).collect();
    if let Some(acme) = &spec.tls.acme {
        let standing = acme::standing(&place.state, &acme.domains).map_err(|error| {
            StartError::System(format!("cannot keep certificates in {}: {error}", place.state.display()))
        })?;
        files.extend(standing.files);
        if !standing.provisional.is_empty() {
            let names = standing.provisional.join(", ");
            warnings
                .push(format!("until the authority has issued a certificate, a self-signed one is used for {names}"));
        }
    }
    if !files.is_empty() || !ports.iter().any(|port| port.scheme == Scheme::Https) {
        return Ok(files);
    }
    let names = self_signed_names(spec);
    let made = tls::self_signed(&place.state, &names).map_err(|error| {
        StartError::System(format!("cannot write a self-signed certificate to {}: {error}", place.state.display()))
    })?;
    warnings.push(format!(
        "no certificate is configured for https: using a self-signed one for {} ({}), which browsers warn of; \
         name yours under tls.certificates in service.yml",
        names.join(", "),
        made.0.display()
    ));
    Ok(vec![made])
}

fn self_signed_names(spec: &Spec) -> Vec<String> {
    use fermata_spec::HostPattern;
    let mut names: Vec<String> = vec!["localhost".into(), "127.0.0.1".into(), "::1".into()];
    for host in spec.services.iter().flat_map(|service| &service.traffic_matches) {
        let name = match host {
            HostPattern::Any => continue,
            HostPattern::Exact(name) => name.clone(),
            HostPattern::Under(domain) => format!("*.{domain}"),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The state folder where `--state-dir` names none.
pub fn default_state_dir() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state"));
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/fermata");
    }
    // XDG Base Directory Specification: only an absolute path counts.
    let xdg = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    xdg.or_else(home).unwrap_or_else(std::env::temp_dir).join("fermata")
}
