//! Whatever comes through the channel, nothing falls over: it is refused, or makes sense.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use fastrand::Rng;
use fermata::handover::manifest::{Answer, Begin, Hello, VERSION, Word};
use fermata::handover::{Channel, Heir};
use fermata::tunnel::Record;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Reads all that these bytes are, as a channel would.
async fn hear_all(bytes: &[u8]) -> usize {
    let (mut here, there) = UnixStream::pair().expect("sockets can be made");
    let writing = {
        let bytes = bytes.to_vec();
        std::thread::spawn(move || drop(here.write_all(&bytes)))
    };
    let mut channel = Channel::new(OwnedFd::from(there)).expect("a socket");
    let mut heard = 0;
    while let Ok(Some(_)) = channel.hear::<Word>().await {
        heard += 1;
    }
    drop(channel);
    writing.join().expect("no panic");
    heard
}

fn framed(text: &str, bytes: &[u8], descriptors: u32) -> Vec<u8> {
    let mut message = Vec::new();
    for length in [text.len() as u32, bytes.len() as u32, descriptors] {
        message.extend_from_slice(&length.to_be_bytes());
    }
    message.extend_from_slice(text.as_bytes());
    message.extend_from_slice(bytes);
    message
}

#[test]
fn bytes_that_are_no_messages_are_refused() {
    let mut rng = Rng::with_seed(5);
    runtime().block_on(async {
        assert_eq!(hear_all(&[framed("\"Go\"", b"bytes", 0), framed("{\"End\":3}", b"", 0)].concat()).await, 2);
        assert_eq!(hear_all(&framed("\"Go\"", b"", 1)).await, 0, "a descriptor that did not come");
        for _ in 0..300 {
            let noise: Vec<u8> = (0..rng.usize(..200)).map(|_| rng.u8(..)).collect();
            hear_all(&noise).await;
            let mut damaged = framed("{\"Tunnels\":[]}", b"some bytes", 0);
            for _ in 0..rng.usize(1..4) {
                let at = rng.usize(..damaged.len());
                damaged[at] = rng.u8(..);
            }
            damaged.truncate(rng.usize(..=damaged.len()));
            hear_all(&damaged).await;
        }
    });
}

#[test]
fn records_that_nobody_wrote_are_refused() {
    let mut rng = Rng::with_seed(6);
    let record = r#"{"who":{"id":7,"client":"127.0.0.1","service":"web","instance":"web.1","target":{"Ip":"127.0.0.1:3000"},"age":{"secs":1,"nanos":0},"tls":false,"protocol":null,"frames":0,"max_message":4294967295},"carried":{"WebSocket":90},"client":{"socket":true,"pending":0,"reading":0,"writing":0,"heard":-5,"pinged":-5},"service":{"socket":true,"pending":3,"reading":1,"writing":0,"heard":-5,"pinged":-5},"allowance":null,"phase":"Live","cause":null,"moved":-1}"#;
    let known: Record = serde_json::from_str(record).expect("a record");
    assert_eq!(serde_json::to_string(&known).expect("text"), record);
    for _ in 0..5000 {
        let mut text = record.as_bytes().to_vec();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(..text.len());
            text[at] = rng.choice(*b"0123456789-\"{}[],:ntlx").unwrap_or(b'x');
        }
        // Whatever is read can be asked what its frames may be.
        if let Ok(record) = serde_json::from_slice::<Record>(&text) {
            let _ = record.who.rules();
        }
    }
}

#[test]
fn one_who_speaks_other_words_is_refused_by_the_new_process() {
    runtime().block_on(async {
        let (mut old, there) = Channel::pair().expect("a channel");
        let begin = Begin { handover: VERSION + 1, fermata: "9.9.9".into(), listeners: Vec::new(), drawn: Vec::new() };
        old.say(&begin).await.expect("somebody will listen");
        let refused = Heir::meet(there).await.expect_err("other words").to_string();
        assert_eq!(refused, "fermata 9.9.9 hands over in another way (version 2) than this one (version 1)");
        assert_eq!(old.hear::<Hello>().await.expect("a word").expect("one").said.handover, VERSION);
        let said = old.hear::<Answer>().await.expect("a word").expect("one").said;
        assert_eq!(said, Answer::Refused(refused));
    });
}

#[test]
fn any_number_of_descriptors_goes_through_and_stays_in_order() {
    runtime().block_on(async {
        let (mut here, there) = Channel::pair().expect("a channel");
        let mut there = Channel::new(there).expect("a socket");
        for count in [0, 1, 252, 253, 254, 600] {
            // Each is told from the others by what can be read from it.
            let pipes: Vec<(OwnedFd, OwnedFd)> = (0..count).map(|_| rustix::pipe::pipe().expect("a pipe")).collect();
            for (number, (_, write)) in pipes.iter().enumerate() {
                rustix::io::write(write, &(number as u32).to_be_bytes()).expect("an empty pipe");
            }
            let descriptors: Vec<_> = pipes.iter().map(|(read, _)| std::os::fd::AsFd::as_fd(read)).collect();
            let (sent, heard) = tokio::join!(here.send(&"hello", &[7; 5000], &descriptors), there.hear::<String>());
            sent.expect("a message goes");
            let message = heard.expect("a message").expect("one");
            assert_eq!((message.said.as_str(), message.bytes.len(), message.descriptors.len()), ("hello", 5000, count));
            for (number, descriptor) in message.descriptors.iter().enumerate() {
                let mut read = [0; 4];
                rustix::io::read(descriptor, &mut read).expect("what was written");
                assert_eq!(u32::from_be_bytes(read) as usize, number);
            }
        }
    });
}
