//! What a certificate authority has asked for, and the answers (RFC 8555 8.3): filled by whoever orders a certificate, read
//! by every http port.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Where the questions arrive, in front of their token.
const PATH: &str = "/.well-known/acme-challenge/";

/// Answers by token; a copy shares them.
#[derive(Debug, Clone, Default)]
pub struct Challenges(Arc<RwLock<HashMap<String, String>>>);

/// An answer that stands until this is dropped.
#[derive(Debug)]
pub struct Posted {
    challenges: Challenges,
    token: String,
}

impl Challenges {
    /// The answer to a request for this path, if it is one of the questions under way.
    pub fn answer(&self, path: &str) -> Option<String> {
        let token = path.strip_prefix(PATH)?;
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// Has `token` answered.
    pub fn post(&self, token: &str, answer: String) -> Posted {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned(), answer);
        Posted { challenges: self.clone(), token: token.to_owned() }
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        self.challenges.0.write().unwrap_or_else(PoisonError::into_inner).remove(&self.token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_as_long_as_its_order_is_under_way() {
        let challenges = Challenges::default();
        let question = "/.well-known/acme-challenge/token-1";
        let posted = challenges.post("token-1", "token-1.thumbprint".into());
        assert_eq!(challenges.answer(question).as_deref(), Some("token-1.thumbprint"));
        assert_eq!(challenges.answer("/.well-known/acme-challenge/token-2"), None);
        assert_eq!(challenges.answer("/token-1"), None);
        drop(posted);
        assert_eq!(challenges.answer(question), None);
    }
}
