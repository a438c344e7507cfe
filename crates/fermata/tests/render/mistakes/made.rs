//! What a target made of one service.yml, taken apart.

use fermata::render::File;
use fermata_spec::balancers::{Balancer, balancer};
use fermata_spec::{Service, Severity, Spec};
use serde_json::Value;

/// All of it.
pub(super) struct Made {
    pub(super) target: &'static str,
    pub(super) spec: Spec,
    /// The text of the configuration.
    pub(super) text: String,
    /// Terraform's module, or the template, or nothing.
    pub(super) module: Value,
    /// Objects of Kubernetes.
    pub(super) objects: Vec<Value>,
}

impl Made {
    pub(super) fn new(target: &'static str, spec: Spec, files: &[File]) -> Made {
        let shown: Vec<&File> = files.iter().filter(|file| !file.beside).collect();
        let text: String = shown.iter().map(|file| &*file.text).collect();
        let documents =
            shown.iter().filter(|file| file.name.ends_with("yaml")).flat_map(|file| file.text.split("---\n"));
        let objects: Vec<Value> = documents.map(parsed).collect();
        let module = match shown[0].name {
            "main.tf.json" => serde_json::from_str(&text).expect("it is JSON"),
            "template.yaml" => objects[0].clone(),
            _ => Value::Null,
        };
        Made { target, spec, text, module, objects }
    }

    /// Of every resource of a kind in Terraform, what is there; null where nothing is.
    pub(super) fn of(&self, kind: &str, pointer: &str) -> Vec<Value> {
        let resources = self.module["resource"][kind].as_object().cloned().unwrap_or_default();
        resources.values().map(|body| body.pointer(pointer).cloned().unwrap_or_default()).collect()
    }

    /// The properties of every resource of a kind in a template.
    pub(super) fn properties(&self, kind: &str) -> Vec<Value> {
        let resources = self.module["Resources"].as_object().cloned().unwrap_or_default();
        let kind = format!("AWS::{kind}");
        resources.values().filter(|one| one["Type"] == *kind).map(|one| one["Properties"].clone()).collect()
    }

    /// An attribute of every resource of a kind in a template; null where it is not set.
    pub(super) fn attributes(&self, kind: &str, list: &str, key: &str) -> Vec<Value> {
        let of = |body: Value| {
            let pairs = body[list].as_array().cloned().unwrap_or_default();
            pairs.into_iter().find(|pair| pair["Key"] == key).map(|pair| pair["Value"].clone()).unwrap_or_default()
        };
        self.properties(&format!("ElasticLoadBalancingV2::{kind}")).into_iter().map(of).collect()
    }

    /// The objects of a kind.
    pub(super) fn kind<'m>(&'m self, kind: &'m str) -> impl Iterator<Item = &'m Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    /// The balancer's row in the table.
    pub(super) fn row(&self) -> &'static Balancer {
        balancer(self.target.trim_end_matches("-cloudformation")).expect("every target has a row")
    }

    /// Services that clients reach over HTTP.
    pub(super) fn web(&self) -> impl Iterator<Item = &Service> {
        self.spec.services.iter().filter(|service| service.ports.iter().any(|port| port.http.or(port.https).is_some()))
    }

    /// The most seldom Ping of all services, in seconds.
    pub(super) fn ping(&self) -> f64 {
        let pings = self.web().map(|service| service.websocket.keepalive.map_or(0.0, |ping| ping.as_secs_f64()));
        pings.fold(0.0, f64::max)
    }

    /// The longest time for tunnels to leave, in seconds.
    pub(super) fn drain(&self) -> f64 {
        self.spec.services.iter().map(|service| service.websocket.drain.as_secs_f64()).fold(0.0, f64::max)
    }

    /// Whether some service pins visitors by a cookie.
    pub(super) fn sticky(&self) -> bool {
        self.web().any(|service| service.sticky == fermata_spec::Sticky::Cookie)
    }

    /// Whether some port expects the PROXY protocol.
    pub(super) fn announced(&self, port: u64) -> bool {
        u16::try_from(port).is_ok_and(|port| self.spec.gateway.proxy_protocol.includes(port))
    }

    /// Whether the file has https ports.
    pub(super) fn secure(&self) -> bool {
        self.spec.services.iter().flat_map(|service| &service.ports).any(|port| port.https.is_some())
    }
}

fn parsed(document: &str) -> Value {
    let (root, said) = fermata_spec::read_tree(document);
    assert!(said.iter().all(|one| one.severity < Severity::Error), "{said:?}\n{document}");
    fermata_spec::tree::json(&root.expect("a document"))
}

/// Whether there are some, and all are so.
pub(super) fn every(values: &[Value], is: impl Fn(&Value) -> bool) -> bool {
    !values.is_empty() && values.iter().all(is)
}

/// A number, also where it stands in a text, with a unit or without.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.trim_end_matches('s').parse().ok(),
        value => value.as_f64(),
    }
}

/// A list of every resource of a kind.
pub(super) fn rules(made: &Made, kind: &str, pointer: &str) -> Vec<Value> {
    made.of(kind, pointer).iter().filter_map(Value::as_array).flatten().cloned().collect()
}

/// A setting of every backend of an Application Gateway.
pub(super) fn settings(made: &Made, path: &str) -> Vec<Value> {
    let all = rules(made, "azurerm_application_gateway", "/backend_http_settings");
    all.iter().map(|one| one.pointer(&format!("/{path}")).cloned().unwrap_or_default()).collect()
}

pub(super) fn present(values: Vec<Value>) -> Vec<Value> {
    values.into_iter().filter(|value| !value.is_null()).collect()
}

/// What stands behind some words in a file that is no JSON, up to the end of the value.
pub(super) fn words(text: &str, before: &str) -> Vec<Value> {
    let pieces = text.split(before).skip(1);
    let value = |piece: &str| {
        let end = piece.find(['\n', ' ', ',']).unwrap_or(piece.len());
        let word = &piece[..end];
        match word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
            Some(text) => Value::from(text),
            None => word.parse::<f64>().map_or(Value::from(word), Value::from),
        }
    };
    pieces.map(value).collect()
}
