//! The state of everything as a page for people: one self-contained file without a script, which asks for itself again
//! every two seconds. Pure: a status in, HTML out.

use std::fmt::Write;

use super::protocol::Status;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color-scheme:light dark}\
h1{font-size:1.3rem}table{border-collapse:collapse;width:100%;margin:1rem 0 2rem}th,td{text-align:left;padding:.3rem .8rem .3rem 0;\
border-bottom:1px solid #8884;font-variant-numeric:tabular-nums}th{font-weight:600;font-size:.85rem;opacity:.7}.good{color:#18794e}\
.bad{color:#cd2b31}";

/// The page of a status.
pub(super) fn html(status: &Status) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"2\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Fermata</title><style>{STYLE}</style></head><body>\n\
         <h1>Fermata {} <span class=\"{}\">{}</span></h1>\n<p>{}, up {}. {} tunnels live.</p>\n",
        escaped(&status.version),
        if status.ready { "good" } else { "bad" },
        if status.ready { "ready" } else { "not ready yet" },
        escaped(&status.file),
        super::span(status.uptime),
        status.tunnels.live,
    );
    let ports =
        status.ports.iter().map(|port| vec![format!("{}:{}", port.scheme, port.port), port.services.join(", ")]);
    table(&mut page, &["Port", "Services"], ports);
    let instances = status.services.iter().flat_map(|service| {
        service.instances.iter().map(|one| {
            let up = one.uptime.map_or_else(|| "-".to_owned(), super::span);
            [&*service.name, &one.name, &one.state, &one.address, &one.live.to_string(), &up, &one.restarts.to_string()]
                .map(str::to_owned)
                .to_vec()
        })
    });
    table(&mut page, &["Service", "Instance", "State", "Address", "Live", "Up", "Restarts"], instances);
    let ended = status.tunnels.ended.iter().map(|(name, count)| {
        let (cause, code) = name.split_once('/').unwrap_or((name, ""));
        vec![cause.to_owned(), code.to_owned(), count.to_string()]
    });
    table(&mut page, &["Tunnels ended because of", "Close code", "Count"], ended);
    let figures = &status.tunnels;
    let carried = [("clients", 0), ("services", 1)];
    let carried = carried
        .map(|(from, at)| vec![from.to_owned(), figures.messages[at].to_string(), figures.bytes[at].to_string()]);
    table(&mut page, &["Carried from", "Messages", "Bytes"], carried);
    page.push_str("</body></html>\n");
    page
}

fn table(page: &mut String, titles: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| -> String {
        cells.map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect()
    };
    // Writing to a String cannot fail.
    let _ = writeln!(page, "<table><tr>{}</tr>", cells("th", &mut titles.iter().copied()));
    for row in rows {
        let _ = writeln!(page, "<tr>{}</tr>", cells("td", &mut row.iter().map(String::as_str)));
    }
    page.push_str("</table>\n");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::protocol::{InstanceRow, PortRow, ServiceRow, TunnelFigures};
    use super::*;

    pub(in super::super) fn status() -> Status {
        Status {
            version: "1.2.3".into(),
            pid: 42,
            uptime: 3725,
            file: "a&b/service.yml".into(),
            engine: None,
            ports: vec![PortRow { scheme: "ws".into(), port: 8080, services: vec!["web".into()] }],
            services: vec![ServiceRow {
                name: "web".into(),
                tunnels: 7,
                instances: vec![InstanceRow {
                    name: "web.1".into(),
                    image: None,
                    state: "ready".into(),
                    address: "127.0.0.1:3000".into(),
                    live: 7,
                    uptime: Some(90),
                    restarts: 1,
                    health: None,
                    reason: None,
                    cpu: Some(0.125),
                    memory: Some(12_345_678),
                }],
            }],
            ready: true,
            tunnels: TunnelFigures {
                live: 7,
                ended: [("client-close/1000".to_owned(), 3)].into(),
                bytes: [120, 340],
                messages: [3, 8],
            },
        }
    }

    #[test]
    fn a_status_is_one_page() {
        let page = html(&status());
        let (_, body) = page.split_once("<body>\n").expect("a body");
        assert_eq!(
            body,
            "<h1>Fermata 1.2.3 <span class=\"good\">ready</span></h1>\n\
             <p>a&amp;b/service.yml, up 1 h 2 min. 7 tunnels live.</p>\n\
             <table><tr><th>Port</th><th>Services</th></tr>\n<tr><td>ws:8080</td><td>web</td></tr>\n</table>\n\
             <table><tr><th>Service</th><th>Instance</th><th>State</th><th>Address</th><th>Live</th><th>Up</th><th>Restarts</th></tr>\n\
             <tr><td>web</td><td>web.1</td><td>ready</td><td>127.0.0.1:3000</td><td>7</td><td>1 min</td><td>1</td></tr>\n</table>\n\
             <table><tr><th>Tunnels ended because of</th><th>Close code</th><th>Count</th></tr>\n\
             <tr><td>client-close</td><td>1000</td><td>3</td></tr>\n</table>\n\
             <table><tr><th>Carried from</th><th>Messages</th><th>Bytes</th></tr>\n\
             <tr><td>clients</td><td>3</td><td>120</td></tr>\n<tr><td>services</td><td>8</td><td>340</td></tr>\n</table>\n\
             </body></html>\n"
        );
    }
}
