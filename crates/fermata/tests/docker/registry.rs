//! Images come from registries, private ones too: Debian's own registry, which the test starts for itself.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::engine::{Engine, IMAGE};
use crate::support::{Folder, Process, free_port};

/// The user anna, whose password is "secret" (bcrypt, as htpasswd(1) writes it).
const USERS: &str = "anna:$2b$04$XOv/kZQUS0G7WQ8V4iWWyOaY1p7/a2CaMb92luA4A1mprAXj9uGKW\n";
/// The same as `docker login` writes it down: base64 of anna:secret.
const ANNA: &str = "YW5uYTpzZWNyZXQ=";

/// A registry that only anna may use, and its address.
fn registry(folder: &Folder) -> (Process, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let users = folder.write("users", USERS);
    let data = folder.path().join("registry");
    let config = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{address}\"}}\n\
         auth: {{htpasswd: {{realm: registry, path: {}}}}}\n",
        data.display(),
        users.display()
    );
    let config = folder.write("registry.yml", &config);
    let process = Process::start(Command::new("docker-registry").arg("serve").arg(config));
    process.stderr.wait_for(|line| line.contains("listening on")).expect("the registry listens");
    (process, address)
}

/// `fermata up` for a user with this `~/.docker/config.json`.
fn up(engine: &Engine, folder: &Folder, config: &str) -> Process {
    let home = folder.path().join("docker");
    std::fs::create_dir_all(&home).unwrap();
    folder.write("docker/config.json", config);
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    Process::start(engine.command(folder, &["up"]).env("DOCKER_CONFIG", home).env("PATH", path))
}

#[test]
fn images_of_a_private_registry_are_pulled_for_those_who_have_logged_in() {
    let engine = Engine::start();
    let folder = Folder::new("");
    let (_registry, address) = registry(&folder);
    let image = format!("{address}/team/app:1");
    engine.push(IMAGE, &image, ("anna", "secret"));
    folder.write("service.yml", &format!("version: 2\nservices:\n  web:\n    image: {image}\n    stop_grace: 2\n"));

    let mut nobody = up(&engine, &folder, "{}");
    assert_eq!(nobody.wait().code(), Some(1));
    let why = nobody.stderr.whole();
    let begin = format!("error: services.web.image: the image {image} is not here and cannot be pulled: ");
    assert!(why.starts_with(&begin) && why.contains("no basic auth credentials"), "{why}");
    assert!(why.contains("log in to its registry (docker login) if it is private"), "{why}");

    let mut anna = up(&engine, &folder, &format!("{{\"auths\": {{\"{address}\": {{\"auth\": \"{ANNA}\"}}}}}}"));
    anna.wait_for("that it pulls", |line| line.ends_with(&format!("web: pulling {image}")));
    anna.wait_for("that it has it", |line| line.ends_with(&format!("web: pulled {image}")));
    anna.wait_for("that it is ready", |line| line.starts_with("ready"));
    anna.signal(Signal::TERM);
    assert_eq!(anna.wait().code(), Some(0));

    // The same from a program that keeps passwords (docker-credential-helpers).
    engine.remove_image(&image);
    let helper = "#!/bin/sh\nread registry\necho '{\"Username\": \"anna\", \"Secret\": \"secret\"}'\n";
    let helper = folder.write("docker-credential-safe", helper);
    std::fs::set_permissions(helper, PermissionsExt::from_mode(0o755)).unwrap();
    let mut anna = up(&engine, &folder, &format!("{{\"credHelpers\": {{\"{address}\": \"safe\"}}}}"));
    anna.wait_for("that it is ready", |line| line.starts_with("ready"));
    anna.signal(Signal::TERM);
    assert_eq!(anna.wait().code(), Some(0));
}

/// The way to a registry, on which layers wait to be asked for.
struct SlowWay {
    address: String,
    pace: Arc<Pace>,
}

#[derive(Default)]
struct Pace {
    /// Of the layer under way so many tenths were seen to arrive.
    seen: AtomicU64,
    /// Bytes of the last layer.
    length: AtomicU64,
}

/// What is longer than this is a layer.
const LAYER: u64 = 100_000;
/// The engine tells of a layer ten times in a second at most (pkg/progress in moby), and each time that another hundredth is
/// there at least.
const TOLD_EVERY: Duration = Duration::from_millis(110);

impl SlowWay {
    fn to(registry: &str) -> SlowWay {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (pace, registry) = (Arc::<Pace>::default(), registry.to_owned());
        let shared = pace.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (pace, registry) = (shared.clone(), registry.clone());
                // A connection ends when one of its ends does.
                thread::spawn(move || carry(&client, &TcpStream::connect(registry)?, &pace));
            }
        });
        SlowWay { address, pace }
    }
}

/// One request after the other, none of which has a body: those of a pull.
fn carry(client: &TcpStream, registry: &TcpStream, pace: &Pace) -> io::Result<()> {
    let (mut asks, mut answers) = (BufReader::new(client), BufReader::new(registry));
    let (mut client, mut registry) = (client, registry);
    loop {
        let request = head(&mut asks)?;
        registry.write_all(request.as_bytes())?;
        let answer = head(&mut answers)?;
        client.write_all(answer.as_bytes())?;
        let length = answer.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok()).unwrap_or(0);
        let length = if request.starts_with("HEAD ") { 0 } else { length };
        let mut body = answers.by_ref().take(length);
        if length > LAYER {
            pass_slowly(&mut body, client, length, pace)?;
        } else {
            io::copy(&mut body, &mut client)?;
        }
    }
}

/// The head of a request or an answer, with its empty line.
fn head(stream: &mut impl BufRead) -> io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

/// Up to each tenth at once, and on in steps until somebody has seen that it arrived.
fn pass_slowly(body: &mut impl Read, mut client: &TcpStream, length: u64, pace: &Pace) -> io::Result<()> {
    pace.length.store(length, Ordering::SeqCst);
    let (hundredth, mut sent) = (length / 100 + 1, 0);
    while sent < length {
        let next = pace.seen.load(Ordering::SeqCst) + 1;
        let wanted = match next {
            10.. => length,
            _ if sent < hundredth * (next * 10 - 1) => hundredth * (next * 10 - 1),
            _ => {
                thread::sleep(TOLD_EVERY);
                // The next tenth would be told instead.
                (sent + hundredth).min(hundredth * (next * 10 + 8))
            }
        };
        sent += io::copy(&mut body.take(wanted.min(length) - sent), &mut client)?;
    }
    Ok(())
}

#[test]
fn a_pull_is_told_by_tenths_in_lines_and_by_a_bar_on_a_terminal() {
    let engine = Engine::start();
    let folder = Folder::new("");
    let (_registry, address) = registry(&folder);
    engine.push(IMAGE, &format!("{address}/app:1"), ("anna", "secret"));
    let way = SlowWay::to(&address);
    let image = format!("{}/app:1", way.address);
    folder.write("service.yml", &format!("version: 2\nservices:\n  web:\n    image: {image}\n    stop_grace: 2\n"));
    let config = format!("{{\"auths\": {{\"{}\": {{\"auth\": \"{ANNA}\"}}}}}}", way.address);

    let mut fermata = up(&engine, &folder, &config);
    let told = |percent: u64| format!("fermata      │ web: pulling {image}: {percent} %");
    for tenth in 1..10 {
        fermata.wait_for("that another tenth is there", |line| line == told(tenth * 10));
        way.pace.seen.store(tenth, Ordering::SeqCst);
    }
    fermata.wait_for("that it starts", |line| line == "fermata      │ web.1 starts");
    let begin = format!("fermata      │ web: pulling {image}\n");
    let tenths: String = (1..=10).map(|tenth| told(tenth * 10) + "\n").collect();
    let end = format!("fermata      │ web: pulled {image}\nfermata      │ web.1 starts\n");
    let text = fermata.stdout.text();
    assert!(text.starts_with(&format!("{begin}{tenths}{end}")), "{text}");
    fermata.signal(Signal::TERM);
    assert_eq!(fermata.wait().code(), Some(0));

    // script(1) has a terminal for what it runs.
    engine.remove_image(&image);
    let command = format!("stty cols 120; exec {} up --state-dir state", env!("CARGO_BIN_EXE_fermata"));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]).current_dir(folder.path());
    script.env("DOCKER_HOST", engine.host()).env("DOCKER_CONFIG", folder.path().join("docker"));
    let mut fermata = Process::start(script.env("TERM", "xterm").env("NO_COLOR", "1"));
    fermata.wait_for("that it is ready", |line| line.starts_with("ready"));
    let text = fermata.stdout.text();
    let (_, drawn) = text.split_once(&format!("fermata      │ web: pulling {image}\r\n")).unwrap();
    let (drawn, _) = drawn.split_once(&format!("fermata      │ web: pulled {image}\r\n")).unwrap();
    let drawn: Vec<&str> = drawn.split('\r').collect();
    let megabytes = format!("{:.1} MB", way.pace.length.load(Ordering::SeqCst) as f64 / 1e6);
    let full = format!("web: pulling {image} {} 100 %  {megabytes} of {megabytes}", "━".repeat(24));
    let full = format!("fermata      │ {full:<104}");
    assert!(drawn.ends_with(&[&full, &*" ".repeat(119), ""]), "{drawn:?}");
    let begin = format!("fermata      │ web: pulling {image} ");
    assert!(drawn[1..drawn.len() - 2].iter().all(|line| line.starts_with(&begin)), "{drawn:?}");
    assert_eq!(engine.command(&folder, &["stop"]).status().unwrap().code(), Some(0));
    assert_eq!(fermata.wait().code(), Some(0));
}
