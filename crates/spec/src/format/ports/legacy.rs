//! `local_ports` with `public_port`, and `tcp` beside `ports`: spellings of 2014 to 2016.

use crate::diagnostic::{codes, quote};
use crate::grammar::{Numbers, Shape, Text};
use crate::model::Port;
use crate::reader::{Field, Fields};

use super::number::{self, number};
use crate::format::patterns;

/// `tcp` of older files, beside `ports`.
pub(crate) const TCP: Shape = Shape::Text(&Text {
    expected: "a pair of ports such as \"22:10022\" (container:tcp)",
    pattern: concat!("^", patterns::port!(), "(:", patterns::port!(), ")?$"),
    numbers: Numbers::Between(1, 65535),
});

/// Pairs `local_ports: [3000]` with `public_port: "80:443"`.
pub(super) fn local_ports(fields: &Fields<'_>, ports: &mut Vec<Port>) {
    let public = fields.old("public_port").or_else(|| fields.old("public_ports"));
    let Some(local) = fields.old("local_ports") else {
        public_texts(public.as_ref());
        if let Some(public) = public {
            public.say_help(
                &codes::KEY_OLD,
                "\"public_port\" is now part of \"ports\"",
                "write ports: [\"CONTAINER:HTTP:HTTPS\"]",
            );
        }
        return;
    };
    if !ports.is_empty() {
        local.say_help(&codes::KEY_OLD, "\"local_ports\" is now part of \"ports\"", "remove it; ports says it already");
        return;
    }
    let publics: Vec<(Field<'_>, &str)> = public_texts(public.as_ref());
    let mut written = Vec::new();
    for (at, field) in local.items().iter().enumerate() {
        let Some(container) = number::port(field) else { continue };
        let (public_field, public) = publics.get(at).map_or((None, ""), |(field, text)| (Some(field), *text));
        let mut numbers = public.split(':').map(|part| number(part.trim()));
        let (http, https) = (numbers.next().flatten(), numbers.next().flatten());
        written.push(quote(format!("{container}:{public}").trim_end_matches(':')));
        if let Some(field) = public_field {
            keep_place(fields, ports.len(), &["http", "https"], field);
        }
        ports.push(Port { container, websocket: None, http, https, tcp: None, udp: None, tls: None });
    }
    let mut diagnostic = local
        .diagnostic(&codes::KEY_OLD, "\"local_ports\" and \"public_port\" are now \"ports\"")
        .help(format!("write ports: [{}]", written.join(", ")));
    if let Some(public) = public {
        diagnostic = diagnostic.also(public.place, "");
    }
    local.reading.said.add(diagnostic);
}

/// `"80:443"` of each entry.
fn public_texts<'a>(public: Option<&Field<'a>>) -> Vec<(Field<'a>, &'a str)> {
    let items = public.map(Field::items).unwrap_or_default();
    items.into_iter().filter_map(|field| field.text().map(|text| (field, text))).collect()
}

/// Where the public ports of entry `at` are written.
fn keep_place(fields: &Fields<'_>, at: usize, names: &[&str], field: &Field<'_>) {
    for name in names {
        field.reading.keep_place(format!("{}[{at}].{name}", fields.path_of("ports")), &field.place, &field.place);
    }
}

/// `tcp: ["22:10022"]`: container port and public port.
pub(super) fn tcp(fields: &Fields<'_>, ports: &mut Vec<Port>) {
    let Some(field) = fields.old("tcp") else { return };
    let items = field.items();
    let mut written = Vec::new();
    for item in &items {
        number::warn_base60(item);
        let Some(text) = item.text() else { continue };
        let (container, public) = text.split_once(':').unwrap_or((text, text));
        let (Some(container), Some(public)) = (number(container.trim()), number(public.trim())) else {
            item.say(&codes::PORT, format!("{} is not CONTAINER:TCP", quote(text)));
            continue;
        };
        written.push(format!("- {{container: {container}, tcp: {public}}}"));
        let same = ports.iter().position(|port| port.container == container && port.tcp.is_none());
        keep_place(fields, same.unwrap_or(ports.len()), &["tcp"], item);
        match same {
            Some(at) => ports[at].tcp = Some(public),
            None => {
                ports.push(Port {
                    container,
                    websocket: None,
                    http: None,
                    https: None,
                    tcp: Some(public),
                    udp: None,
                    tls: None,
                });
            }
        }
    }
    field.say_help(
        &codes::KEY_OLD,
        "\"tcp\" is now part of \"ports\"",
        format!("write under ports: {}", written.join(" ")),
    );
}
