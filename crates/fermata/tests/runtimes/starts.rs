//! How instances are started, in which order, with what, and how they are heard.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};

use crate::house::{House, Service, events, happened, lines_of};
use crate::support::{PATIENCE, Process, free_port, until};

super::in_both!(
    a_program_gets_its_variables_its_ports_and_its_folder,
    services_start_once_those_that_they_require_are_ready_and_stop_before_them,
    what_instances_write_is_heard_with_their_names_and_followed,
    raw_tcp_and_udp_ports_reach_an_instance,
);

/// Says back what it gets at a TCP and at a UDP port.
const SAY_BACK: &str = r#"
import os, signal, socket, sys, threading
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
udp.bind((os.environ["HOST"], int(sys.argv[2])))
tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
tcp.bind((os.environ["HOST"], int(sys.argv[1])))
def datagrams():
    while True:
        udp.sendto(*udp.recvfrom(2000))
threading.Thread(target=datagrams, daemon=True).start()
tcp.listen()
while True:
    client = tcp.accept()[0]
    client.sendall(client.recv(2000))
    client.close()
"#;

const WAIT: &str = "trap exit TERM\nwhile :; do sleep 0.1; done\n";

fn a_program_gets_its_variables_its_ports_and_its_folder(house: &House) {
    let folder = House::folder();
    let (first, second) = (free_port(), free_port());
    folder.write("tell", &format!("echo $PORT $PORT_{first} $PORT_{second} $COLOUR $SHADE\npwd\n{WAIT}"));
    let keys = format!("ports: [{{container: {first}}}, {{container: {second}}}]");
    let service = Service::new("web", "sh tell", keys);
    house.write(
        &folder,
        &[Service { variables: "COLOUR: green, SHADE: \"dark _env(SERVICE[web].COLOUR)\"", ..service }],
    );
    let fermata = house.begin(folder);
    until("it has told", || lines_of(&fermata, "web.1").len() == 2);
    let path = fermata.folder.path().canonicalize().unwrap().display().to_string();
    assert_eq!(lines_of(&fermata, "web.1"), [format!("{first} {first} {second} green dark green"), path]);
    assert_eq!(fermata.stop().code, Some(0));
}

fn services_start_once_those_that_they_require_are_ready_and_stop_before_them(house: &House) {
    let folder = House::folder();
    folder.write("wait", WAIT);
    let ready = "health: {ready: {type: exec, command: test -e go, initial_delay: 0, period: 1, timeout: 20}}";
    house.write(
        &folder,
        &[Service::new("web", "sh wait", "requires: [db]\nreplicas: 2"), Service::new("db", "sh wait", ready)],
    );
    let fermata = house.begin(folder);
    happened(&fermata, "db.1 starts", 1);
    assert_eq!(events(&fermata).iter().filter(|event| event.starts_with("web")).count(), 0);
    fermata.folder.write("go", "");
    for web in ["web.1 is ready", "web.2 is ready"] {
        happened(&fermata, web, 1);
    }
    let all = fermata.stop();
    assert_eq!(all.code, Some(0));
    let place = |text: &str| {
        let line = format!("fermata      │ {text}");
        all.stdout.lines().position(|each| each == line).unwrap_or_else(|| panic!("{text} is not in {all:?}"))
    };
    for web in ["web.1", "web.2"] {
        assert!(place("db.1 is ready") < place(&format!("{web} starts")), "{all:?}");
        assert!(place(&format!("{web} has stopped")) < place("db.1 stops"), "{all:?}");
    }
    assert!(place("db.1 stops") < place("db.1 has stopped"));
}

fn what_instances_write_is_heard_with_their_names_and_followed(house: &House) {
    let folder = House::folder();
    folder.write(
        "talk",
        &format!("echo to out\necho to err >&2\nwhile ! test -e more; do sleep 0.1; done\necho more\n{WAIT}"),
    );
    let ready = "health: {ready: {type: exec, command: \"true\", initial_delay: 0, period: 1, timeout: 20}}";
    house.write(&folder, &[Service::new("one", "sh talk", ready), Service::new("two", "sh talk", ready)]);
    let fermata = house.up(folder);
    let heard = |who: &str| {
        let mut lines = lines_of(&fermata, who);
        lines.sort();
        lines
    };
    until("both have spoken", || heard("one.1").len() == 2 && heard("two.1").len() == 2);
    assert_eq!(heard("one.1"), ["to err", "to out"]);

    let (code, said) = house.ask(&fermata, &["logs", "two"]);
    let mut said: Vec<&str> = said.lines().collect();
    said.sort_unstable();
    assert_eq!((code, said), (Some(0), vec!["two.1        │ to err", "two.1        │ to out"]));

    let follower = Process::start(&mut house.command(&fermata.folder, &["logs", "--follow"]));
    follower.wait_for("what was written before", |line| line == "one.1        │ to out");
    fermata.folder.write("more", "");
    for who in ["one", "two"] {
        follower.wait_for("what is written now", |line| line == format!("{who}.1        │ more"));
    }
    assert_eq!(fermata.stop().code, Some(0));
}

fn raw_tcp_and_udp_ports_reach_an_instance(house: &House) {
    let [inside_tcp, inside_udp, tcp, udp] = [free_port(), free_port(), free_port(), free_port()];
    let folder = House::folder();
    folder.write("say-back", SAY_BACK);
    let command = format!("python3 say-back $(PORT_{inside_tcp}) $(PORT_{inside_udp})");
    let ports = format!("ports: [{{container: {inside_tcp}, tcp: {tcp}}}, {{container: {inside_udp}, udp: {udp}}}]");
    house.write(&folder, &[Service::new("raw", &command, ports)]);
    let fermata = house.up(folder);
    let mut stream = TcpStream::connect(("127.0.0.1", tcp)).unwrap();
    stream.write_all(b"over tcp").unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).unwrap();
    assert_eq!(back, "over tcp");
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(b"over udp", ("127.0.0.1", udp)).unwrap();
    let mut bytes = [0; 100];
    let length = socket.recv(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"over udp");
    assert_eq!(fermata.stop().code, Some(0));
}
