//! Which product an answer comes from, by the marks that each leaves in its headers and error pages.

use super::dialect;
use super::http::Answer;

/// A product that somebody has to configure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Product {
    Nginx,
    Apache,
    HaProxy,
    Envoy,
    Caddy,
    GoServer,
    Cloudflare,
    CloudFront,
    AwsAlb,
    AwsApiGateway,
    GoogleLb,
    GoogleFrontend,
    AzureApplicationGateway,
    AzureFrontDoor,
    Heroku,
    Fly,
    Vercel,
    Netlify,
    Varnish,
    Iis,
    Gunicorn,
    Uvicorn,
    Werkzeug,
    Express,
    SocketIo,
    Fermata,
}

impl Product {
    /// As people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Product::Nginx => "nginx",
            Product::Apache => "Apache",
            Product::HaProxy => "HAProxy",
            Product::Envoy => "Envoy",
            Product::Caddy => "Caddy",
            Product::GoServer => "a Go program, such as Traefik",
            Product::Cloudflare => "Cloudflare",
            Product::CloudFront => "CloudFront",
            Product::AwsAlb => "an AWS Application Load Balancer",
            Product::AwsApiGateway => "AWS API Gateway",
            Product::GoogleLb => "a Google Cloud load balancer",
            Product::GoogleFrontend => "Google's front end (Cloud Run, App Engine)",
            Product::AzureApplicationGateway => "an Azure Application Gateway",
            Product::AzureFrontDoor => "Azure Front Door",
            Product::Heroku => "Heroku's router",
            Product::Fly => "Fly's proxy",
            Product::Vercel => "Vercel",
            Product::Netlify => "Netlify",
            Product::Varnish => "Varnish",
            Product::Iis => "IIS",
            Product::Gunicorn => "gunicorn",
            Product::Uvicorn => "uvicorn",
            Product::Werkzeug => "Werkzeug",
            Product::Express => "Express",
            Product::SocketIo => "Socket.IO",
            Product::Fermata => "Fermata",
        }
    }
}

/// The product nearest to the client that left a mark.
pub(super) fn of(answer: &Answer) -> Option<Product> {
    by_own_headers(answer).or_else(|| by_server(answer)).or_else(|| by_body(answer))
}

/// What the answer says of its author: its `Server`, or the product's name.
pub(super) fn shown(answer: &Answer) -> Option<String> {
    let server =
        answer.header("server").map(|server| dialect::shown(server.as_bytes())).filter(|text| !text.is_empty());
    match (of(answer), server) {
        (Some(product), Some(server)) if !server.to_lowercase().contains(&product.name().to_lowercase()) => {
            Some(format!("{} ({server})", product.name()))
        }
        (_, Some(server)) => Some(server),
        (Some(product), None) => Some(product.name().to_owned()),
        (None, None) => None,
    }
}

/// Headers that only one product sends.
fn by_own_headers(answer: &Answer) -> Option<Product> {
    const MARKS: [(&str, Product); 9] = [
        ("cf-ray", Product::Cloudflare),
        ("x-amz-cf-id", Product::CloudFront),
        ("x-amz-apigw-id", Product::AwsApiGateway),
        ("x-azure-ref", Product::AzureFrontDoor),
        ("fly-request-id", Product::Fly),
        ("x-vercel-id", Product::Vercel),
        ("x-nf-request-id", Product::Netlify),
        ("x-varnish", Product::Varnish),
        ("x-envoy-upstream-service-time", Product::Envoy),
    ];
    let marked = MARKS.iter().find(|(name, _)| answer.headers.contains_key(*name)).map(|(_, product)| *product);
    marked.or_else(|| match answer.header("via")?.to_lowercase() {
        via if via.contains("1.1 google") => Some(Product::GoogleLb),
        via if via.contains("vegur") || via.contains("heroku") => Some(Product::Heroku),
        via if via.contains("caddy") => Some(Product::Caddy),
        _ => None,
    })
}

fn by_server(answer: &Answer) -> Option<Product> {
    const NAMES: [(&str, Product); 17] = [
        ("cloudflare", Product::Cloudflare),
        ("cloudfront", Product::CloudFront),
        ("awselb", Product::AwsAlb),
        ("google frontend", Product::GoogleFrontend),
        ("microsoft-azure-application-gateway", Product::AzureApplicationGateway),
        ("microsoft-iis", Product::Iis),
        ("nginx", Product::Nginx),
        ("openresty", Product::Nginx),
        ("apache", Product::Apache),
        ("envoy", Product::Envoy),
        ("caddy", Product::Caddy),
        ("haproxy", Product::HaProxy),
        ("varnish", Product::Varnish),
        ("gunicorn", Product::Gunicorn),
        ("uvicorn", Product::Uvicorn),
        ("werkzeug", Product::Werkzeug),
        ("fermata", Product::Fermata),
    ];
    let server = answer.header("server")?.to_lowercase();
    NAMES.iter().find(|(name, _)| server.contains(name)).map(|(_, product)| *product)
}

/// Error pages that give their author away.
fn by_body(answer: &Answer) -> Option<Product> {
    const WORDS: [(&str, Product); 9] = [
        ("<center>nginx", Product::Nginx),
        ("No server is available to handle this request", Product::HaProxy),
        ("Your browser sent an invalid request.", Product::HaProxy),
        ("The server didn't respond in time.", Product::HaProxy),
        ("The server returned an invalid or incomplete response.", Product::HaProxy),
        ("upstream connect error or disconnect/reset before headers", Product::Envoy),
        ("404 page not found\n", Product::GoServer),
        ("Transport unknown", Product::SocketIo),
        ("Unsupported protocol version", Product::SocketIo),
    ];
    let by_words = WORDS.iter().find(|(words, _)| answer.says(words)).map(|(_, product)| *product);
    by_words.or_else(|| {
        let express = answer.header("x-powered-by").is_some_and(|by| by.eq_ignore_ascii_case("express"));
        express.then_some(Product::Express)
    })
}
