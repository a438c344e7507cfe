//! What comes out differently by the two engines: one entry for each thing, as it is seen from outside.

/// What each of them comes to.
pub(crate) struct Differs {
    pub(crate) builtin: &'static str,
    pub(crate) haproxy: &'static str,
}

/// The states of a server that answers 500 to its check, while its passed-through ports take connections.
pub(crate) const SICK: Differs = Differs {
    builtin: "servers: ready on THROUGH\n",
    haproxy: "web: down (L7STS/500)\nsockets: down (L7STS/500)\npass-HTTPS: up\npass-WS: up\npass-WSS: up\n",
};

/// A check on a path that answers 426.
pub(crate) const PICKY: Differs = Differs {
    builtin: "web2 is down on WS: GET /ws at 127.0.0.2:WS answered 426: as a path does that takes WebSockets alone; check \
              another one, or have the check be of type websocket",
    haproxy: "down (L7STS/426, which a WebSocket's path answers: check another)",
};

/// Fermata asks servers that look dead all the same: more likely it is the check that is wrong.
pub(crate) const NONE_IS_WELL: Differs = Differs {
    builtin: "fails its checks: HTTP/1.1 200 OK\n\
              web2 on HTTP for 127.0.0.1\n\
              is not there: HTTP/1.1 502 Bad Gateway\n\
              502 Bad Gateway\n\n\
              The service \"servers\" cannot be reached: web2 at 127.0.0.2:HTTP: nothing listens there.\n\
              Check that it runs and listens on the container port that service.yml names.\n",
    haproxy: "fails its checks: HTTP/1.1 503 Service Unavailable\n\
              <html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n\
              is not there: HTTP/1.1 503 Service Unavailable\n\
              <html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n",
};

/// A server whose name has no address.
pub(crate) const NO_ADDRESS: Differs =
    Differs { builtin: "the name nowhere.invalid cannot be resolved", haproxy: "maint (resolution)" };

/// What clients of a dead server see.
pub(crate) const DEAD_SERVER: Differs =
    Differs { builtin: "4 × 1011 the service ended the connection\n", haproxy: "4 × 1006\n" };

/// The worker of `HAProxy` that reads the new file knows nothing of the tunnels of the one before.
pub(crate) const SCALED_UP: Differs =
    Differs { builtin: "web2 has 40, web3 has 40\n", haproxy: "web2 has 60, web3 has 20\n" };

/// The tunnels of a server that has left the file.
pub(crate) const REMOVED: Differs =
    Differs { builtin: "20 × 1012 the instance was removed\n", haproxy: "20 × open\n" };

/// `fermata drain web3 --over 0s`.
pub(crate) const DRAINED: Differs = Differs {
    builtin: "4 tunnels are being closed over 0 s\n4 × 1012 the service restarts\n",
    haproxy: "web3 gets nothing new in web, sockets, PASSED until the next fermata reload; its 4 connections are cut after \
              0 s, without a Close frame: HAProxy knows none\n4 × 1006\n",
};

/// `fermata drain web9`.
pub(crate) const DRAIN_OF_NOBODY: Differs = Differs {
    builtin: "error: there is no service or instance \"web9\"; the services are servers\n",
    haproxy: "error: there is no server \"web9\"; there are web2, web3\n",
};

/// `wait_after_adding_servers`.
pub(crate) const WAITS: Differs = Differs {
    builtin: "asked: {\"web2\"}\n",
    haproxy: "asked: {\"web2\", \"web3\"}\n\
              fermata      │ warning: load_balancer.wait_after_adding_servers: left out: HAProxy asks a new server at once; \
              use engine: builtin, or leave it out",
};

/// `fermata status`: sorted, without what varies.
pub(crate) const STATUS: Differs = Differs {
    builtin: "servers web2: ready, 2 live\n\
              servers web3: ready, 2 live\n\
              tcp HTTPS: servers\n\
              tcp WS: servers\n\
              tcp WSS: servers\n\
              ws HTTP: servers\n",
    haproxy: "pass-HTTPS web2: up, 0 live\n\
              pass-HTTPS web3: up, 0 live\n\
              pass-WS web2: up, 0 live\n\
              pass-WS web3: up, 0 live\n\
              pass-WSS web2: up, 0 live\n\
              pass-WSS web3: up, 0 live\n\
              sockets web2: up, 2 live\n\
              sockets web3: up, 2 live\n\
              tcp HTTPS: pass-HTTPS\n\
              tcp WS: pass-WS\n\
              tcp WSS: pass-WSS\n\
              web web2: up, 0 live\n\
              web web3: up, 0 live\n\
              ws HTTP: web, sockets\n",
};

/// `fermata stop`.
pub(crate) const STOPPED: Differs = Differs { builtin: "4 × 1001 the gateway is stopping\n", haproxy: "4 × 1006\n" };

/// A request that comes back.
pub(crate) const LOOP: Differs = Differs {
    builtin: "508 Loop Detected\n\n\
              This request was here before: an address of \"servers\" leads back to this gateway.\n\
              Name the web servers under load_balancer.servers in service.yml, and not the load balancer itself.\n",
    haproxy: "508 Loop Detected\n\n\
              This request was here before: an address of a server leads back to this load balancer.\n",
};
