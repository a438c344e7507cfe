//! Answers to a handshake that are no WebSocket.

use fermata::probe::Question;

use crate::gallery::{
    NOT_FOUND, Twist, ask, assert_told, granted, head, header, is_handshake, refusing, say, serve, server,
};
use crate::proxies::insist;

#[tokio::test]
async fn a_redirect_to_https() {
    let address = refusing(
        "HTTP/1.1 301 Moved Permanently\r\nServer: nginx\r\nLocation: https://app.example/socket?room=1\r\n\
         Content-Length: 0\r\n\r\n",
    )
    .await;
    assert_told!("upgrade-redirect", ask(&format!("ws://{address}/socket?room=1")));
}

#[tokio::test]
async fn a_redirect_to_a_login() {
    let address =
        refusing("HTTP/1.1 302 Found\r\nLocation: /accounts/login?next=/ws\r\nContent-Length: 0\r\n\r\n").await;
    assert_told!("upgrade-login", ask(&format!("ws://{address}/ws")));
}

#[tokio::test]
async fn a_service_that_wants_to_know_who_asks() {
    let address = refusing("HTTP/1.1 401 Unauthorized\r\nContent-Length: 13\r\n\r\nno session id").await;
    assert_told!("upgrade-unauthorized", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_service_that_forbids() {
    let address =
        refusing("HTTP/1.1 403 Forbidden\r\nServer: cloudflare\r\nCF-RAY: 1\r\nContent-Length: 0\r\n\r\n").await;
    assert_told!("upgrade-forbidden", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_service_that_forbids_the_origin() {
    let address = server(async |mut stream| {
        let head = head(&mut stream).await;
        let allowed = header(&head, "origin").is_none_or(|origin| origin == "https://app.example.com");
        match is_handshake(&head) {
            true if allowed => say(&mut stream, &granted(&head, "")).await,
            true => say(&mut stream, "HTTP/1.1 403 Forbidden\r\nContent-Length: 18\r\n\r\norigin not allowed").await,
            false => say(&mut stream, NOT_FOUND).await,
        }
    })
    .await;
    assert_told!("upgrade-origin", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn envoy_without_upgrade_configs() {
    let address = refusing("HTTP/1.1 403 Forbidden\r\nserver: envoy\r\ncontent-length: 0\r\n\r\n").await;
    assert_told!("upgrade-envoy", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_path_that_nobody_knows() {
    let address = refusing(NOT_FOUND).await;
    assert_told!("upgrade-not-found", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn express_without_a_websocket_library() {
    let address = refusing(
        "HTTP/1.1 404 Not Found\r\nX-Powered-By: Express\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Length: 22\r\n\r\n<pre>Cannot GET</pre>\n",
    )
    .await;
    assert_told!("upgrade-express", ask(&format!("ws://{address}/chat")));
}

#[tokio::test]
async fn nginx_that_drops_the_upgrade() {
    let address = refusing(
        "HTTP/1.1 426 Upgrade Required\r\nServer: nginx/1.22.1\r\nConnection: close\r\nContent-Length: 16\r\n\r\n\
         Upgrade Required",
    )
    .await;
    assert_told!("upgrade-nginx", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn some_proxy_that_drops_the_upgrade() {
    let address = refusing(
        "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n2d\r\n\
         Can \"Upgrade\" only to \"WebSocket\", not to \"\".\r\n0\r\n\r\n",
    )
    .await;
    assert_told!("upgrade-lost", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_service_of_another_century() {
    let address =
        refusing("HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8, 7\r\nContent-Length: 0\r\n\r\n").await;
    assert_told!("upgrade-old-version", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn socket_io_without_its_words() {
    let address = refusing(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 41\r\n\r\n\
         {\"code\":0,\"message\":\"Transport unknown\"}\n",
    )
    .await;
    assert_told!("upgrade-socket-io", ask(&format!("ws://{address}/socket.io/")));
}

#[tokio::test]
async fn a_page_instead_of_a_socket() {
    let address = refusing(
        "HTTP/1.1 200 OK\r\nServer: Apache/2.4.57\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n\
         <!doctype html>",
    )
    .await;
    assert_told!("upgrade-page", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_wsgi_server() {
    let address = refusing("HTTP/1.1 405 Method Not Allowed\r\nServer: gunicorn\r\nContent-Length: 0\r\n\r\n").await;
    assert_told!("upgrade-method", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn too_many_connections() {
    let address = refusing("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n").await;
    assert_told!("upgrade-too-many", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_service_that_fails() {
    let address = refusing(
        "HTTP/1.1 500 Internal Server Error\r\nServer: uvicorn\r\nContent-Length: 0\r\n\
        \r\n",
    )
    .await;
    assert_told!("upgrade-failed", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_balancer_with_nobody_behind_it() {
    let address = refusing(
        "HTTP/1.1 502 Bad Gateway\r\nServer: awselb/2.0\r\nContent-Type: text/html\r\nContent-Length: 35\r\n\r\n\
         <html><h1>502 Bad Gateway</h1></html>",
    )
    .await;
    assert_told!("upgrade-bad-gateway", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn haproxy_that_takes_the_service_for_dead() {
    let address = refusing(
        "HTTP/1.0 503 Service Unavailable\r\nContent-Type: text/html\r\n\r\n\
         <html><body><h1>503 Service Unavailable</h1>\n\
         No server is available to handle this request.\n</body></html>\n",
    )
    .await;
    assert_told!("upgrade-unavailable", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_service_that_never_answers() {
    let address = refusing("HTTP/1.1 504 Gateway Timeout\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n").await;
    assert_told!("upgrade-gateway-timeout", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_handshake_that_is_dropped() {
    let address = server(async |mut stream| {
        let head = head(&mut stream).await;
        if !is_handshake(&head) {
            say(&mut stream, NOT_FOUND).await;
        }
    })
    .await;
    assert_told!("upgrade-no-answer", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn an_answer_out_of_a_cache() {
    let address = refusing(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    )
    .await;
    assert_told!("upgrade-bad-accept", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn an_upgrade_to_something_else() {
    let address = refusing("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n").await;
    assert_told!("upgrade-h2c", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn an_upgrade_without_connection() {
    let address = refusing("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n").await;
    assert_told!("upgrade-no-connection", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_101_over_http_1_0() {
    let address = server(async |mut stream| {
        let head = head(&mut stream).await;
        let text = if is_handshake(&head) { granted(&head, "").replace("1.1", "1.0") } else { NOT_FOUND.to_owned() };
        say(&mut stream, &text).await;
    })
    .await;
    insist(ask(&format!("ws://{address}/")), &["Upgrade breaks: old-http"], "proxy_http_version 1.1;").await;
}

#[tokio::test]
async fn an_origin_that_is_refused_by_404() {
    let address = server(async |mut stream| {
        let head = head(&mut stream).await;
        let granted = is_handshake(&head) && header(&head, "origin").is_none();
        let text = if granted { crate::gallery::granted(&head, "") } else { NOT_FOUND.to_owned() };
        say(&mut stream, &text).await;
    })
    .await;
    insist(ask(&format!("ws://{address}/cable")), &["Upgrade breaks: origin-refused"], "allowed_request_origins").await;
}

#[tokio::test]
async fn answers_that_say_more_than_their_status() {
    let cases = [
        ("421 Misdirected Request\r\nContent-Length: 0\r\n\r\n", "misdirected", "server_name in nginx"),
        ("526 \r\nServer: cloudflare\r\nContent-Length: 0\r\n\r\n", "origin-tls", "Full (strict)"),
        (
            "400 Bad Request\r\nContent-Length: 39\r\n\r\n400 Request Header Or Cookie Too Large\r\n",
            "request-too-large",
            "large_client_header_buffers",
        ),
        (
            "400 Bad Request\r\nContent-Length: 51\r\n\r\n{\"code\":5,\"message\":\"Unsupported protocol version\"}\n",
            "socket-io",
            "EIO=4",
        ),
        (
            "307 Temporary Redirect\r\nLocation: wss://new.example/\r\nContent-Length: 0\r\n\r\n",
            "redirect",
            "Connect to where it leads: wss://new.example/",
        ),
    ];
    for (answer, code, words) in cases {
        let text: &'static str = format!("HTTP/1.1 {answer}").leak();
        let address = refusing(text).await;
        insist(ask(&format!("ws://{address}/")), &[&format!("Upgrade breaks: {code}")], words).await;
    }
}

/// A service that adds lines to its 101.
async fn choosing(lines: &'static str) -> std::net::SocketAddr {
    server(move |mut stream| async move {
        let head = head(&mut stream).await;
        if is_handshake(&head) {
            say(&mut stream, &granted(&head, lines)).await;
            serve(stream, async |_, _, _| Twist::Usual).await;
        } else {
            say(&mut stream, NOT_FOUND).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_subprotocol_that_was_not_offered() {
    let address = choosing("Sec-WebSocket-Protocol: mqtt\r\n").await;
    assert_told!("upgrade-bad-subprotocol", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn no_subprotocol_although_some_were_offered() {
    let address = choosing("").await;
    let protocols = vec!["chat".to_owned(), "superchat".to_owned()];
    assert_told!("upgrade-no-subprotocol", Question { protocols, ..ask(&format!("ws://{address}/")) });
}

#[tokio::test]
async fn compression_that_was_not_offered() {
    let address = choosing("Sec-WebSocket-Extensions: permessage-deflate\r\n").await;
    assert_told!("upgrade-bad-extension", ask(&format!("ws://{address}/")));
}

#[tokio::test]
async fn a_service_that_fails_at_an_offer_of_compression() {
    let address = server(async |mut stream| {
        let head = head(&mut stream).await;
        match (is_handshake(&head), header(&head, "sec-websocket-extensions")) {
            (true, None) => {
                say(&mut stream, &granted(&head, "")).await;
                serve(stream, async |_, _, _| Twist::Usual).await;
            }
            (true, Some(_)) => {
                say(&mut stream, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n").await;
            }
            (false, _) => say(&mut stream, NOT_FOUND).await,
        }
    })
    .await;
    assert_told!("upgrade-compression", ask(&format!("ws://{address}/")));
}
