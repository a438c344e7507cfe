//! What services write.

use fermata::run::{LONGEST_LINE, Stream};

use crate::site::{Site, service};

#[tokio::test]
async fn lines_come_with_their_instance_and_stream() {
    let mut site = Site::new();
    site.spec.services =
        vec![service("a", "sh -c 'echo out; sleep 1000'"), service("b", "sh -c 'echo err >&2; sleep 1000'")];
    let mut running = site.up().await;
    let mut lines = [running.line().await, running.line().await];
    lines.sort_by_key(|line| line.instance.to_string());
    let seen = lines.map(|line| (line.instance.to_string(), line.stream, line.text));
    assert_eq!(
        seen,
        [("a.1".to_owned(), Stream::Stdout, "out".to_owned()), ("b.1".to_owned(), Stream::Stderr, "err".to_owned())]
    );
    running.down().await;
}

#[tokio::test]
async fn the_last_words_come_before_the_end_is_told() {
    let site = Site::with("sh -c 'printf \"one\\ntwo\\n\\303\\050 last\"; exit 1'");
    let mut running = site.up().await;
    running.until("web.1 ended").await;
    let texts = [running.line().await, running.line().await, running.line().await].map(|line| line.text);
    assert_eq!(texts, ["one", "two", "\u{fffd}( last"]);
    running.down().await;
}

#[tokio::test]
async fn an_endless_line_comes_in_pieces_and_what_nobody_reads_does_not_hinder_the_stop() {
    let site = Site::with("sh -c 'tr \"\\\\000\" x < /dev/zero'");
    let mut running = site.up().await;
    for _ in 0..100 {
        assert_eq!(running.line().await.text, "x".repeat(LONGEST_LINE));
    }
    assert_eq!(running.down().await.last().unwrap(), "web.1 has stopped");
}

#[tokio::test]
async fn input_is_empty() {
    let site = Site::with("sh -c 'read line || echo no input; sleep 1000'");
    let mut running = site.up().await;
    assert_eq!(running.line().await.text, "no input");
    running.down().await;
}
