//! Names and addresses that lead nowhere.

use std::net::{IpAddr, Ipv4Addr};

use fermata::echo;
use fermata::probe::Addresses;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

use crate::gallery::{ask, ask_briefly, assert_told};

#[tokio::test]
async fn a_name_that_does_not_exist() {
    // No resolver has to be asked to know that a label has at most 63 characters (RFC 1035 2.3.4).
    let name = "a-label-that-is-longer-than-the-sixty-three-characters-that-are-allowed";
    assert_told!("dns-no-such-name", ask(&format!("ws://{name}.example/")), &[(name, "NAME")]);
}

#[tokio::test]
async fn a_port_where_nothing_listens() {
    let address = format!("127.0.0.1:{}", crate::support::free_port());
    assert_told!("tcp-refused", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_port_that_swallows_packets() {
    // A listener whose queue is full drops what comes (listen(2)), like a firewall.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().expect("an address").into()).expect("bound");
    socket.listen(0).expect("listening");
    let address = socket.local_addr().expect("an address").as_socket().expect("of the internet");
    let mut full = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(300)) {
        full.push(stream);
    }
    assert_told!("tcp-silent", ask_briefly(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_name_with_an_address_that_does_not_work() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(echo::serve(listener, std::future::pending()));
    let mut question = ask(&format!("ws://app.example:{port}/"));
    let addresses = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::LOCALHOST];
    question.addresses = Addresses::Given(addresses.map(IpAddr::V4).to_vec());
    assert_told!("tcp-lame-address", question);
}
