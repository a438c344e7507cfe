//! One order of one certificate, from the account to the files.

use std::error::Error as _;
use std::fmt;
use std::io;

use fermata_spec::Acme;
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, Identifier, LetsEncrypt, NewAccount, NewOrder, Order,
    OrderStatus, Problem, RetryPolicy,
};

use super::{Ordering, Shelf};
use crate::tls::Challenges;

/// Why there is no certificate.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The authority could not be reached, or refused.
    Authority(Error),
    /// It asked, and was not content with what it found.
    Answer(String),
    /// It asks in no way that can be answered here.
    NoHttp,
    /// What was issued could not be kept.
    Files(io::Error),
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Authority(error) => {
                write!(out, "the authority: {error}")?;
                // What went wrong on the way is only in what lies below.
                let mut source = error.source();
                while let Some(error) = source {
                    write!(out, ": {error}")?;
                    source = error.source();
                }
                Ok(())
            }
            Trouble::Answer(detail) => {
                write!(
                    out,
                    "the authority: {detail} (the name must lead here, and port 80 must be reachable from the internet)"
                )
            }
            Trouble::NoHttp => out.write_str("the authority does not ask over HTTP (http-01) for this name"),
            Trouble::Files(error) => write!(out, "it cannot be kept: {error}"),
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Authority(error)
    }
}

/// Who issues, for people.
pub(super) fn authority(acme: &Acme) -> &str {
    acme.directory.as_deref().unwrap_or("Let's Encrypt")
}

/// Orders a certificate for `domain` and puts it on the shelf.
pub(super) async fn issue(
    ordering: &Ordering,
    shelf: &Shelf,
    domain: &str,
    challenges: &Challenges,
) -> Result<(), Trouble> {
    let account = account(ordering, shelf).await?;
    let mut order = account.new_order(&NewOrder::new(&[Identifier::Dns(domain.to_owned())])).await?;
    let mut posted = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let mut challenge = authorization.challenge(ChallengeType::Http01).ok_or(Trouble::NoHttp)?;
        let answer = challenge.key_authorization().as_str().to_owned();
        posted.push(challenges.post(&challenge.token, answer));
        // A quick authority has asked before it says that it will.
        challenge.set_ready().await.map_err(discontent)?;
    }
    let patience = RetryPolicy::default();
    if order.poll_ready(&patience).await.map_err(discontent)? == OrderStatus::Invalid {
        return Err(refusal(&mut order).await);
    }
    drop(posted);
    let key = order.finalize().await?;
    let chain = order.poll_certificate(&patience).await?;
    shelf.put(domain, &chain, &key).map_err(Trouble::Files)
}

/// The account of before, or a new one. Naming an authority in the file agrees to its terms.
async fn account(ordering: &Ordering, shelf: &Shelf) -> Result<Account, Trouble> {
    let Acme { email, directory, .. } = &ordering.acme;
    let directory = directory.as_deref().unwrap_or(LetsEncrypt::Production.url());
    let builder = match &ordering.root {
        Some(root) => Account::builder_with_root(root)?,
        None => Account::builder()?,
    };
    if let Some(credentials) = shelf.account(directory) {
        return Ok(builder.from_credentials(credentials).await?);
    }
    let contact: Vec<String> = email.iter().map(|email| format!("mailto:{email}")).collect();
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = builder.create(&new, directory.to_owned(), None).await?;
    shelf.keep_account(directory, credentials).map_err(Trouble::Files)?;
    Ok(account)
}

/// An error that comes instead of a state tells what was wrong with the answer.
fn discontent(error: Error) -> Trouble {
    match error {
        Error::Api(Problem { detail: Some(detail), .. }) => Trouble::Answer(detail),
        error => Trouble::Authority(error),
    }
}

/// What the authority says about the answer that it got.
async fn refusal(order: &mut Order) -> Trouble {
    let mut details = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if let Ok(state) = authorization.refresh().await {
            let problems = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
            details.extend(problems.filter_map(|Problem { detail, .. }| detail.clone()));
        }
    }
    let said = if details.is_empty() { "it was not content with the answer".to_owned() } else { details.join("; ") };
    Trouble::Answer(said)
}
