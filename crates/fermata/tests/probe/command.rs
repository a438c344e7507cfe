//! The command: what it prints, and how it ends.

use std::process::Output;

use fermata::echo;
use tokio::net::TcpListener;
use tokio::process::Command;

async fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fermata")).arg("probe").args(args).output().await.expect("run")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[tokio::test]
async fn a_service_that_works_ends_in_0_and_json_tells_programs() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(echo::serve(listener, std::future::pending()));
    let output = run(&[&url, "--format", "json"]).await;
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["url"], &report["outcome"]), (&url.into(), &"works".into()));
    let hops: Vec<_> =
        report["hops"].as_array().expect("hops").iter().map(|hop| (&hop["name"], &hop["verdict"])).collect();
    let works = serde_json::Value::from("works");
    let names = ["dns", "tcp", "http", "upgrade", "ping", "messages", "close", "burst"].map(serde_json::Value::from);
    assert_eq!(hops, names.iter().map(|name| (name, &works)).collect::<Vec<_>>());
    assert!(report["hops"][3]["ms"].is_number(), "{report}");
}

#[tokio::test]
async fn a_service_that_does_not_work_ends_in_1_with_the_code_of_its_trouble() {
    let address = format!("127.0.0.1:{}", crate::support::free_port());
    let output = run(&[&format!("ws://{address}/"), "--format", "json"]).await;
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["outcome"], "broken");
    assert_eq!(report["hops"][1]["advice"][0]["code"], "tcp-refused");
    assert_eq!(report["hops"][2]["verdict"], "skipped");
    let junit = run(&[&format!("ws://{address}/"), "--format", "junit"]).await;
    assert_eq!(junit.status.code(), Some(1));
    assert!(text(&junit.stdout).contains("<failure type=\"tcp-refused\""), "{}", text(&junit.stdout));
    let human = run(&[&format!("ws://{address}/")]).await;
    assert!(text(&human.stdout).contains("TCP breaks: "), "without colours where there is no terminal");
}

#[tokio::test]
async fn wrong_usage_ends_in_2_and_says_what_is_right() {
    let cases: [(&[&str], &str); 5] = [
        (
            &["localhost:8080"],
            "error: \"localhost:8080\" does not begin with ws://, wss://, http:// or https://\n  \
             try: fermata probe ws://localhost:8080\n",
        ),
        (
            &["ws://localhost/", "--header", "nonsense"],
            "error: --header \"nonsense\" is no header; one looks like \"Cookie: session=abc\"\n",
        ),
        (&["ws://localhost/", "--idle", "soon"], "error: --idle \"soon\" is no duration; one looks like 90s or 5m\n"),
        (
            &["ws://localhost/", "--timeout", "0"],
            "error: --timeout 0 leaves no time to answer; give each hop a second at least\n",
        ),
        (
            &["ws://localhost/", "--subprotocol", "a, b"],
            "error: --subprotocol \"a, b\": a subprotocol is a name of letters, digits and -_.+ without blanks; \
             give several with several --subprotocol\n",
        ),
    ];
    for (args, expected) in cases {
        let output = run(args).await;
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), expected), "{args:?}");
    }
}
