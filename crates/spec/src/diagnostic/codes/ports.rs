//! Ports, server names, certificates.

codes! {
    PORT = Error "E-PORT" {
        title: "not a port",
        text: "Ports are numbers from 1 to 65535. A larger number often comes from a tool that read 8080:53 in base 60 and wrote \
               484853 back.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [\"70000:80\"]\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [\"7000:80\"]\n",
    }
    PORT_PARTS = Error "E-PORT-PARTS" {
        title: "a short port with too many parts",
        text: "The short form is CONTAINER:HTTP:HTTPS. Raw TCP and UDP ports, and several public ports for one container port, \
               need the long form and several entries.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [\"80:80:443:8443\"]\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [\"80:80:443\", \"80::8443\"]\n",
    }
    PORT_CONTAINER = Error "E-PORT-CONTAINER" {
        title: "a short port without a container port",
        text: "The first part of the short form is the port on which the service itself listens. It can not be left out.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [\":80:443\"]\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [\"3000:80:443\"]\n",
    }
    PORT_LIST = Error "E-PORT-LIST" {
        title: "several ports in one entry",
        text: "One entry of ports holds one public port for each protocol. Write another entry with the same container port for \
               another public port.",
        wrong: "services:\n  web:\n    image: nginx\n    ports:\n    - container: 80\n      tcp: [8080, 8443]\n",
        right: "services:\n  web:\n    image: nginx\n    ports:\n    - container: 80\n      tcp: 8080\n    - container: 80\n      tcp: 8443\n",
    }
    PORT_MAP = Error "E-PORT-MAP" {
        title: "a port that YAML takes for a map",
        text: "A colon followed by a blank or by the end of the line makes a map: - 3000:80: and - 3000: 80 have to be quoted, or \
               written without the last colon or the blank.",
        wrong: "services:\n  web:\n    image: nginx\n    ports:\n    - 3000:80:\n",
        right: "services:\n  web:\n    image: nginx\n    ports:\n    - \"3000:80:\"\n",
    }
    PORT_TAKEN = Error "E-PORT-TAKEN" {
        title: "one public port for two things",
        text: "A public port speaks one protocol: HTTP, HTTPS, or raw TCP for one container port. Only HTTP and HTTPS can be shared, \
               by services with different traffic_matches. UDP ports are numbered apart.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [{container: 80, http: 8080}]\n  db:\n    image: redis\n    ports: [{container: 6379, tcp: 8080}]\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [{container: 80, http: 8080}]\n  db:\n    image: redis\n    ports: [{container: 6379, tcp: 6379}]\n",
    }
    PORT_SHARED = Warning "W-PORT-SHARED" {
        title: "two services of one port would get the same requests",
        text: "Services on one public port are told apart by traffic_matches. Where two match the same name, or have none, the \
               first in the file gets the requests and the other gets none of them.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\n  api:\n    image: nginx\n    ports: [\"80:80\"]\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\n    traffic_matches: [www.example.com]\n  api:\n    image: nginx\n    ports: [\"80:80\"]\n    traffic_matches: [api.example.com]\n",
    }
    PORT_FIREWALL = Note "N-PORT-FIREWALL" {
        title: "a public port that is not open by default",
        text: "80, 443, 8080 and 8443 are open without asking. Any other public port works on the machine itself; others reach it \
               once the firewall lets them.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [\"80:9000\"]\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [\"80:9000\"]\nfirewall:\n  rules: [{port: 9000}]\n",
    }
    TLS_SELF_SIGNED = Note "N-TLS-SELF-SIGNED" {
        title: "https without a certificate",
        text: "Without a certificate Fermata makes a self-signed one, which browsers warn of. The original opens no https port at \
               all then, silently.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [\"80:80:443\"]\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [\"80:80:443\"]\ntls:\n  certificates: [{cert: app.pem, key: app.key}]\n",
    }
    ACME_PORT = Error "E-ACME-PORT" {
        title: "the port of the certificate authority's questions speaks something else",
        text: "A certificate authority asks for its proof by plain HTTP on port 80 (RFC 8555, 8.3). Fermata answers on every http \
               port, and opens port 80 itself where no service has it; a service that takes it for https or tcp is in the way.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [{container: 80, tcp: 80, https: 443}]\ntls:\n  acme: {domains: [app.example.com]}\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [{container: 80, http: 80, https: 443}]\ntls:\n  acme: {domains: [app.example.com]}\n",
    }
    PROXY_UNTRUSTED = Warning "W-PROXY-UNTRUSTED" {
        title: "PROXY protocol from nobody",
        text: "A header of the PROXY protocol says who the client is, so it is believed only from the addresses of \
               gateway.trusted_proxies. Where that names nobody, every header is refused.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\ngateway: {proxy_protocol: true}\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\ngateway: {proxy_protocol: true, trusted_proxies: [10.0.0.0/8]}\n",
    }
    PROXY_PORT = Warning "W-PROXY-PORT" {
        title: "PROXY protocol where no connection is",
        text: "The protocol stands at the beginning of a TCP connection: gateway.proxy_protocol lists public http, https and tcp \
               ports of the file, and proxy_protocol of a service has no effect on UDP.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\ngateway: {proxy_protocol: [8080], trusted_proxies: [10.0.0.0/8]}\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\ngateway: {proxy_protocol: [80], trusted_proxies: [10.0.0.0/8]}\n",
    }
    PROXY_ONE_SIDED = Warning "W-PROXY-ONE-SIDED" {
        title: "PROXY protocol that only one side speaks",
        text: "The balancer and its servers read the same file. Where load_balancer.proxy_protocol has the balancer say who the client \
               is, gateway.proxy_protocol has the servers expect it; one without the other breaks every connection between them.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\nload_balancer:\n  servers: [{name: web1, address: 10.0.0.11}]\n  proxy_protocol: v2\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\nload_balancer:\n  servers: [{name: web1, address: 10.0.0.11}]\n  proxy_protocol: v2\ngateway: {proxy_protocol: true, trusted_proxies: [10.0.0.2]}\n",
    }
    PASS_THROUGH_ALL = Error "E-PASS-THROUGH" {
        title: "every name is passed through",
        text: "pass_through has the names whose TLS a load balancer passes on, so that the others end at the balancer or are refused. \
               A balancer without tls and without pass_through passes everything on its https port to the servers, whatever name \
               it asks for.",
        wrong: "load_balancer:\n  servers: [{name: web1, address: 10.0.0.11}]\n  pass_through: [_]\n",
        right: "load_balancer:\n  servers: [{name: web1, address: 10.0.0.11}]\n",
    }
    PASS_THROUGH_PORT = Warning "W-PASS-THROUGH-PORT" {
        title: "names are passed to a port that no service has",
        text: "TLS that is passed through arrives at one port of the servers, requests and WebSockets alike, by default 443. The \
               balancer and its servers read the same file: a service of it should have https there, or the balancer be told \
               where it is.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [{container: 80, https: 8443}]\nload_balancer:\n  servers: [{name: web1, address: 10.0.0.11}]\n  pass_through: [app.example.com]\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [{container: 80, https: 8443}]\nload_balancer:\n  servers: [{name: web1, address: 10.0.0.11}]\n  pass_through: [app.example.com]\n  ports: {https: \"443:8443\"}\n",
    }
    PASS_THROUGH_ACME = Warning "W-PASS-THROUGH-ACME" {
        title: "a certificate for a name whose TLS is passed through",
        text: "Who ends TLS needs the certificate. The authority's questions for a name come to the balancer's port 80, which passes \
               them to any one of the servers or answers them itself: one that asked may not be the one that is asked. So a name is \
               either passed through, with a certificate that its servers have from elsewhere, or its TLS ends at the balancer.",
        wrong: "load_balancer:\n  servers: [{name: web1, address: 10.0.0.11}]\n  pass_through: [app.example.com]\ntls:\n  acme: {domains: [app.example.com, example.com]}\n",
        right: "load_balancer:\n  servers: [{name: web1, address: 10.0.0.11}]\n  pass_through: [app.example.com]\ntls:\n  acme: {domains: [example.com]}\n",
    }
    MATCH = Error "E-MATCH" {
        title: "not a server name",
        text: "traffic_matches has names as browsers ask for them: without scheme, port and path. One leading *. matches every name \
               below, and _ every name at all.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\n    traffic_matches: [\"*.*.example.com\"]\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\n    traffic_matches: [\"*.example.com\"]\n",
    }
    MATCH_NAME = Warning "W-MATCH-NAME" {
        title: "a name that is not a host name",
        text: "Host names have letters, digits, dashes and dots (RFC 1123, 2.1). Others are answered when they are asked for, but \
               some clients refuse them, and no public certificate authority signs them.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\n    traffic_matches: [my_app.example.com]\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\n    traffic_matches: [my-app.example.com]\n",
    }
    MATCH_UNUSED = Warning "W-MATCH-UNUSED" {
        title: "traffic_matches without an http or https port",
        text: "Server names are part of HTTP and TLS; a service without public http or https port never sees one.",
        wrong: "services:\n  web:\n    image: nginx\n    ports: [80]\n    traffic_matches: [app.example.com]\n",
        right: "services:\n  web:\n    image: nginx\n    ports: [\"80:80\"]\n    traffic_matches: [app.example.com]\n",
    }
}
