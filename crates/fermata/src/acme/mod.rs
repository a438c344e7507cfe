//! Certificates from a certificate authority (ACME, RFC 8555): ordered, kept in the state folder, and renewed in time.
//!
//! It only writes files. Each name has a certificate's and a key's file from the beginning, made on the spot until the
//! authority has issued a real one; whoever offers certificates watches their files anyway. It refuses to listen: the
//! authority's questions are answered by the http ports, from what is posted in [`Challenges`].

mod files;
mod order;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use fermata_spec::Acme;

pub use files::{Shelf, Standing, standing};

use crate::tls::Challenges;

/// After a failure: soon at first, since a name may just have been made, then seldom, since authorities count failures
/// (Let's Encrypt: five an hour for one name).
const AGAIN: [Duration; 4] =
    [Duration::from_mins(1), Duration::from_mins(5), Duration::from_mins(20), Duration::from_hours(2)];
/// The wall clock is looked at this often: a machine that slept has a clock that jumped.
const LOOK: Duration = Duration::from_hours(1);

/// What there is to say.
#[derive(Debug)]
pub enum Said {
    /// A certificate is there.
    Issued(String),
    /// One could not be had yet.
    Failed(String),
}

/// Who issues for whom, and where what is issued goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordering {
    /// What the file says.
    pub acme: Acme,
    /// The PEM file of `root`, if the file names one.
    pub root: Option<PathBuf>,
    /// The state folder.
    pub state: PathBuf,
}

/// One name, and when something has to be done for it.
struct Name {
    domain: String,
    due: SystemTime,
    failures: usize,
}

/// Keeps every name's certificate valid, until it is dropped.
pub async fn keep(ordering: Ordering, challenges: Challenges, tell: impl AsyncFn(Said)) {
    let shelf = Shelf::of(&ordering.state);
    let name = |domain: &String| Name { domain: domain.clone(), due: shelf.due(domain), failures: 0 };
    let mut names: Vec<Name> = ordering.acme.domains.iter().map(name).collect();
    while let Some(next) = names.iter_mut().min_by_key(|name| name.due) {
        let now = SystemTime::now();
        if let Ok(wait) = next.due.duration_since(now)
            && !wait.is_zero()
        {
            tokio::time::sleep(wait.min(LOOK)).await;
            continue;
        }
        match order::issue(&ordering, &shelf, &next.domain, &challenges).await {
            Ok(()) => {
                (next.due, next.failures) = (shelf.due(&next.domain), 0);
                let authority = order::authority(&ordering.acme);
                tell(Said::Issued(format!("{} has a certificate of {authority}", next.domain))).await;
            }
            Err(problem) => {
                let wait = AGAIN[next.failures.min(AGAIN.len() - 1)];
                (next.due, next.failures) = (now + wait, next.failures + 1);
                let text = format!(
                    "no certificate for {}: {problem}; it keeps the one that it has, and is tried again in {} min",
                    next.domain,
                    wait.as_secs() / 60
                );
                tell(Said::Failed(text)).await;
            }
        }
        // A certificate that is due again at once would have been issued for nothing: an authority's clock may be off.
        next.due = next.due.max(now + AGAIN[0]);
    }
}
