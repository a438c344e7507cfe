//! How each product is told to pass an upgrade on: the exact names of its settings.

use super::super::product::Product;
use crate::report::Advice;

/// A product's name where a sentence begins.
pub(super) fn subject(product: Option<Product>, else_say: &'static str) -> String {
    let name = product.map_or(else_say, Product::name);
    let mut letters = name.chars();
    // nginx and its like are written small everywhere; an article is not.
    match letters.next() {
        Some(first) if name.starts_with("a ") || name.starts_with("an ") => {
            first.to_uppercase().chain(letters).collect()
        }
        _ => name.to_owned(),
    }
}

/// Adds what to change in the product that answered; without one, in the most common of them.
pub(super) fn pass_it_on(advice: Advice, product: Option<Product>) -> Advice {
    match product {
        None => nginx(advice.then("If nginx is in between, it needs this in the location of this path:")),
        Some(Product::Nginx) => {
            nginx(advice.then("nginx passes it on only when it is told to, in the location of this path:"))
        }
        Some(Product::Apache) => advice
            .then("Apache passes it on since 2.4.47, when it is told to:")
            .write("ProxyPass \"/socket\" \"http://127.0.0.1:3000/socket\" upgrade=websocket"),
        Some(Product::Envoy) => envoy(advice),
        Some(Product::Varnish) => advice.then("Varnish has to pipe it:").write(
            "sub vcl_recv { if (req.http.upgrade ~ \"(?i)websocket\") { return (pipe); } }\n\
             sub vcl_pipe {\n  set bereq.http.upgrade = req.http.upgrade;\n  \
             set bereq.http.connection = req.http.connection;\n}",
        ),
        Some(other) => advice.then(in_words(other)),
    }
}

fn nginx(advice: Advice) -> Advice {
    advice.write(
        "proxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection \"upgrade\";",
    )
}

/// What Envoy has to be told.
pub(super) fn envoy(advice: Advice) -> Advice {
    advice
        .then("In the HTTP connection manager, or in the route:")
        .write("upgrade_configs:\n- upgrade_type: websocket")
        .then("Behind Envoy Gateway, a requestBuffer policy switches upgrades off.")
}

/// Whether this is a server that runs applications and can't do WebSockets as it is.
pub(super) fn is_incapable(product: Option<Product>) -> bool {
    matches!(product, Some(Product::Gunicorn | Product::Werkzeug | Product::Uvicorn | Product::Express))
}

fn in_words(product: Product) -> &'static str {
    match product {
        Product::AwsAlb => {
            "The target group's protocol version has to be HTTP1, not HTTP2 or gRPC; Lambda targets take no upgrades."
        }
        Product::AwsApiGateway => "The path has to belong to a WebSocket API, not to an HTTP or REST API.",
        Product::CloudFront => {
            "Let CloudFront pass the Sec-WebSocket-* headers on: the origin request policy AllViewer does."
        }
        Product::Cloudflare => {
            "Switch WebSockets on in the zone's network settings, then look at what is behind Cloudflare."
        }
        Product::AzureFrontDoor => {
            "Caching has to be off on the route, and Front Door Standard or Premium; classic takes no WebSockets."
        }
        Product::GoogleLb => "The backend service's protocol has to be HTTP or HTTPS, not HTTP2.",
        Product::Iis => "Install the WebSocket Protocol feature of IIS; a proxy (ARR) needs it as well.",
        Product::Gunicorn | Product::Werkzeug => {
            "A WSGI server can't do WebSockets: run the application with an ASGI server (uvicorn, daphne, hypercorn)."
        }
        Product::Uvicorn => "uvicorn needs a library for WebSockets: pip install 'uvicorn[standard]'",
        Product::Express => {
            "Express itself knows no WebSockets: attach a library to its server, such as ws or socket.io."
        }
        Product::Vercel | Product::Netlify => {
            "Check whether this platform runs WebSocket servers: functions that end with their answer can't."
        }
        Product::Fly => "Keep h2_backend off in fly.toml: the application gets the upgrade over HTTP/1.1.",
        _ => "Look at each proxy in between: it has to pass Upgrade and Connection on, over HTTP/1.1.",
    }
}
