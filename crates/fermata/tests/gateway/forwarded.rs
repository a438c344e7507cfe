//! Who a client is: what trusted proxies say is believed, and nothing that anybody else says.

use crate::site::Site;
use crate::talk::Talk;

const TOLD: &str = "GET / HTTP/1.1
Host: app
X-Forwarded-For: 203.0.113.7, 127.0.0.9
X-Forwarded-Proto: https
X-Forwarded-Host: www.example.com
X-Forwarded-Port: 443
X-Real-Ip: 203.0.113.7
Forwarded: for=203.0.113.7;proto=https
X-Request-Id: theirs

";

fn seen(mut client: Talk, site: &Site, request: &str) -> String {
    client.say(request);
    let mut service = site.service.accept();
    let head = service.head();
    service.say("HTTP/1.1 204 No Content\nConnection: close\n\n");
    client.head();
    head
}

#[test]
fn a_trusted_proxy_is_believed_and_added_to() {
    let site = Site::with("", "trusted_proxies: [127.0.0.0/29]");
    let expected = "GET / HTTP/1.1
forwarded: for=203.0.113.7;proto=https, for=127.0.0.1;host=\"app\";proto=http
host: app
x-forwarded-for: 203.0.113.7, 127.0.0.9, 127.0.0.1
x-forwarded-host: www.example.com
x-forwarded-port: 443
x-forwarded-proto: https
x-real-ip: 203.0.113.7
x-request-id: theirs";
    assert_eq!(seen(site.connect(), &site, TOLD), expected);
}

#[test]
fn anybody_else_is_not() {
    let site = Site::with("", "trusted_proxies: [127.0.0.0/29]");
    let expected = "GET / HTTP/1.1
forwarded: for=127.0.0.8;host=\"app\";proto=http
host: app
x-forwarded-for: 127.0.0.8
x-forwarded-host: app
x-forwarded-proto: http
x-request-id: (fresh)";
    assert_eq!(seen(site.connect_from([127, 0, 0, 8]), &site, TOLD), expected);
}

#[test]
fn the_log_has_the_client_that_a_trusted_proxy_names() {
    let site = Site::with("traffic_matches: [other]", "trusted_proxies: [127.0.0.0/29, 127.0.0.9]");
    let refused = |mut client: Talk| {
        client.say(TOLD);
        client.response();
    };
    refused(site.connect());
    refused(site.connect_from([127, 0, 0, 8]));
    let ended = site.fermata.stop();
    let clients: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|line| line.contains(" refused: "))
        .filter_map(|line| line.split(" client=").nth(1)?.split(' ').next())
        .collect();
    assert_eq!(clients, ["203.0.113.7", "127.0.0.8"], "{}", ended.stderr);
}
