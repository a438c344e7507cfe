//! A Chromium that a test drives over its debugging protocol, as a person would: by keys, clicks and looking.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// The programs that are tried, in this order.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser with one page.
pub(crate) struct Browser {
    process: Child,
    devtools: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: String,
    last_id: u64,
    _profile: TempDir,
}

impl Browser {
    /// Starts one.
    ///
    /// # Panics
    /// When there is no Chromium: a test of a page that runs in no browser tests nothing.
    pub(crate) async fn start(flags: &[&str]) -> Browser {
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut process = NAMES
            .iter()
            .find_map(|name| launch(name, &profile, flags))
            .expect("no Chromium: install it (apt-get install chromium)");
        let url = BufReader::new(process.stderr.take().expect("piped"))
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("DevTools listening on ").map(str::to_owned))
            .expect("Chromium did not start");
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let devtools = connect_async_with_config(url, Some(config), true).await.expect("DevTools").0;
        let mut browser = Browser { process, devtools, session: String::new(), last_id: 0, _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"})).await;
        let attached = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attached).await;
        attached["sessionId"].as_str().expect("a session").clone_into(&mut browser.session);
        browser
    }

    /// Goes to a page and waits until it is there.
    pub(crate) async fn open(&mut self, url: &str) {
        self.call("Page.enable", json!({})).await;
        let answer = self.call("Page.navigate", json!({"url": url})).await;
        assert_eq!(answer["errorText"], Value::Null, "{url}");
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'").await;
    }

    /// The value of an expression in the page.
    pub(crate) async fn look(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", asked).await;
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}");
        answer["result"]["value"].clone()
    }

    /// The text that a person sees in an element.
    pub(crate) async fn text(&mut self, id: &str) -> String {
        let text = self.look(&format!("document.getElementById('{id}').innerText")).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits, in the page, until an expression becomes true.
    pub(crate) async fn until(&mut self, condition: &str) {
        // What isn't there yet is no more true than what is otherwise.
        let wait = format!(
            "new Promise(resolve => {{ const look = () => {{ let so = false; try {{ so = {condition}; }} catch {{}} \
             if (so) resolve(true); else setTimeout(look, 5); }}; look(); }})"
        );
        let asked = json!({"expression": wait, "awaitPromise": true, "returnByValue": true});
        let waiting = self.call("Runtime.evaluate", asked);
        let answer = tokio::time::timeout(std::time::Duration::from_mins(1), waiting).await;
        let answer = answer.unwrap_or_else(|_| panic!("never came true: {condition}"));
        assert_eq!(answer["exceptionDetails"], Value::Null, "{condition}");
    }

    /// Clicks in the middle of the first element that a selector finds.
    pub(crate) async fn click(&mut self, selector: &str) {
        let place = self
            .look(&format!(
                "(() => {{ const element = document.querySelector('{selector}'); element.scrollIntoView({{block: \
                 'center'}}); \
                 const box = element.getBoundingClientRect(); \
                 return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
            ))
            .await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Replaces what an input field holds by typing.
    pub(crate) async fn fill(&mut self, id: &str, text: &str) {
        self.look(&format!(
            "document.getElementById('{id}').focus(); \
            document.getElementById('{id}').select()"
        ))
        .await;
        self.call("Input.insertText", json!({"text": text})).await;
    }

    /// Presses a key, with Ctrl if it is said.
    pub(crate) async fn press(&mut self, key: &str, ctrl: bool) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "Tab" => (9, ""),
            other => panic!("unknown key {other}"),
        };
        let mut event = json!({
            "type": if text.is_empty() { "rawKeyDown" } else { "keyDown" }, "key": key, "code": key,
            "windowsVirtualKeyCode": code, "modifiers": if ctrl { 2 } else { 0 },
        });
        if !text.is_empty() {
            event["text"] = text.into();
        }
        self.call("Input.dispatchKeyEvent", event.clone()).await;
        event["type"] = "keyUp".into();
        self.call("Input.dispatchKeyEvent", event).await;
    }

    /// Sets the size and the colours of the window.
    pub(crate) async fn wear(&mut self, width: u32, height: u32, scheme: &str) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features).await;
    }

    /// A picture of the whole page, as PNG.
    pub(crate) async fn picture(&mut self) -> Vec<u8> {
        let answer = self.call("Page.captureScreenshot", json!({"captureBeyondViewport": true})).await;
        let picture = answer["data"].as_str().expect("a picture");
        base64::engine::general_purpose::STANDARD.decode(picture).expect("base64")
    }

    /// One command of Chromium's own protocol.
    pub(crate) async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let mut command = json!({"id": self.last_id, "method": method, "params": parameters});
        if !self.session.is_empty() {
            command["sessionId"] = self.session.clone().into();
        }
        self.devtools.send(Message::text(command.to_string())).await.expect("sent");
        loop {
            let message = self.devtools.next().await.expect("Chromium ended").expect("a message");
            let Message::Text(text) = message else { continue };
            let answer: Value = serde_json::from_str(&text).expect("JSON");
            if answer["id"] == self.last_id {
                assert_eq!(answer["error"], Value::Null, "{command}");
                return answer["result"].clone();
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn launch(name: &str, profile: &TempDir, flags: &[&str]) -> Option<Child> {
    Command::new(name)
        // Tests run as root in containers, where Chromium has no sandbox; what it opens is ours.
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0"])
        .args(["--no-first-run", "--disable-background-networking", "--disable-component-update", "--lang=en-GB"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(flags)
        .arg("about:blank")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()
}
