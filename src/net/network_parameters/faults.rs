//! Faults of parameters, which leave out what has them.

use crate::net::plan::problem::{Problem, Shown};

const LEFT_OUT: &str = "it is left out";

/// A parameter is not what it should be.
pub(super) fn is_not(place: &str, found: &str, expected: &'static str) -> Problem {
    Problem::Value {
        place: place.into(),
        found: found.into(),
        expected,
        outcome: LEFT_OUT,
    }
}

/// A part of a parameter is missing.
pub(super) fn missing(place: &str, field: &'static str) -> Problem {
    Problem::Missing {
        place: Shown::new(place),
        field,
        outcome: LEFT_OUT,
    }
}
