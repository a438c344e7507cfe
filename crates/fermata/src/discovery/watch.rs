//! List and watch: all endpoints of a Service once, and then what changes, for as long as anybody wants to know.
//!
//! A watch that ends, by its own time or because something broke, is resumed from the last version that was seen; one that is
//! too old for that (410 Gone) begins again with a list. (kubernetes.io, "Efficient detection of changes".)

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fermata_spec::ClusterService;
use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::cluster::{Cluster, Status, Trouble};
use super::slices::{Found, List, Slice, View};

/// A page of a list has so many slices.
const PAGE: u32 = 100;
/// The bytes of a page: etcd keeps objects of 1.5 MiB at most, and slices are a twentieth of that.
const PAGE_BYTES: usize = 32 * 1024 * 1024;
/// Pages of a list.
const PAGES: usize = 100;
/// The bytes of one event of a watch.
const LINE_BYTES: usize = 4 * 1024 * 1024;
/// A whole page.
const READ: Duration = Duration::from_secs(30);
/// A watch is asked to end after so many seconds, and some more so that not all end at once; it then goes on in another one.
const WATCH: u64 = 270;
/// What has not ended so much later hangs.
const OVERTIME: Duration = Duration::from_secs(30);
/// A watch that ends sooner is one more failure: who goes on at once would ask without an end.
const SHORT: Duration = Duration::from_secs(1);
/// The wait before another try, doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// One failure is nothing that anybody has to know.
const TOLD_AFTER: u32 = 3;

/// What is to be followed.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// The Service there.
    pub service: ClusterService,
    /// The container ports that count.
    pub ports: Vec<u16>,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// These are the endpoints now.
    Endpoints(Vec<Found>),
    /// Something that somebody should look at.
    Trouble(String),
    /// What was wrong with the API server is over.
    Again,
}

impl Wanted {
    fn namespace(&self) -> &str {
        self.service.namespace.as_deref().unwrap_or(&self.cluster.namespace)
    }

    fn path(&self, query: &str) -> String {
        let (namespace, name) = (self.namespace(), &self.service.name);
        // Neither has a letter that would have to be escaped.
        let base = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices");
        format!("{base}?labelSelector=kubernetes.io%2Fservice-name%3D{name}&{query}")
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace(), self.service.name)
    }
}

/// Follows the endpoints of a Service.
pub async fn follow(wanted: Wanted, tell: impl Fn(Said)) -> Infallible {
    let view = View::default();
    let mut follower =
        Follower { wanted, tell, view, told: None, complaint: None, failures: 0, begun: None, unwell: None };
    loop {
        let outcome = match follower.view.version().map(str::to_owned) {
            None => follower.list().await,
            Some(version) => follower.watch(&version).await,
        };
        if let Err(trouble) = outcome {
            follower.fail(&trouble);
            sleep(wait(follower.failures, &trouble)).await;
        }
    }
}

/// Half of it at least, so that many do not ask at the same moment.
fn wait(failures: u32, trouble: &Trouble) -> Duration {
    if let Trouble::Refused { status: StatusCode::TOO_MANY_REQUESTS, again: Some(again), .. } = trouble {
        return (*again).min(LONGEST_WAIT);
    }
    let longest = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_WAIT);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

struct Follower<T> {
    wanted: Wanted,
    tell: T,
    view: View,
    told: Option<Vec<Found>>,
    complaint: Option<String>,
    /// In a row.
    failures: u32,
    /// When the watch began that broke.
    begun: Option<Instant>,
    /// What was told of why nothing can be followed.
    unwell: Option<String>,
}

/// A line of a watch.
#[derive(Debug, Deserialize)]
struct Event {
    r#type: String,
    object: Value,
}

impl<T: Fn(Said)> Follower<T> {
    /// All of it, page by page.
    async fn list(&mut self) -> Result<(), Trouble> {
        let mut pages: Vec<List> = Vec::new();
        let mut next = String::new();
        loop {
            let page = self.page(&next).await?;
            let more = page.metadata.r#continue.clone().filter(|token| !token.is_empty());
            pages.push(page);
            match more {
                Some(token) if pages.len() < PAGES => next = format!("&continue={}", escaped(&token)),
                Some(_) => return Err(Trouble::TooLarge(PAGES * PAGE as usize)),
                None => break,
            }
        }
        self.view.take_list(pages);
        self.succeed();
        self.tell();
        Ok(())
    }

    async fn page(&self, next: &str) -> Result<List, Trouble> {
        let answer = self.wanted.cluster.get(&self.wanted.path(&format!("limit={PAGE}{next}"))).await?;
        let body = timeout(READ, Limited::new(answer.body, PAGE_BYTES).collect()).await;
        let body =
            body.map_err(|_| Trouble::Timeout(READ))?.map_err(|error| match error.downcast::<hyper::Error>() {
                Ok(error) => Trouble::Http(*error),
                Err(_) => Trouble::TooLarge(PAGE_BYTES),
            })?;
        Ok(serde_json::from_slice(&body.to_bytes())?)
    }

    /// What changes from `version` on, until the server ends it.
    async fn watch(&mut self, version: &str) -> Result<(), Trouble> {
        let seconds = WATCH + fastrand::u64(..WATCH / 4);
        let query = format!(
            "watch=true&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={seconds}",
            escaped(version)
        );
        let begun = Instant::now();
        let mut answer = self.wanted.cluster.get(&self.wanted.path(&query)).await?;
        self.recover();
        self.begun = Some(begun);
        let most = Duration::from_secs(seconds) + OVERTIME;
        let mut buffer = Vec::new();
        loop {
            let left = most.saturating_sub(begun.elapsed());
            let frame = timeout(left, answer.body.frame()).await.map_err(|_| Trouble::Timeout(most))?;
            let Some(frame) = frame else { break };
            let Ok(bytes) = frame?.into_data() else { continue };
            buffer.extend_from_slice(&bytes);
            let whole = buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            for line in buffer[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                self.take(line)?;
                self.succeed();
            }
            buffer.drain(..whole);
            if buffer.len() > LINE_BYTES {
                return Err(Trouble::TooLarge(LINE_BYTES));
            }
            self.tell();
        }
        // What came without an end of its line is as good as nothing: it comes again.
        if begun.elapsed() < SHORT {
            return Err(Trouble::Short);
        }
        self.succeed();
        Ok(())
    }

    fn recover(&mut self) {
        if self.unwell.take().is_some() {
            (self.tell)(Said::Again);
        }
    }

    fn succeed(&mut self) {
        self.recover();
        self.failures = 0;
    }

    fn fail(&mut self, trouble: &Trouble) {
        if self.begun.take().is_some_and(|begun| begun.elapsed() >= SHORT) {
            self.failures = 0;
        }
        self.failures += 1;
        if matches!(trouble, Trouble::Expired) {
            self.view.forget_version();
        }
        let text = format!("cannot follow Service {}: the API server {}: {trouble}", self.wanted, self.wanted.cluster);
        // Connections break in many ways, which say the same; each refusal says something of its own.
        let refused = matches!(trouble, Trouble::Refused { status, .. } if status.is_client_error());
        let news = match &self.unwell {
            None => refused || self.failures >= TOLD_AFTER,
            Some(told) => refused && *told != text,
        };
        if news {
            self.unwell = Some(text.clone());
            (self.tell)(Said::Trouble(text));
        }
    }

    fn take(&mut self, line: &[u8]) -> Result<(), Trouble> {
        let Event { r#type, object } = serde_json::from_slice(line)?;
        let slice = |object| serde_json::from_value::<Slice>(object);
        match r#type.as_str() {
            "ADDED" | "MODIFIED" => self.view.put(slice(object)?),
            "DELETED" => self.view.remove(slice(object)?),
            "BOOKMARK" => self.view.bookmark(slice(object)?),
            // A Status (meta/v1): too old, or something that a list will tell more of.
            "ERROR" => {
                let Status { code, message } = serde_json::from_value(object)?;
                return Err(match StatusCode::from_u16(code) {
                    Ok(StatusCode::GONE) => Trouble::Expired,
                    status => Trouble::Refused { status: status.unwrap_or_default(), message, again: None },
                });
            }
            // One that is made up later on.
            _ => {}
        }
        Ok(())
    }

    /// Tells what there is, where that is not what was told.
    fn tell(&mut self) {
        let Wanted { ports, .. } = &self.wanted;
        let endpoints = self.view.endpoints(ports);
        let complaint = if self.view.is_empty() {
            Some(format!("Service {} has no endpoints: is it there, and does it select pods?", self.wanted))
        } else {
            self.view.other_ports(ports).map(|others| {
                let list = |ports: &[u16]| ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let (others, ports) = (list(&others), list(ports));
                format!(
                    "Service {} leads to port {others} of its pods, not to {ports}: write container: {others}",
                    self.wanted
                )
            })
        };
        if self.complaint != complaint {
            self.complaint.clone_from(&complaint);
            if let Some(text) = complaint {
                (self.tell)(Said::Trouble(text));
            }
        }
        if self.told.as_ref() != Some(&endpoints) {
            self.told = Some(endpoints.clone());
            (self.tell)(Said::Endpoints(endpoints));
        }
    }
}

/// A value of a query (RFC 3986, 2.1).
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
