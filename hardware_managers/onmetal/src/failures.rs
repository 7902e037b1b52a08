//! Errors of this manager as the conductor sees them.

use farrier_plugin::{ErrorKind, ManagerError};

/// What a program said, cut to what fits into an error.
pub(crate) const EXCERPT: usize = 2048;

/// An error of this class.
pub(crate) fn failed(kind: ErrorKind, details: impl Into<String>) -> ManagerError {
    ManagerError::new(kind, details)
}

/// An error for each of several parts of a step, as one; `None` where there is none. All are told.
pub(crate) fn together(kind: ErrorKind, what: &str, failures: &[String]) -> Option<ManagerError> {
    (!failures.is_empty()).then(|| failed(kind, format!("{what}: {}", failures.join("; "))))
}

/// The end of a program's output on one line: what went wrong is said last.
pub(crate) fn excerpt(output: &str) -> String {
    let joined = output.split_whitespace().collect::<Vec<_>>().join(" ");
    let kept: String = {
        let from = joined.len().saturating_sub(EXCERPT);
        let from = (from..=joined.len())
            .find(|&at| joined.is_char_boundary(at))
            .unwrap_or(0);
        joined[from..].to_owned()
    };
    if kept.is_empty() {
        "nothing".to_owned()
    } else {
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_keeps_the_end_and_no_half_letters() {
        assert_eq!(excerpt(" one\n\n two\t"), "one two");
        assert_eq!(excerpt("\n"), "nothing");
        let long = excerpt(&"äöü".repeat(EXCERPT));
        assert!(long.len() <= EXCERPT && long.ends_with("äöü"));
    }

    #[test]
    fn all_failures_are_told() {
        assert!(together(ErrorKind::Cleaning, "x", &[]).is_none());
        let error = together(ErrorKind::Cleaning, "Two", &["a".into(), "b".into()]).unwrap();
        assert_eq!(error.to_string(), "Two: a; b");
    }
}
