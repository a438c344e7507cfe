//! The old process as the new one sees it: heard to the end, and answered when everything is taken in.

use std::io;
use std::os::fd::OwnedFd;

use super::channel::{Channel, Message};
use super::manifest::{Answer, Begin, Estate, Hello, VERSION, Word};
use crate::tunnel::Record;

/// The new process: about to take over.
#[derive(Debug)]
pub struct Heir {
    channel: Channel,
}

/// What it gets.
#[derive(Debug)]
pub struct Inherited {
    /// Everything but the tunnels.
    pub estate: Estate,
    /// What belongs to it.
    pub descriptors: Vec<OwnedFd>,
    /// The tunnels, some at a time.
    pub tunnels: Vec<Message<Vec<Record>>>,
}

impl Heir {
    /// Says hello to whoever is at the other end, and hears what there is to begin with.
    pub async fn meet(channel: OwnedFd) -> io::Result<(Heir, Message<Begin>)> {
        let mut heir = Heir { channel: Channel::new(channel)? };
        heir.channel.say(&Hello { handover: VERSION, fermata: env!("CARGO_PKG_VERSION").into() }).await?;
        let begin: Message<Begin> = heir.channel.hear().await?.ok_or_else(gone)?;
        let Begin { handover, fermata, .. } = &begin.said;
        if *handover != VERSION {
            let why = format!(
                "fermata {fermata} hands over in another way (version {handover}) than this one (version {VERSION})"
            );
            heir.refuse(&why).await;
            return Err(io::Error::other(why));
        }
        Ok((heir, begin))
    }

    /// Says that it won't, and why.
    pub async fn refuse(&mut self, why: &str) {
        // Whoever is gone needs no reason.
        let _ = self.channel.say(&Answer::Refused(why.into())).await;
    }

    /// Says that it could begin, and hears everything.
    pub async fn inherit(&mut self) -> io::Result<Inherited> {
        self.channel.say(&Answer::Prepared).await?;
        let Message { said, descriptors, .. } = self.hear().await?;
        let Word::Estate(estate) = said else { return Err(nonsense(&said)) };
        let (mut tunnels, mut count) = (Vec::new(), 0);
        loop {
            let Message { said, bytes, descriptors } = self.hear().await?;
            match said {
                Word::Tunnels(some) => {
                    count += some.len();
                    tunnels.push(Message { said: some, bytes, descriptors });
                }
                Word::End(all) if all == count => break,
                said => return Err(nonsense(&said)),
            }
        }
        Ok(Inherited { estate: *estate, descriptors, tunnels })
    }

    /// Says that everything is taken in, and takes it over. With an error it is still the old one's.
    pub async fn take(mut self) -> io::Result<()> {
        self.channel.say(&Answer::Ready).await?;
        match self.hear().await?.said {
            Word::Go => self.channel.say(&Answer::Taken).await,
            said => Err(nonsense(&said)),
        }
    }

    async fn hear(&mut self) -> io::Result<Message<Word>> {
        self.channel.hear().await?.ok_or_else(gone)
    }
}

fn gone() -> io::Error {
    io::Error::other("the fermata that was to hand over has changed its mind, or is gone")
}

fn nonsense(said: &Word) -> io::Error {
    let word = match said {
        Word::Estate(_) => "Estate",
        Word::Tunnels(_) => "Tunnels",
        Word::End(_) => "End",
        Word::Go => "Go",
    };
    io::Error::other(format!("the fermata that hands over says {word} out of turn"))
}
