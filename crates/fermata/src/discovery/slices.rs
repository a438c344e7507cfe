//! `EndpointSlices` (discovery.k8s.io/v1), and the endpoints that they come to. Pure.
//!
//! Only the fields that count here are read. A Service has several slices: by family of addresses, by set of ports, and by
//! number (100 endpoints a slice, unless told otherwise).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::Deserialize;

/// Endpoints of one Service that are followed: more are a mistake, or somebody's attack.
const MOST: usize = 10_000;

/// A list of slices.
#[derive(Debug, Deserialize)]
pub(super) struct List {
    pub(super) metadata: ListMeta,
    items: Option<Vec<Slice>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListMeta {
    /// What the list is as new as.
    pub(super) resource_version: String,
    /// Where the next page begins; nothing or empty on the last.
    pub(super) r#continue: Option<String>,
}

/// A slice.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Slice {
    metadata: Meta,
    endpoints: Option<Vec<Endpoint>>,
    ports: Option<Vec<Port>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    #[serde(default)]
    name: String,
    resource_version: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    /// All lead to the same; who asks takes the first (the type's documentation).
    addresses: Vec<String>,
    conditions: Option<Conditions>,
    target_ref: Option<TargetRef>,
}

/// What is not said is to be taken for: ready; serving as ready; not terminating.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct TargetRef {
    kind: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Port {
    /// Nothing: all ports.
    port: Option<u16>,
}

/// How an endpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It is being ended, and takes nothing any more: its tunnels are to leave.
    Ending,
    /// It is being ended and still serves: its tunnels are to leave.
    Leaving,
    /// It gets nothing new; what it has goes on.
    Away,
    /// It gets traffic.
    Ready,
}

/// An endpoint that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The pod, or the address where none is named.
    pub name: Arc<str>,
    /// Each container port of the service that it has, and where.
    pub ports: Vec<(u16, SocketAddr)>,
    /// How it stands.
    pub standing: Standing,
}

/// The slices of a Service as they are known, and how new that is.
#[derive(Debug, Default)]
pub(super) struct View {
    slices: BTreeMap<String, Slice>,
    version: Option<String>,
}

impl View {
    /// What is known is as new as this; `None` where all has to be asked for anew.
    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// What is known may be too old to go on from.
    pub(super) fn forget_version(&mut self) {
        self.version = None;
    }

    /// Takes a whole list in the place of everything.
    pub(super) fn take_list(&mut self, pages: Vec<List>) {
        self.version = pages.first().map(|page| page.metadata.resource_version.clone());
        let slices = pages.into_iter().flat_map(|page| page.items.unwrap_or_default());
        self.slices = slices.map(|slice| (slice.metadata.name.clone(), slice)).collect();
    }

    /// Takes a slice that is new or has changed.
    pub(super) fn put(&mut self, slice: Slice) {
        self.version = Some(slice.metadata.resource_version.clone());
        self.slices.insert(slice.metadata.name.clone(), slice);
    }

    /// Takes a slice out.
    pub(super) fn remove(&mut self, slice: Slice) {
        self.slices.remove(&slice.metadata.name);
        self.version = Some(slice.metadata.resource_version);
    }

    /// Nothing has changed up to here.
    pub(super) fn bookmark(&mut self, slice: Slice) {
        self.version = Some(slice.metadata.resource_version);
    }

    /// Whether the Service has no slice at all.
    pub(super) fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// The endpoints with these container ports, by name. An endpoint may stand in two slices for a while, and then counts as
    /// the better of the two says (the type's documentation); a pod with addresses of both families is reached by IPv4.
    pub(super) fn endpoints(&self, wanted: &[u16]) -> Vec<Found> {
        let mut all: BTreeMap<(Arc<str>, IpAddr), Found> = BTreeMap::new();
        for slice in self.slices.values() {
            let has = |port: &u16| slice.ports().any(|own| own.is_none_or(|own| own == *port));
            let ports: Vec<u16> = wanted.iter().copied().filter(has).collect();
            for endpoint in slice.endpoints.iter().flatten() {
                let Some(address) = endpoint.addresses.first().and_then(|text| text.parse::<IpAddr>().ok()) else {
                    continue;
                };
                if ports.is_empty() || all.len() >= MOST {
                    continue;
                }
                let (name, standing) = (endpoint.name(address), endpoint.standing());
                let fresh = || Found { name: name.clone(), ports: Vec::new(), standing };
                let found = all.entry((name.clone(), address)).or_insert_with(fresh);
                found.standing = found.standing.max(standing);
                for port in &ports {
                    let place = (*port, SocketAddr::new(address, *port));
                    if !found.ports.contains(&place) {
                        found.ports.push(place);
                    }
                }
            }
        }
        let fourth: Vec<Arc<str>> =
            all.keys().filter(|(_, address)| address.is_ipv4()).map(|(name, _)| name.clone()).collect();
        all.retain(|(name, address), _| address.is_ipv4() || fourth.binary_search(name).is_err());
        all.into_values().collect()
    }

    /// Ports that the Service leads to, where it leads to none of those wanted.
    pub(super) fn other_ports(&self, wanted: &[u16]) -> Option<Vec<u16>> {
        let mut ports: Vec<Option<u16>> = self.slices.values().flat_map(Slice::ports).collect();
        if ports.is_empty() || ports.iter().any(|port| port.is_none_or(|port| wanted.contains(&port))) {
            return None;
        }
        ports.sort_unstable();
        ports.dedup();
        Some(ports.into_iter().flatten().collect())
    }
}

/// Who gets what is new: those that are ready, and where nobody is, those that leave and still serve, as kube-proxy does
/// (KEP-1669, "Proxy terminating endpoints").
pub fn open(found: &[Found]) -> Vec<&Found> {
    let of = |standing| found.iter().filter(move |one| one.standing == standing);
    if of(Standing::Ready).next().is_some() { of(Standing::Ready).collect() } else { of(Standing::Leaving).collect() }
}

impl Standing {
    /// Whether it is being ended.
    pub fn is_leaving(self) -> bool {
        matches!(self, Standing::Ending | Standing::Leaving)
    }
}

impl Found {
    /// Its name among the instances of all services: the same in every Fermata that finds it, so that a visitor's cookie is
    /// good wherever it comes.
    pub fn instance_of(&self, service: &str) -> Arc<str> {
        format!("{service}.{}", self.name).into()
    }
}

impl Slice {
    fn ports(&self) -> impl Iterator<Item = Option<u16>> {
        self.ports.iter().flatten().map(|port| port.port)
    }
}

impl Endpoint {
    fn standing(&self) -> Standing {
        let Conditions { ready, serving, terminating } = self.conditions.unwrap_or_default();
        let ready = ready.unwrap_or(true);
        match (ready, terminating.unwrap_or(false)) {
            (_, true) if serving.unwrap_or(ready) => Standing::Leaving,
            (_, true) => Standing::Ending,
            (true, false) => Standing::Ready,
            (false, false) => Standing::Away,
        }
    }

    fn name(&self, address: IpAddr) -> Arc<str> {
        let pod = self.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"));
        match pod.and_then(|pod| pod.name.as_deref()) {
            Some(name) => name.into(),
            None => address.to_string().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(slices: &[serde_json::Value]) -> View {
        let mut view = View::default();
        for slice in slices {
            view.put(serde_json::from_value(slice.clone()).expect("a slice"));
        }
        view
    }

    fn slice(name: &str, port: Option<u16>, endpoints: &serde_json::Value) -> serde_json::Value {
        json!({
            "metadata": {"name": name, "resourceVersion": "7"}, "addressType": "IPv4",
            "ports": [{"name": "ws", "protocol": "TCP", "port": port}], "endpoints": endpoints,
        })
    }

    fn told(view: &View, wanted: &[u16]) -> Vec<String> {
        let text = |found: &Found| {
            let ports: Vec<String> = found.ports.iter().map(|(port, at)| format!("{port} at {at}")).collect();
            format!("{} {:?} {}", found.name, found.standing, ports.join(", "))
        };
        view.endpoints(wanted).iter().map(text).collect()
    }

    #[test]
    fn what_a_condition_does_not_say_is_what_its_documentation_says() {
        let pod = |name: &str| json!({"kind": "Pod", "name": name});
        let endpoints = json!([
            {"addresses": ["10.0.0.1"]},
            {"addresses": ["10.0.0.2"], "conditions": {}, "targetRef": pod("web-b")},
            {"addresses": ["10.0.0.3"], "conditions": {"ready": false}, "targetRef": pod("web-c")},
            {"addresses": ["10.0.0.4"], "conditions": {"ready": false, "serving": true, "terminating": true}, "targetRef": pod("web-d")},
            {"addresses": ["10.0.0.5"], "conditions": {"ready": true, "terminating": true}, "targetRef": pod("web-e")},
            {"addresses": ["web.example.com"], "targetRef": pod("web-f")},
            {"addresses": ["10.0.0.7"], "conditions": {"ready": false, "serving": false, "terminating": true}, "targetRef": pod("web-g")},
            {"addresses": ["10.0.0.8"], "conditions": {"ready": false, "terminating": true}, "targetRef": pod("web-h")},
        ]);
        let expected = [
            "10.0.0.1 Ready 3000 at 10.0.0.1:3000",
            "web-b Ready 3000 at 10.0.0.2:3000",
            "web-c Away 3000 at 10.0.0.3:3000",
            "web-d Leaving 3000 at 10.0.0.4:3000",
            "web-e Leaving 3000 at 10.0.0.5:3000",
            "web-g Ending 3000 at 10.0.0.7:3000",
            "web-h Ending 3000 at 10.0.0.8:3000",
        ];
        assert_eq!(told(&view(&[slice("web-1", Some(3000), &endpoints)]), &[3000, 4000]), expected);
    }

    #[test]
    fn those_that_leave_get_what_is_new_only_while_nobody_is_ready() {
        let at = |number: u8, standing| Found {
            name: format!("web-{number}").into(),
            ports: vec![(3000, SocketAddr::from(([10, 0, 0, number], 3000)))],
            standing,
        };
        let names = |found: &[Found]| open(found).iter().map(|one| one.name.to_string()).collect::<Vec<String>>();
        let mut all = vec![at(1, Standing::Ending), at(2, Standing::Leaving), at(3, Standing::Away)];
        assert_eq!(names(&all), ["web-2"]);
        all.push(at(4, Standing::Ready));
        assert_eq!(names(&all), ["web-4"]);
        assert_eq!(names(&all[2..3]), [""; 0]);
    }

    #[test]
    fn an_endpoint_of_several_slices_is_one_endpoint() {
        let at = |address: &str, ready: bool| json!([{"addresses": [address], "conditions": {"ready": ready}, "targetRef": {"kind": "Pod", "name": "web-a"}}]);
        let slices = [
            slice("web-1", Some(3000), &at("10.0.0.1", false)),
            slice("web-2", Some(3000), &at("10.0.0.1", true)),
            slice("web-3", Some(9000), &at("10.0.0.1", true)),
            slice("web-4", Some(3000), &at("fd00::1", true)),
            slice("web-5", Some(5000), &at("10.0.0.1", true)),
        ];
        let view = view(&slices);
        assert_eq!(told(&view, &[3000, 9000]), ["web-a Ready 3000 at 10.0.0.1:3000, 9000 at 10.0.0.1:9000"]);
        assert_eq!(view.other_ports(&[3000]), None);
        assert_eq!(view.other_ports(&[80]), Some(vec![3000, 5000, 9000]));
        assert_eq!(told(&view, &[80]), [""; 0]);
    }

    #[test]
    fn a_slice_without_a_number_leads_to_every_port() {
        let view =
            view(&[slice("web-1", None, &json!([{"addresses": ["10.0.0.1"]}])), slice("web-2", Some(1), &json!(null))]);
        assert_eq!(told(&view, &[80]), ["10.0.0.1 Ready 80 at 10.0.0.1:80"]);
        assert_eq!(view.other_ports(&[80]), None);
    }
}
