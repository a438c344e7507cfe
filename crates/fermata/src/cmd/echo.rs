//! `fermata echo`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{Answer, Failure};
use crate::cli::Echo;
use crate::echo;

/// The port of the sample service when neither `--listen` nor `PORT` says another.
const PORT: u16 = 3000;

/// Runs it until Ctrl-C or SIGTERM.
pub fn run(args: &Echo) -> Result<Answer, Failure> {
    let address = match args.listen {
        Some(address) => address,
        None => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port(std::env::var("PORT").ok().as_deref())?),
    };
    until_asked_to_end(async {
        let listener = listen(address, "--listen ADDRESS:PORT or the variable PORT").await?;
        let address = listener.local_addr().unwrap_or(address);
        let end = asked_to_end();
        anstream::println!("listening on ws://{address}/ (in a browser: http://{address}/)");
        echo::serve(listener, end).await;
        Ok(Answer::Yes)
    })
}

fn port(said: Option<&str>) -> Result<u16, Failure> {
    said.map_or(Ok(PORT), |text| {
        text.parse().map_err(|_| {
            Failure::Usage(format!("the variable PORT says \"{text}\", which is no port number (0-65535)"))
        })
    })
}

/// Runs a small server: one thread is enough for it.
pub(super) fn until_asked_to_end(server: impl Future<Output = Result<Answer, Failure>>) -> Result<Answer, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::No(format!("cannot start: {error}")))?
        .block_on(server)
}

/// Binds, or says who to ask for another address.
pub(super) async fn listen(address: SocketAddr, choice: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::No(format!("cannot listen on {address}: {error}\n  choose another address by {choice}"))
    })
}

/// Resolves at Ctrl-C or SIGTERM; both are caught from the call on, not from the first look.
pub(super) fn asked_to_end() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async {
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
