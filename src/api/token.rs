//! The secret that the conductor shows with every command (contract/control-plane 4.1).

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::constant_time::verify_slices_are_equal;

/// The agent's token, shared between those who learn it and those who check it. Never shown.
#[derive(Clone, Default)]
pub struct Token(Arc<RwLock<Option<Arc<str>>>>);

impl Token {
    /// No token yet: nothing is let in.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on this is the token.
    pub fn set(&self, token: &str) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) =
            Some(token.into()).filter(|token: &Arc<str>| !token.is_empty());
    }

    /// The token, for those who must send it.
    pub fn reveal(&self) -> Option<Arc<str>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether this is the token. How long the answer takes tells its length and nothing else.
    pub fn admits(&self, shown: &str) -> bool {
        self.reveal().is_some_and(|token| {
            verify_slices_are_equal(token.as_bytes(), shown.as_bytes()).is_ok()
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reveal() {
            Some(_) => "Token(***)",
            None => "Token(none)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_admitted() {
        let token = Token::new();
        assert!(!token.admits(""));
        token.set("");
        assert!(!token.admits(""));
        token.set("4rJqxKHVBcL853TT1y6KuEUBj1WNRMxOMi-gIHo0c0I");
        assert!(token.admits("4rJqxKHVBcL853TT1y6KuEUBj1WNRMxOMi-gIHo0c0I"));
        for wrong in ["", "4", "4rJqxKHVBcL853TT1y6KuEUBj1WNRMxOMi-gIHo0c0J"] {
            assert!(!token.admits(wrong));
        }
    }

    #[test]
    fn it_is_never_shown() {
        let token = Token::new();
        token.set("secret");
        assert!(!format!("{token:?}").contains("secret"));
    }
}
