//! Another implementation of WebSocket reads what has passed, with all that was said in between.

use std::io::{self, Cursor, Read, Write};

use super::model::run;
use super::streams;
use fermata_wire::Side;
use proptest::prelude::*;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::Role;
use tungstenite::{Error, Message, WebSocket};

/// Bytes to read; what is written is dropped.
struct Recorded(Cursor<Vec<u8>>);

impl Read for Recorded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Recorded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All messages that come from `from`, to the end of the stream.
fn read(from: Side, bytes: Vec<u8>) -> Vec<Message> {
    let role = if from == Side::Client { Role::Server } else { Role::Client };
    let mut socket = WebSocket::from_raw_socket(Recorded(Cursor::new(bytes)), role, None);
    let mut messages = Vec::new();
    loop {
        match socket.read() {
            Ok(message) => messages.push(message),
            Err(Error::ConnectionClosed | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                return messages;
            }
            Err(error) => panic!("{error} after {messages:?}"),
        }
    }
}

fn is_ours(message: &Message) -> bool {
    match message {
        Message::Ping(payload) | Message::Pong(payload) => payload.starts_with(b"held"),
        _ => false,
    }
}

proptest! {
    #[test]
    fn the_other_side_reads_every_message_and_then_the_close_of_the_sender_or_ours(
        story in streams::valid(Just(false)),
        cuts in streams::cuts(),
    ) {
        let outcome = run(&story, &cuts);
        let mut seen = read(story.from, outcome.seen());
        let ours = outcome.said.last().filter(|(_, frame)| frame[0] == 0x88);
        if ours.is_some() {
            let last = seen.pop();
            let Some(Message::Close(Some(close))) = last else { panic!("{last:?} is not our Close") };
            prop_assert_eq!((u16::from(close.code), close.reason.as_str()), (outcome.code, "asked for"));
        }
        seen.retain(|message| !is_ours(message));
        let mut sent = read(story.from, story.bytes.clone());
        sent.retain(|message| !is_ours(message));
        if ours.is_some() {
            prop_assert!(sent.starts_with(&seen), "{:?} is not the beginning of {:?}", seen, sent);
        } else {
            prop_assert_eq!(seen, sent);
        }
        prop_assert_eq!(outcome.violation, None);
    }
}
