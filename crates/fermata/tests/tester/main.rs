//! The tester page in a real Chromium, from typing an address to reading the echo.

mod browser;
#[path = "../support/mod.rs"]
mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use browser::Browser;
use fermata::{echo, page};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls_pki_types::PrivateKeyDer;
use serde_json::json;
use support::{Fermata, free_port};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What is in the log's last row, as a person reads it.
const LAST: &str = "document.querySelector('#entries li:last-child .what').innerText";

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

async fn service() -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(echo::serve(listener, std::future::pending()));
    address
}

async fn tester() -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(page::serve(listener, std::future::pending()));
    address
}

/// The page by https, with a certificate that nobody has to trust.
async fn secure_tester() -> SocketAddr {
    let (listener, address) = listen().await;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let tls = rustls::ServerConfig::builder().with_no_client_auth();
    let tls = TlsAcceptor::from(Arc::new(tls.with_single_cert(vec![made.cert.der().clone()], key).expect("fits")));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let Ok(stream) = tls.accept(stream).await else { return };
                let page = service_fn(|_| async { Ok::<_, Infallible>(page::answer()) });
                let http = hyper::server::conn::http1::Builder::new();
                let _ = http.serve_connection(TokioIo::new(stream), page).await;
            });
        }
    });
    address
}

async fn connect(browser: &mut Browser, url: &str) {
    browser.fill("address", url).await;
    browser.press("Enter", false).await;
    browser.until("document.getElementById('state').dataset.state === 'open'").await;
}

async fn send(browser: &mut Browser, text: &str) {
    browser.fill("message", text).await;
    browser.press("Enter", true).await;
}

#[tokio::test]
async fn a_person_connects_sends_and_reads_the_echo() {
    let (service, tester) = (service().await, tester().await);
    let mut browser = Browser::start(&[]).await;
    browser.open(&format!("http://{tester}/")).await;
    assert_eq!(browser.look("document.getElementById('address').value").await, "ws://127.0.0.1:8080/");
    assert_eq!(
        browser.look("getComputedStyle(document.querySelector('main')).display").await,
        "grid",
        "the style works"
    );

    browser.fill("protocols", "chat, superchat").await;
    connect(&mut browser, &format!("ws://{service}/")).await;
    let opened = format!("{LAST}.includes('· subprotocol chat')");
    browser.until(&opened).await;
    assert_eq!(browser.text("state").await, "Open 0:00");

    send(&mut browser, "hello 𝄐").await;
    browser.until("document.querySelectorAll('#entries .received').length === 1").await;
    assert_eq!(browser.look(LAST).await, "hello 𝄐");
    let row =
        browser.look("[...document.querySelectorAll('#entries .received > *')].map(cell => cell.innerText)").await;
    assert_eq!((&row[1], &row[2], &row[3]), (&json!("↓"), &json!("10 B"), &json!("hello 𝄐")));
    assert!(row[4].as_str().is_some_and(|trip| trip.ends_with(" ms")), "{row}");
    browser.until("document.querySelectorAll('#chart rect').length === 1").await;
    assert_ne!(browser.text("trip-median").await, "");

    // What a service sends is never HTML in the page.
    let evil = "<img src=x onerror=\"document.title='evil'\"><script>document.title='evil'</script>";
    send(&mut browser, evil).await;
    browser.until("document.querySelectorAll('#entries .received').length === 2").await;
    assert_eq!(browser.look(LAST).await, evil);
    assert_eq!(browser.look("document.querySelectorAll('#entries img, #entries script').length").await, 0);
    assert_eq!(browser.look("document.title").await, "WebSocket tester · Fermata");

    browser.fill("code", "4001").await;
    browser.fill("reason", "going home").await;
    browser.press("Enter", false).await;
    browser.until("document.getElementById('state').dataset.state === 'closed'").await;
    assert!(browser.text("ending").await.starts_with("Closed with 4001 (private use): “going home”\n"));
}

#[tokio::test]
async fn the_first_example_ends_with_a_page_that_talks_through_the_gateway() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/echo/service.yml");
    let example = std::fs::read_to_string(example).expect("the example is there");
    // In the order of 8080 and 8443: the page that is named is that of the first port.
    let mut ports = [free_port(), free_port()];
    ports.sort_unstable();
    let [http, https] = ports;
    let example = example.replace("8080", &http.to_string()).replace("8443", &https.to_string());
    let fermata = Fermata::up(&example);
    let said = fermata.process.wait_for("where the tester is", |line| line.contains("/.fermata/tester"));
    let url = said.split_whitespace().find(|word| word.starts_with("http://")).expect("a URL");

    let mut browser = Browser::start(&["--ignore-certificate-errors"]).await;
    browser.open(url).await;
    assert_eq!(browser.look("document.getElementById('address').value").await, format!("ws://localhost:{http}/"));
    browser.press("Enter", false).await;
    browser.until("document.getElementById('state').dataset.state === 'open'").await;
    send(&mut browser, "through the gateway").await;
    browser.until("document.querySelectorAll('#entries .received').length === 1").await;
    assert_eq!(browser.look(LAST).await, "through the gateway");

    // The same page over TLS, and the service's own page, whose socket opens by itself.
    browser.open(&format!("https://localhost:{https}/.fermata/tester")).await;
    browser.press("Enter", false).await;
    browser.until("document.getElementById('state').dataset.state === 'open'").await;
    browser.open(&format!("http://localhost:{http}/")).await;
    browser.until("document.getElementById('figures').innerText.includes('round trip')").await;
    assert_eq!(browser.text("state").await, "open");
    drop(browser);
    assert_eq!(fermata.stop().code, Some(0));
}

#[tokio::test]
async fn json_is_validated_binary_is_hexadecimal_and_escape_ends_repeating() {
    let (service, tester) = (service().await, tester().await);
    let mut browser = Browser::start(&[]).await;
    browser.open(&format!("http://{tester}/?url=ws://{service}/&protocols=mqtt")).await;
    assert_eq!(browser.text("state").await, "Not connected", "a link fills in the address and no more");
    assert_eq!(browser.look("document.getElementById('protocols').value").await, "mqtt");
    connect(&mut browser, &format!("ws://{service}/")).await;

    browser.click("[name=kind][value=json]").await;
    send(&mut browser, "{\"n\": }").await;
    browser.until("!document.getElementById('message-note').hidden").await;
    assert!(browser.text("message-note").await.starts_with("Not JSON: "));
    send(&mut browser, "{\"n\": {n}}").await;
    browser
        .until(&format!("document.querySelectorAll('#entries .received').length === 1 && {LAST} === '{{\"n\": 1}}'"))
        .await;
    assert_eq!(browser.look("document.getElementById('message-note').hidden").await, true);

    browser.click("[name=kind][value=binary]").await;
    send(&mut browser, "48 6").await;
    browser.until("!document.getElementById('message-note').hidden").await;
    assert_eq!(browser.text("message-note").await, "The last byte has one digit only.");
    send(&mut browser, "0x48,65:6C 6c 6f 00 ff").await;
    browser.until("document.querySelectorAll('#entries .received').length === 2").await;
    assert_eq!(browser.look(LAST).await, "48 65 6c 6c 6f 00 ff");

    browser.fill("every", "1").await;
    browser.click("#repeat").await;
    browser.until("document.querySelectorAll('#entries .received').length >= 20").await;
    browser.press("Escape", false).await;
    assert_eq!(browser.look("document.getElementById('repeat').checked").await, false);
}

#[tokio::test]
async fn a_flood_leaves_the_latest_500_rows() {
    let (service, tester) = (service().await, tester().await);
    let mut browser = Browser::start(&[]).await;
    browser.open(&format!("http://{tester}/")).await;
    connect(&mut browser, &format!("ws://{service}/push?every=1ms")).await;
    browser.until("document.getElementById('count').innerText.startsWith('the latest 500 of ')").await;
    assert_eq!(browser.look("document.querySelectorAll('#entries li').length").await, 500);
    browser.click("#close").await;
    browser.until("document.getElementById('state').dataset.state === 'closed'").await;
    browser.click("#clear").await;
    browser
        .until("document.getElementById('entries').hidden && document.getElementById('count').innerText === ''")
        .await;
}

#[tokio::test]
async fn an_ending_is_explained() {
    let (service, tester) = (service().await, tester().await);
    let mut browser = Browser::start(&[]).await;
    browser.open(&format!("http://{tester}/")).await;
    let closed =
        "document.getElementById('state').dataset.state === 'closed' && !document.getElementById('ending').hidden";

    browser.fill("address", &format!("ws://{service}/close/1012?reason=a+new+version")).await;
    browser.press("Enter", false).await;
    browser.until(closed).await;
    assert_eq!(
        browser.text("ending").await,
        "Closed with 1012 (service restart): “a new version”\n\n\
         Come back at once: the service is being replaced. Fermata says it when an instance \
         is redeployed or scaled away."
    );
    browser.click("#codes summary").await;
    assert_eq!(browser.look("document.querySelector('tr[aria-current] th').innerText").await, "1012");

    browser.fill("address", &format!("{service}/status/403?a&b")).await;
    browser.press("Enter", false).await;
    browser.until(&format!("{closed} && document.querySelector('#ending code')")).await;
    let told = browser.text("ending").await;
    assert!(told.starts_with("The connection could not be opened. The browser says only 1006"), "{told}");
    let command = browser.look("document.querySelector('#ending code').innerText").await;
    assert_eq!(command, format!("fermata probe 'ws://{service}/status/403?a&b'"));

    browser.fill("address", "ftp://example.com/").await;
    browser.press("Enter", false).await;
    browser.until("document.getElementById('ending').innerText.startsWith('ftp:// is not for WebSockets')").await;

    // It comes back by itself when that is asked for, and says what it waits for.
    browser.click("#again").await;
    browser.fill("address", &format!("ws://{service}/close/1001?after=10ms")).await;
    browser.press("Enter", false).await;
    browser.until("document.getElementById('entries').innerText.split('connecting again in').length > 2").await;
    browser.press("Escape", false).await;
    assert_eq!(browser.look("document.getElementById('again').checked").await, false);
}

#[tokio::test]
async fn a_page_that_came_by_https_says_why_ws_is_refused() {
    let tester = secure_tester().await;
    let mut browser = Browser::start(&["--ignore-certificate-errors"]).await;
    browser.open(&format!("https://{tester}/.fermata/tester")).await;
    assert_eq!(browser.look("document.getElementById('address').value").await, format!("wss://{tester}/"));
    browser.fill("address", "ws://app.example.com:8080/").await;
    let note = browser.text("address-note").await;
    assert!(
        note.starts_with("This page came by https. Browsers refuse ws:// from such a page (mixed content)."),
        "{note}"
    );
    browser.press("Enter", false).await;
    browser.until("document.getElementById('ending').innerText.startsWith('The browser refused to try:')").await;
    browser.click("#address-note button").await;
    assert_eq!(browser.look("document.getElementById('address').value").await, "wss://app.example.com:8080/");
    assert_eq!(browser.look("document.getElementById('address-note').hidden").await, true);
}

#[tokio::test]
async fn it_fits_a_phone_and_a_desktop_in_light_and_dark() {
    let (service, tester) = (service().await, tester().await);
    let mut browser = Browser::start(&[]).await;
    browser.open(&format!("http://{tester}/")).await;
    connect(&mut browser, &format!("ws://{service}/")).await;
    for text in ["hello", &"a-word-without-a-blank-".repeat(40), "{\"type\": \"chat\", \"n\": {n}}"] {
        send(&mut browser, text).await;
    }
    browser.until("document.querySelectorAll('#entries .received').length === 3").await;
    for (device, width, height) in [("desktop", 1280, 900), ("phone", 360, 740)] {
        for (scheme, paper) in [("light", "rgb(245, 244, 239)"), ("dark", "rgb(19, 21, 23)")] {
            browser.wear(width, height, scheme).await;
            let wide = format!("document.documentElement.scrollWidth <= {width}");
            browser.until(&wide).await;
            assert_eq!(browser.look("getComputedStyle(document.documentElement).backgroundColor").await, paper);
            // For a person who wants to look at it: the folder target/tmp.
            let file = format!("{}/tester-{device}-{scheme}.png", env!("CARGO_TARGET_TMPDIR"));
            std::fs::write(file, browser.picture().await).expect("written");
        }
    }
}

#[test]
fn the_command_prints_where_the_page_is() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let mut tester = Command::new(env!("CARGO_BIN_EXE_fermata"))
        .args(["tester", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut line = String::new();
    BufReader::new(tester.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("the tester page is at http://").and_then(|rest| rest.strip_suffix('/'));
    assert!(address.is_some_and(|address| std::net::TcpStream::connect(address).is_ok()), "{line}");
    assert!(Command::new("kill").arg(tester.id().to_string()).status().expect("kill").success());
    assert!(tester.wait().expect("ended").success());
}
