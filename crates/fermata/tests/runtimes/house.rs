//! Where a service runs, so that a test need not know: the same command in the same folder, as a process or in a container.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::process::Command;

use crate::engine::Engine;
use crate::support::{Fermata, Folder, Process, until};

/// An image with nothing in it: programs come from the machine's own /usr, which is mounted.
const BARE: &str = "fermata-test:bare";
const FERMATA: &str = env!("CARGO_BIN_EXE_fermata");

/// Answers GET at PORT with the status that stands in the file `status`, over TLS where there is a `cert.pem`; ends at TERM.
pub(crate) const ANSWER: &str = r#"
import http.server, os, signal, ssl, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(open("status").read()))
        self.send_header("Content-Length", "0")
        self.end_headers()
        print("asked for " + self.path, flush=True)
    def log_message(self, *_):
        pass
server = http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Answer)
if os.path.exists("cert.pem"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("cert.pem", "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

/// What services run in.
pub(crate) enum House {
    Processes,
    Containers(Box<Engine>),
}

/// A service of a file.
pub(crate) struct Service<'a> {
    pub(crate) name: &'a str,
    pub(crate) command: &'a str,
    /// Variables, as YAML: `A: b, C: d`.
    pub(crate) variables: &'a str,
    /// Other keys, as lines of YAML without indentation.
    pub(crate) keys: String,
}

impl<'a> Service<'a> {
    pub(crate) fn new(name: &'a str, command: &'a str, keys: impl Into<String>) -> Service<'a> {
        Service { name, command, variables: "", keys: keys.into() }
    }
}

impl House {
    pub(crate) fn of_processes() -> House {
        House::Processes
    }

    pub(crate) fn of_containers() -> House {
        let engine = Engine::start();
        engine.import_bare(BARE);
        House::Containers(Box::new(engine))
    }

    /// A folder without a service.yml.
    pub(crate) fn folder() -> Folder {
        Folder::new("")
    }

    /// Writes the service.yml. Services see the folder as it is here, where to listen in HOST, and the program in FERMATA.
    pub(crate) fn write(&self, folder: &Folder, services: &[Service<'_>]) {
        let path = folder.path().display();
        let mut text = "version: 2\nservices:\n".to_owned();
        for Service { name, command, variables, keys } in services {
            let command = serde_json::to_string(command).unwrap();
            let (host, inside) = match self {
                House::Processes => ("127.0.0.1", String::new()),
                House::Containers(_) => {
                    let volumes = format!("\"/usr:/usr:ro\", \"{path}:{path}\", \"{FERMATA}:{FERMATA}:ro\"");
                    ("0.0.0.0", format!("    image: {BARE}\n    work_dir: {path}\n    volumes: [{volumes}]\n"))
                }
            };
            let variables = format!("HOST: {host}, FERMATA: {FERMATA}, {variables}");
            writeln!(text, "  {name}:\n    command: {command}\n{inside}    env_vars: {{{variables}}}").unwrap();
            keys.lines().for_each(|line| writeln!(text, "    {line}").unwrap());
        }
        text.push_str("gateway: {bind: [127.0.0.1]}\n");
        folder.write("service.yml", &text);
    }

    /// A command of `fermata` there.
    pub(crate) fn command(&self, folder: &Folder, arguments: &[&str]) -> Command {
        match self {
            House::Containers(engine) => engine.command(folder, arguments),
            House::Processes => {
                let mut command = folder.command(arguments);
                command.args(["--state-dir", "state"]);
                command
            }
        }
    }

    /// `fermata up`, begun.
    pub(crate) fn begin(&self, folder: Folder) -> Fermata {
        let process = Process::start(&mut self.command(&folder, &["up"]));
        folder.adopt(process)
    }

    /// `fermata up`, ready.
    pub(crate) fn up(&self, folder: Folder) -> Fermata {
        let fermata = self.begin(folder);
        fermata.process.wait_for("that it is ready", |line| line.starts_with("ready"));
        fermata
    }

    /// Asks a running one; its exit code and everything it says.
    pub(crate) fn ask(&self, fermata: &Fermata, arguments: &[&str]) -> (Option<i32>, String) {
        let said = self.command(&fermata.folder, arguments).output().unwrap();
        let text = [said.stdout, said.stderr].concat();
        (said.status.code(), String::from_utf8(text).unwrap())
    }
}

/// What `who` has written so far.
pub(crate) fn lines_of(fermata: &Fermata, who: &str) -> Vec<String> {
    let begin = format!("{who:<12} │ ");
    let text = fermata.process.stdout.text();
    text.lines().filter_map(|line| Some(line.strip_prefix(&begin)?.to_owned())).collect()
}

/// What has happened so far.
pub(crate) fn events(fermata: &Fermata) -> Vec<String> {
    lines_of(fermata, "fermata")
}

/// Waits until something that begins so has happened as often, and gives the last.
pub(crate) fn happened(fermata: &Fermata, begin: &str, times: usize) -> String {
    let found = || -> Vec<String> { events(fermata).into_iter().filter(|event| event.starts_with(begin)).collect() };
    until(&format!("\"{begin}\" has happened {times} times\n{}", fermata.process.transcript()), || {
        found().len() >= times
    });
    found()[times - 1].clone()
}

/// The address that an instance's first port is at.
pub(crate) fn address(ready: &str) -> String {
    ready.rsplit(' ').next().unwrap().to_owned()
}

/// The status that a page of a public port answers with.
pub(crate) fn status_of(http: u16) -> u16 {
    let mut socket = TcpStream::connect(("127.0.0.1", http)).expect("the public port is open");
    socket.write_all(b"GET /page HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}
