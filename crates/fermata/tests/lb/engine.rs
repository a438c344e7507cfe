//! The two engines, so that a story need not know which one carries its connections.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::differences::Differs;
use crate::server::Server;
use crate::support::{Ended, Fermata, Folder, until};
use crate::{Ports, QUICK, balance};

/// What carries the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Fermata itself.
    Builtin,
    /// A real `HAProxy`.
    Haproxy,
}

/// A running balancer.
pub(crate) struct Balancer {
    pub(crate) engine: Engine,
    pub(crate) ports: Ports,
    pub(crate) fermata: Fermata,
}

/// What a server is asked for on 80 and 443, by the checks of either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Takes {
    pub(crate) requests: bool,
    pub(crate) websockets: bool,
}

impl Engine {
    /// The file of a balancer for these servers, with more keys (each `key: value`) for `load_balancer`; checks are quick
    /// where these say nothing about them.
    pub(crate) fn file(self, ports: Ports, servers: &[&Server], keys: &[&str]) -> String {
        let checks = if keys.iter().any(|key| key.contains("check: ") || key.contains("httpchk: ")) {
            &[][..]
        } else {
            &[QUICK]
        };
        ports.file(servers, &[&[self.key()], keys, checks].concat())
    }

    /// The file of a balancer for so many servers, where nobody listens.
    pub(crate) fn long_file(self, ports: Ports, count: u16) -> String {
        let mut servers = String::from("servers:\n");
        for number in 0..count {
            let [high, low] = number.to_be_bytes();
            let _ = writeln!(servers, "  - {{name: web{number}, address: 127.1.{high}.{low}}}");
        }
        let rarely = "check: {type: tcp, period: 3600, initial_delay: 0, failure_threshold: 1}";
        self.file(ports, &[], &[rarely]).replace("servers:\n", &servers)
    }

    fn key(self) -> &'static str {
        match self {
            Engine::Builtin => "engine: builtin",
            Engine::Haproxy => "engine: haproxy",
        }
    }

    /// A balancer of this file, listening.
    pub(crate) fn start(self, ports: Ports, file: &str) -> Balancer {
        Balancer { engine: self, ports, fermata: balance(Folder::new(file)) }
    }

    /// A balancer that has found all of its servers well.
    pub(crate) fn balance(self, ports: Ports, servers: &[&Server], keys: &[&str]) -> Balancer {
        let balancer = self.start(ports, &self.file(ports, servers, keys));
        balancer.are_well(servers);
        balancer
    }

    /// The cookie by which a visitor stays on a server, without its value.
    pub(crate) fn cookie(self) -> &'static str {
        match self {
            Engine::Builtin => "fermata-servers",
            Engine::Haproxy => "FERMATA",
        }
    }

    /// What this one comes to, where the two differ.
    pub(crate) fn of(self, differs: &Differs) -> &'static str {
        match self {
            Engine::Builtin => differs.builtin,
            Engine::Haproxy => differs.haproxy,
        }
    }
}

impl Balancer {
    /// The states of a server, by the service or backend and in its order.
    pub(crate) fn states(&self, server: &str) -> BTreeMap<String, String> {
        let status = self.fermata.status();
        let services = status["services"].as_array().expect("services").iter();
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        services
            .flat_map(|service| {
                let own = service["instances"].as_array().expect("instances").iter();
                let own = own.filter(|row| row["name"] == server);
                own.map(move |row| (text(&service["name"]), text(&row["state"])))
            })
            .collect()
    }

    /// Waits until each of these has been found well on all of its ports.
    pub(crate) fn are_well(&self, servers: &[&Server]) {
        for server in servers {
            self.is_well(server.name());
        }
    }

    /// Waits until a server has been found well on all of its ports.
    pub(crate) fn is_well(&self, server: &str) {
        let well = |state: &String| state == "ready" || state == "up";
        until("the server is well", || {
            let states = self.states(server);
            !states.is_empty() && states.values().all(well)
        });
    }

    /// Whether requests and WebSockets go to a server, as far as its checks have a say.
    pub(crate) fn takes(&self, server: &str) -> Takes {
        let states = self.states(server);
        let of = |backend: &str| states.get(backend).is_some_and(|state| state.starts_with("up"));
        match self.engine {
            Engine::Haproxy => Takes { requests: of("web"), websockets: of("sockets") },
            Engine::Builtin => {
                let state = states.get("servers").cloned().unwrap_or_default();
                let some = state.strip_prefix("ready on ").unwrap_or_default();
                let on = |port: u16| state == "ready" || some.split(", ").any(|one| one == port.to_string());
                Takes { requests: on(self.ports.http), websockets: on(self.ports.ws) }
            }
        }
    }

    /// Waits until a server gets what it takes, and nothing else.
    pub(crate) fn comes_to_take(&self, server: &str, requests: bool, websockets: bool) {
        let wanted = Takes { requests, websockets };
        until(&format!("{server} takes {wanted:?}"), || self.takes(server) == wanted);
    }

    /// How often a server has been found down for requests.
    pub(crate) fn downs(&self, server: &str) -> u64 {
        match self.engine {
            Engine::Builtin => {
                let down = format!("{server} is down on {}: ", self.ports.http);
                self.fermata.process.stdout.text().lines().filter(|line| line.contains(&down)).count() as u64
            }
            Engine::Haproxy => {
                let status = self.fermata.status();
                let web = status["services"].as_array().into_iter().flatten().find(|one| one["name"] == "web");
                let rows = web.expect("the backend for requests")["instances"].as_array().into_iter().flatten();
                rows.filter(|row| row["name"] == server).filter_map(|row| row["restarts"].as_u64()).sum()
            }
        }
    }

    /// A command of `fermata` to it.
    pub(crate) fn tell(&self, arguments: &[&str]) -> Ended {
        self.fermata.folder.run(&[arguments, &["--state-dir", "state"]].concat())
    }

    /// Has it read another file.
    pub(crate) fn reload(&self, file: &str) {
        self.fermata.folder.write("service.yml", file);
        let said = self.tell(&["reload"]);
        assert_eq!(said.code, Some(0), "{said:?}");
    }

    /// The file of these servers instead.
    pub(crate) fn reload_with(&self, servers: &[&Server], keys: &[&str]) {
        self.reload(&self.engine.file(self.ports, servers, keys));
    }

    /// Its ports in a text by their names, since they are others every time.
    pub(crate) fn named(&self, text: &str) -> String {
        let Ports { http, https, ws, wss } = self.ports;
        let names = [(http, "HTTP"), (https, "HTTPS"), (ws, "WS"), (wss, "WSS")];
        names.iter().fold(text.to_owned(), |text, (port, name)| text.replace(&port.to_string(), name))
    }

    /// Ends it; it ends well.
    pub(crate) fn stop(self) {
        let ended = self.fermata.stop();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}
