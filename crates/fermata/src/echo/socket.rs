//! One open socket of the sample service, from its 101 to its end.

use std::time::Duration;

use fermata_wire::{Close, Code};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, error::ProtocolError};

use super::arrival::Arrival;
use super::conduct::{Conduct, MAX_MESSAGE};

/// How long a peer may take to hang up after the Closes: bytes that come after a socket is gone make the kernel send a
/// reset, which takes the Close with it (RFC 1122 4.2.2.13).
const LINGER: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<TcpStream>;

/// How a conversation ended, on our side.
enum End {
    /// Both Closes went over the wire, or the connection is gone.
    Done,
    /// It is ours to close.
    Say(Close),
    /// The connection is to end without a Close.
    Vanish,
}

/// Runs a socket until either side ends it.
pub(super) async fn run(
    stream: TcpStream,
    read: Vec<u8>,
    conduct: Conduct,
    arrival: &Arrival,
    mut ending: watch::Receiver<bool>,
) {
    // tungstenite reserves its read buffer for every socket at once, 128 KiB unless told otherwise.
    let config = WebSocketConfig::default()
        .read_buffer_size(8 << 10)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let mut socket = WebSocketStream::from_partially_read(stream, read, Role::Server, Some(config)).await;
    let end = tokio::select! {
        end = converse(&mut socket, conduct, arrival) => end,
        () = super::ends(&mut ending) => End::Say(Close::new(Code::GOING_AWAY, "the sample service ends")),
    };
    match end {
        End::Vanish => {}
        End::Done => hang_up(&mut socket).await,
        End::Say(close) => {
            let frame = CloseFrame { code: close.code.0.into(), reason: close.reason.into_owned().into() };
            let _ = socket.close(Some(frame)).await;
            let answered = async { while let Some(Ok(_)) = socket.next().await {} };
            let _ = tokio::time::timeout(LINGER, answered).await;
            hang_up(&mut socket).await;
        }
    }
}

async fn converse(socket: &mut Socket, conduct: Conduct, arrival: &Arrival) -> End {
    match first_words(socket, &conduct, arrival).await {
        Ok(()) => {}
        Err(error) => return end_of(&error),
    }
    let (deadline, last) = match &conduct {
        Conduct::Close(close, after) => (Some(*after), End::Say(close.clone())),
        Conduct::Drop(after) => (Some(*after), End::Vanish),
        _ => (None, End::Done),
    };
    match deadline {
        None => echo(socket, &conduct).await,
        Some(after) => {
            let echoing = tokio::time::timeout(after, echo(socket, &conduct)).await;
            echoing.unwrap_or(last)
        }
    }
}

/// What a path says before it listens.
async fn first_words(socket: &mut Socket, conduct: &Conduct, arrival: &Arrival) -> Result<(), Error> {
    match conduct {
        Conduct::Headers => socket.send(Message::text(arrival.json())).await,
        Conduct::Send(size) => {
            socket.send(Message::binary((0..=u8::MAX).cycle().take(*size).collect::<Vec<_>>())).await
        }
        _ => Ok(()),
    }
}

async fn echo(socket: &mut Socket, conduct: &Conduct) -> End {
    let mut tick = Tick::of(conduct);
    loop {
        let heard = tokio::select! {
            heard = socket.next() => heard,
            message = tick.next() => match socket.send(message).await {
                Ok(()) => continue,
                Err(error) => return end_of(&error),
            },
        };
        // Pings and Closes are answered inside tungstenite.
        let message = match heard {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => message,
            Some(Ok(_)) => continue,
            Some(Err(error)) => return end_of(&error),
            None => return End::Done,
        };
        match conduct {
            Conduct::Silent => continue,
            Conduct::Slow(by) => tokio::time::sleep(*by).await,
            _ => {}
        }
        if let Err(error) = socket.send(message).await {
            return end_of(&error);
        }
    }
}

/// The clock of `/push`; for every other path it never ticks.
struct Tick {
    every: Option<Duration>,
    due: Instant,
    number: u64,
}

impl Tick {
    fn of(conduct: &Conduct) -> Tick {
        let every = if let Conduct::Push(every) = conduct { Some(*every) } else { None };
        Tick { every, due: Instant::now(), number: 0 }
    }

    async fn next(&mut self) -> Message {
        let Some(every) = self.every else { return std::future::pending().await };
        sleep_until(self.due).await;
        self.due += every;
        self.number += 1;
        Message::text(format!("{{\"number\":{}}}", self.number))
    }
}

/// What a peer that broke a rule is told (RFC 6455 7.4.1).
fn end_of(error: &Error) -> End {
    match error {
        Error::Capacity(_) => End::Say(Close::new(Code::TOO_BIG, "at most 64 MiB a message")),
        Error::Utf8(_) => End::Say(Close::new(Code(1007), "not UTF-8")),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Done,
        Error::Protocol(_) => End::Say(Close::new(Code::PROTOCOL_ERROR, "not a frame of RFC 6455")),
        _ => End::Done,
    }
}

/// Ends the connection so that everything sent before arrives.
async fn hang_up(socket: &mut Socket) {
    let _ = socket.flush().await;
    let stream = socket.get_mut();
    let _ = stream.shutdown().await;
    let mut rest = [0; 4096];
    let gone = async { while matches!(stream.read(&mut rest).await, Ok(1..)) {} };
    let _ = tokio::time::timeout(LINGER, gone).await;
}
