//! What `HAProxy` tells of itself: `show stat`, what it counts, line by line (its management guide, 9.1), and
//! `show servers state`.

use std::collections::{BTreeSet, HashMap};

/// One line: a frontend, a backend, or a server of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// Its section.
    pub(super) proxy: String,
    /// The server; `FRONTEND` or `BACKEND` for the others.
    pub(super) name: String,
    /// What it is.
    pub(super) kind: Kind,
    /// `UP`, `DOWN`, `MAINT`, `DRAIN`, `no check`, and on the way from one to another `UP 1/3`.
    pub(super) status: String,
    /// What the last check saw: `L7STS/426`.
    pub(super) check: String,
    /// Where a server is.
    pub(super) address: String,
    /// Sessions now.
    pub(super) live: u32,
    /// Sessions ever.
    pub(super) total: u64,
    /// Bytes from clients and from servers.
    pub(super) bytes: [u64; 2],
    /// Seconds since the status last changed.
    pub(super) since: Option<u64>,
    /// How often it went down.
    pub(super) downs: u32,
}

/// What a line is about (`type`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// 0.
    Frontend,
    /// 1.
    Backend,
    /// 2.
    Server,
    /// 3: a socket that listens.
    #[default]
    Listener,
}

/// Reads the answer to `show stat`. Columns are found by their names: every version adds some.
pub(super) fn read(answer: &str) -> Vec<Row> {
    let mut lines = answer.lines();
    let Some(head) = lines.next().and_then(|line| line.strip_prefix("# ")) else { return Vec::new() };
    let columns: HashMap<&str, usize> = head.split(',').enumerate().map(|(at, name)| (name, at)).collect();
    lines.filter(|line| !line.is_empty()).map(|line| row(&columns, &cells(line))).collect()
}

fn row(columns: &HashMap<&str, usize>, cells: &[String]) -> Row {
    let text = |name: &str| columns.get(name).and_then(|at| cells.get(*at)).map_or("", String::as_str);
    let number = |name: &str| text(name).parse::<u64>().ok();
    let small = |name: &str| u32::try_from(number(name).unwrap_or_default()).unwrap_or(u32::MAX);
    let check = [text("check_status"), text("check_code")];
    Row {
        proxy: text("pxname").to_owned(),
        name: text("svname").to_owned(),
        kind: match text("type") {
            "0" => Kind::Frontend,
            "1" => Kind::Backend,
            "2" => Kind::Server,
            _ => Kind::Listener,
        },
        status: text("status").to_owned(),
        check: check.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/"),
        address: text("addr").to_owned(),
        live: small("scur"),
        total: number("stot").unwrap_or_default(),
        bytes: ["bin", "bout"].map(|name| number(name).unwrap_or_default()),
        since: number("lastchg"),
        downs: small("chkdown"),
    }
}

/// `SRV_ADMF_FDRAIN`: somebody has said that it gets nothing new (its management guide, `show servers state`).
const DRAINED: u32 = 0x08;

/// The servers that are drained, from the answer to `show servers state`.
pub(super) fn drained(answer: &str) -> BTreeSet<String> {
    let mut lines = answer.lines().skip_while(|line| !line.starts_with("# "));
    let head = lines.next().unwrap_or_default();
    let at = |column: &str| head.split_whitespace().skip(1).position(|name| name == column);
    let (Some(name), Some(state)) = (at("srv_name"), at("srv_admin_state")) else { return BTreeSet::new() };
    let server = |line: &str| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let is_drained = cells.get(state)?.parse::<u32>().ok()? & DRAINED != 0;
        is_drained.then(|| cells.get(name).map(|name| (*name).to_owned()))?
    };
    lines.filter_map(server).collect()
}

/// The cells of a line; one in quotes may have commas, and two quotes for one (RFC 4180).
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    let mut rest = line.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '"' if quoted && rest.peek() == Some(&'"') => cells.last_mut().into_iter().for_each(|cell| cell.push('"')),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            other => cells.last_mut().into_iter().for_each(|cell| cell.push(other)),
        }
        if char == '"' && quoted && rest.peek() == Some(&'"') {
            rest.next();
        }
    }
    cells
}

impl Row {
    /// What its state is, in a few words.
    pub(super) fn state(&self) -> String {
        let word = self.status.to_ascii_lowercase();
        if !word.starts_with("down") || self.check.is_empty() {
            return word;
        }
        let hint = match self.check.rsplit('/').next() {
            Some("426" | "400") => ", which a WebSocket's path answers: check another",
            _ => "",
        };
        format!("{word} ({}{hint})", self.check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_their_names_whatever_stands_between() {
        let answer = "# pxname,svname,scur,new_one,stot,bin,bout,status,lastchg,chkdown,check_status,check_code,type,addr,last_chk,\n\
                      web,FRONTEND,3,,9,10,20,OPEN,,,,,0,,,\n\
                      web,web1,2,x,7,1,2,DOWN 1/2,5,1,L7STS,426,2,10.0.0.11:80,\"a, \"\"b\"\"\",\n";
        let rows = read(answer);
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].kind, rows[0].live, rows[0].bytes), (Kind::Frontend, 3, [10, 20]));
        let expected = Row {
            proxy: "web".into(),
            name: "web1".into(),
            kind: Kind::Server,
            status: "DOWN 1/2".into(),
            check: "L7STS/426".into(),
            address: "10.0.0.11:80".into(),
            live: 2,
            total: 7,
            bytes: [1, 2],
            since: Some(5),
            downs: 1,
        };
        assert_eq!(rows[1], expected);
        assert_eq!(rows[1].state(), "down 1/2 (L7STS/426, which a WebSocket's path answers: check another)");
        assert_eq!(read("Unknown command"), []);
        assert_eq!(cells("a,\"b,c\",,\"d\"\"e\""), ["a", "b,c", "", "d\"e"]);
    }

    #[test]
    fn a_server_is_drained_when_somebody_has_said_so() {
        let answer = "1\n\
                      # be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n\
                      3 web 1 web2 127.0.0.2 2 0 1\n\
                      3 web 2 web3 127.0.0.3 2 8 1\n\
                      4 sockets 1 web4 127.0.0.4 0 1 0\n";
        assert_eq!(drained(answer), BTreeSet::from(["web3".to_owned()]));
        assert_eq!(drained("Unknown command"), BTreeSet::new());
    }
}
