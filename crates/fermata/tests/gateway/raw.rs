//! Raw ports: TCP and UDP, carried as they are.

use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use crate::site::{Service, service_yml};
use crate::support::{Fermata, PATIENCE, free_port};
use crate::talk::{End, Talk};

/// A gateway with one raw port, and the service behind it.
fn tcp() -> (Fermata, Service, u16) {
    let (service, tcp) = (Service::new(), free_port());
    let fermata = Fermata::up(&service_yml(service.port, &format!("tcp: {tcp}"), "", ""));
    (fermata, service, tcp)
}

#[test]
fn bytes_pass_both_ways_and_either_side_may_begin() {
    let (_fermata, service, tcp) = tcp();
    let mut client = Talk::to(tcp);
    let mut far = service.accept();
    far.send("220 welcome\r\n");
    assert_eq!(client.line(), "220 welcome");
    client.send([0, 255, 22, 3, 1]);
    assert_eq!(far.bytes(5), [0, 255, 22, 3, 1]);
}

#[test]
fn each_side_may_end_while_the_other_goes_on() {
    let (_fermata, service, tcp) = tcp();
    let mut client = Talk::to(tcp);
    client.send("the question");
    client.finish();
    let mut far = service.accept();
    assert_eq!(far.rest(), "the question");
    far.send("the answer");
    assert_eq!(client.text(10), "the answer");
    far.finish();
    assert_eq!(client.end(), End::Closed);

    let mut client = Talk::to(tcp);
    let mut far = service.accept();
    far.send("the notice");
    far.finish();
    assert_eq!(client.rest(), "the notice");
    client.send("the receipt");
    client.finish();
    assert_eq!(far.rest(), "the receipt");
}

#[test]
fn much_passes_whole() {
    let (_fermata, service, tcp) = tcp();
    let mut client = Talk::to(tcp);
    let mut far = service.accept();
    let bytes: Vec<u8> = (0..8_000_000u32).map(|at| (at % 251) as u8).collect();
    let sent = bytes.clone();
    let sending = std::thread::spawn(move || {
        client.send(&sent);
        client.finish();
        client
    });
    assert!(far.bytes(bytes.len()) == bytes);
    assert_eq!(far.end(), End::Closed);
    drop(sending);
}

#[test]
fn a_reset_is_passed_on_as_a_reset() {
    let (_fermata, service, tcp) = tcp();
    let mut client = Talk::to(tcp);
    let mut far = service.accept();
    client.send("x");
    assert_eq!(far.text(1), "x");
    // Closing with unread bytes resets (RFC 1122 4.2.2.13).
    far.send("unread");
    client.peek();
    drop(client);
    assert_eq!(far.end(), End::Reset);
}

#[test]
fn without_a_service_the_connection_ends() {
    let (_fermata, service, tcp) = tcp();
    drop(service);
    let mut client = Talk::to(tcp);
    assert_eq!(client.end(), End::Closed);
}

/// A UDP socket that does not wait for ever.
fn udp() -> UdpSocket {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a port is free");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    socket
}

fn received(socket: &UdpSocket) -> (Vec<u8>, std::net::SocketAddr) {
    let mut datagram = vec![0; 1 << 16];
    let (length, from) = socket.recv_from(&mut datagram).expect("a datagram comes");
    datagram.truncate(length);
    (datagram, from)
}

#[test]
fn datagrams_pass_both_ways_and_each_client_gets_its_own_answers() {
    let (service, public) = (udp(), free_port());
    let port = service.local_addr().expect("it is bound").port();
    let _fermata = Fermata::up(&service_yml(port, &format!("udp: {public}"), "", ""));
    let clients = [udp(), udp()];
    for client in &clients {
        client.connect(("127.0.0.1", public)).expect("UDP always can");
    }
    let largest = vec![7; 65_507];
    for payload in [b"hello".to_vec(), Vec::new(), largest] {
        for client in &clients {
            client.send(&payload).expect("it is sent");
            let (question, from) = received(&service);
            assert!(question == payload, "{} bytes", question.len());
            let mut answer = payload.clone();
            answer.reverse();
            service.send_to(&answer, from).expect("it is sent");
            assert!(received(client).0 == answer);
        }
    }
    // A service may speak more than once, and to whom it likes.
    clients[0].send(b"first").expect("it is sent");
    let (_, first) = received(&service);
    clients[1].send(b"second").expect("it is sent");
    let (_, second) = received(&service);
    assert_ne!(first, second);
    for number in 0..3u8 {
        service.send_to(&[number], second).expect("it is sent");
        service.send_to(&[number + 10], first).expect("it is sent");
    }
    assert_eq!([(); 3].map(|()| received(&clients[0]).0), [[10], [11], [12]]);
    assert_eq!([(); 3].map(|()| received(&clients[1]).0), [[0], [1], [2]]);
}

#[test]
fn a_udp_service_that_comes_back_is_heard_again() {
    let (service, public) = (udp(), free_port());
    let address = service.local_addr().expect("it is bound");
    let _fermata = Fermata::up(&service_yml(address.port(), &format!("udp: {public}"), "", ""));
    let client = udp();
    client.connect(("127.0.0.1", public)).expect("UDP always can");
    client.send(b"one").expect("it is sent");
    assert_eq!(received(&service).0, b"one");
    drop(service);
    // Nobody listens now: the kernel says so (ICMP), and the gateway goes on.
    for _ in 0..3 {
        client.send(b"lost").expect("it is sent");
    }
    let service = UdpSocket::bind(address).expect("the port is free again");
    service.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    // Those may still be on their way; this one comes.
    client.send(b"two").expect("it is sent");
    while received(&service).0 != b"two" {}
}

#[test]
fn datagrams_go_to_another_instance_when_nothing_listens_at_theirs() {
    let (one, two, public) = (udp(), udp(), free_port());
    let [first, second] = [&one, &two].map(|service| service.local_addr().expect("it is bound").port());
    let yml = service_yml(first, &format!("udp: {public}"), "balance: roundrobin", "");
    let both = format!("address: [127.0.0.1:{first}, 127.0.0.1:{second}]");
    let _fermata = Fermata::up(&yml.replace(&format!("address: 127.0.0.1:{first}"), &both));
    let client = udp();
    client.connect(("127.0.0.1", public)).expect("UDP always can");
    client.send(b"one").expect("it is sent");
    assert_eq!(received(&one).0, b"one");
    drop(one);
    // The first is lost; the kernel's word of that comes at its own time.
    two.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout can be set");
    let reached = (0..1000).any(|_| client.send(b"two").is_ok() && two.recv(&mut [0; 16]).is_ok());
    assert!(reached);
}

#[test]
fn a_service_may_have_ports_of_every_kind() {
    let (service, [http, https, tcp, udp_port]) = (Service::new(), [(); 4].map(|()| free_port()));
    let socket = UdpSocket::bind(("127.0.0.1", service.port)).expect("TCP and UDP have ports of their own");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let ports = format!("http: {http}, https: {https}, tcp: {tcp}, udp: {udp_port}");
    let _fermata = Fermata::up(&service_yml(service.port, &ports, "", ""));
    let mut client = Talk::to(http);
    client.say("GET / HTTP/1.1\nHost: app\n\n");
    assert!(service.accept().head().starts_with("GET / HTTP/1.1\n"));
    let mut client = Talk::to(tcp);
    client.send("raw");
    assert_eq!(service.accept().text(3), "raw");
    udp().send_to(b"datagram", ("127.0.0.1", udp_port)).expect("it is sent");
    assert_eq!(received(&socket).0, b"datagram");
    let listening = TcpListener::bind(("127.0.0.1", https));
    assert!(listening.is_err(), "https is bound too");
}
