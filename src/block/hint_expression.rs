//! The expressions that root device hints are written in: an operator and its values
//! (contract/data-plane 2.3).
//!
//! The grammar is that of oslo.utils' specs matcher: an expression that starts with an operator
//! followed by a value is that comparison, anything else is a value to be equal to. What the
//! reference makes of each corner of it, and where this differs, is in docs/root-device-hints.md.

/// Why an expression cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ExpressionError {
    /// Nothing there.
    #[error("Root device hint {hint} expression is empty")]
    Empty {
        /// The hint's name.
        hint: String,
    },
    /// An operator and nothing to compare with.
    #[error(
        "Root device hint \"{hint}\" has the operator {operator} but no value after it; a value \
         cannot start with an operator"
    )]
    NoValue {
        /// The hint's name.
        hint: String,
        /// The operator.
        operator: &'static str,
    },
    /// An operator that this kind of hint does not have.
    #[error("Root device hint \"{hint}\" cannot be compared with {operator}; use one of {usable}")]
    WrongOperator {
        /// The hint's name.
        hint: String,
        /// The operator.
        operator: &'static str,
        /// Those that it has.
        usable: &'static str,
    },
    /// Two comparisons in one.
    #[error(
        "Root device hint \"{hint}\" has the operator {operator} twice; only <or> can be repeated"
    )]
    Repeated {
        /// The hint's name.
        hint: String,
        /// The operator.
        operator: &'static str,
    },
    /// Not text.
    #[error("Root device hint \"{hint}\" is not a string value. Hint expression: {value}")]
    NotAString {
        /// The hint's name.
        hint: String,
        /// What stands there, as JSON.
        value: String,
    },
    /// Not the four parts that a range has, or none that a size can lie in.
    #[error(
        "Root device hint \"{hint}\" needs a range like \"<range-in> [ 10 20 ]\", or with ( or ) to \
         leave a boundary out. Current value: {value}"
    )]
    NotARange {
        /// The hint's name.
        hint: String,
        /// What stands there.
        value: String,
    },
    /// Not a whole number.
    #[error("Root device hint \"{hint}\" is not an integer value. Current value: {value}")]
    NotAnInteger {
        /// The hint's name.
        hint: String,
        /// What stands there.
        value: String,
    },
    /// A number below 1.
    #[error("Root device hint \"{hint}\" should be a positive integer. Current value: {value}")]
    NotPositive {
        /// The hint's name.
        hint: String,
        /// What stands there.
        value: String,
    },
    /// Not a truth value.
    #[error("Root device hint \"{hint}\" is not a Boolean value. Current value: {value}")]
    NotABoolean {
        /// The hint's name.
        hint: String,
        /// What stands there.
        value: String,
    },
}

/// A condition on text. All values are normalised, see [`normalise`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum TextCondition {
    Equal(String),
    NotEqual(String),
    Less(String),
    LessOrEqual(String),
    Greater(String),
    GreaterOrEqual(String),
    Contains(String),
    ContainsAll(Vec<String>),
    OneOf(Vec<String>),
}

/// A condition on a number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NumberCondition {
    Equal(u64),
    NotEqual(u64),
    Less(u64),
    LessOrEqual(u64),
    Greater(u64),
    GreaterOrEqual(u64),
    OneOf(Vec<u64>),
    Within(Bound, Bound),
}

/// An end of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bound {
    value: f64,
    inclusive: bool,
}

const TEXT_OPERATORS: &str = "s==, s!=, s<, s<=, s>, s>=, <in>, <all-in>, <or>";
const NUMBER_OPERATORS: &str = "=, ==, !=, <, <=, >, >=, <or>, <range-in>";

/// Longer operators stand before those that they start with.
const OPERATORS: [&str; 17] = [
    "<or>",
    "<all-in>",
    "<range-in>",
    "<in>",
    "s==",
    "s!=",
    "s<=",
    "s>=",
    "s<",
    "s>",
    "==",
    "!=",
    "<=",
    ">=",
    "=",
    "<",
    ">",
];

impl TextCondition {
    /// Read an expression for the hint of this name.
    pub(crate) fn parse(hint: &str, expression: &str) -> Result<Self, ExpressionError> {
        let (operator, value) = split(hint, expression)?;
        let one = || normalise(&value);
        Ok(match operator {
            None | Some("s==") => Self::Equal(one()),
            Some("s!=") => Self::NotEqual(one()),
            Some("s<") => Self::Less(one()),
            Some("s<=") => Self::LessOrEqual(one()),
            Some("s>") => Self::Greater(one()),
            Some("s>=") => Self::GreaterOrEqual(one()),
            Some("<in>") => Self::Contains(one()),
            // The reference accepts <all-in> and then crashes on it. Ironic's documentation promises
            // "all elements contained in collection".
            Some("<all-in>") => {
                Self::ContainsAll(value.split_whitespace().map(normalise).collect())
            }
            Some("<or>") => Self::OneOf(alternatives(&value).map(normalise).collect()),
            Some(operator) => {
                return Err(ExpressionError::WrongOperator {
                    hint: hint.to_owned(),
                    operator,
                    usable: TEXT_OPERATORS,
                });
            }
        })
    }

    /// Whether a device with these values (not yet normalised; none where it has no such property)
    /// meets the condition.
    ///
    /// One value that meets it is enough, except for `s!=`, which all of them must meet: a disk
    /// that has the serial number under one of its names has it. For `<all-in>`, each element may
    /// be found in another value. A property that a device does not have is unequal to everything
    /// and meets nothing else; the reference takes it for the text `none` there, so that `<in> on`
    /// finds a disk without a vendor.
    pub(crate) fn holds<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> bool {
        let values: Vec<String> = values
            .into_iter()
            .map(normalise)
            .filter(|value| !value.is_empty())
            .collect();
        let any = |meets: &dyn Fn(&str) -> bool| values.iter().any(|value| meets(value));
        match self {
            Self::Equal(wanted) => any(&|value| value == wanted),
            Self::NotEqual(unwanted) => !any(&|value| value == unwanted),
            Self::Less(bound) => any(&|value| value < bound.as_str()),
            Self::LessOrEqual(bound) => any(&|value| value <= bound.as_str()),
            Self::Greater(bound) => any(&|value| value > bound.as_str()),
            Self::GreaterOrEqual(bound) => any(&|value| value >= bound.as_str()),
            Self::Contains(part) => any(&|value| value.contains(part)),
            Self::ContainsAll(parts) => parts.iter().all(|part| any(&|value| value.contains(part))),
            Self::OneOf(wanted) => any(&|value| wanted.iter().any(|wanted| value == wanted)),
        }
    }
}

impl NumberCondition {
    /// Read an expression for the hint of this name.
    pub(crate) fn parse(hint: &str, expression: &str) -> Result<Self, ExpressionError> {
        let (operator, value) = split(hint, expression)?;
        let one = || positive(hint, &value, expression);
        Ok(match operator {
            // `=` has meant "at least" since the first version of the grammar.
            Some("=" | ">=") => Self::GreaterOrEqual(one()?),
            None | Some("==") => Self::Equal(one()?),
            Some("!=") => Self::NotEqual(one()?),
            Some("<") => Self::Less(one()?),
            Some("<=") => Self::LessOrEqual(one()?),
            Some(">") => Self::Greater(one()?),
            // The reference accepts <or> here and then compares texts, which never match.
            Some("<or>") => Self::OneOf(
                alternatives(&value)
                    .map(|value| positive(hint, value, expression))
                    .collect::<Result<_, _>>()?,
            ),
            // The reference refuses it, though Ironic's documentation promises it for sizes, and
            // its conductor reads it like this.
            Some("<range-in>") => range(&value).ok_or_else(|| ExpressionError::NotARange {
                hint: hint.to_owned(),
                value: expression.to_owned(),
            })?,
            Some(operator) => {
                return Err(ExpressionError::WrongOperator {
                    hint: hint.to_owned(),
                    operator,
                    usable: NUMBER_OPERATORS,
                });
            }
        })
    }

    /// Whether a device with this value meets the condition.
    ///
    /// The value keeps its fraction, so a disk of 500 GB (465.76… GiB) is not equal to 465.
    pub(crate) fn holds(&self, value: f64) -> bool {
        // Hints are sizes in GiB: far below the 2^53 up to which an f64 is exact.
        let number = |wanted: &u64| *wanted as f64;
        match self {
            Self::Equal(wanted) => value == number(wanted),
            Self::NotEqual(unwanted) => value != number(unwanted),
            Self::Less(bound) => value < number(bound),
            Self::LessOrEqual(bound) => value <= number(bound),
            Self::Greater(bound) => value > number(bound),
            Self::GreaterOrEqual(bound) => value >= number(bound),
            Self::OneOf(wanted) => wanted.iter().any(|wanted| value == number(wanted)),
            Self::Within(low, high) => low.admits(value, f64::gt) && high.admits(value, f64::lt),
        }
    }
}

impl Bound {
    fn admits(self, value: f64, is_beyond: fn(&f64, &f64) -> bool) -> bool {
        is_beyond(&value, &self.value) || self.inclusive && value == self.value
    }
}

/// The words that oslo.utils takes for a truth value, case ignored.
pub(crate) fn parse_boolean(hint: &str, expression: &str) -> Result<bool, ExpressionError> {
    match expression.trim().to_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Ok(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Ok(false),
        _ => Err(ExpressionError::NotABoolean {
            hint: hint.to_owned(),
            value: expression.to_owned(),
        }),
    }
}

/// Trimmed, lower case and percent-encoded but for letters, digits and `_.-~/`.
///
/// The encoding decides the order for `s<` and its like, where a space is `%20`.
pub(crate) fn normalise(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.trim().to_lowercase().bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The operator, if the expression starts with one, and all that follows it, in lower case.
fn split(hint: &str, expression: &str) -> Result<(Option<&'static str>, String), ExpressionError> {
    let expression = expression.trim().to_lowercase();
    if expression.is_empty() {
        return Err(ExpressionError::Empty {
            hint: hint.to_owned(),
        });
    }
    let Some(operator) = leading_operator(&expression) else {
        return Ok((None, expression));
    };
    let value = expression[operator.len()..].trim();
    if value.is_empty() || leading_operator(value).is_some() {
        return Err(ExpressionError::NoValue {
            hint: hint.to_owned(),
            operator,
        });
    }
    if operator == "<or>" && alternatives(value).any(|value| leading_operator(value).is_some()) {
        return Err(ExpressionError::NoValue {
            hint: hint.to_owned(),
            operator,
        });
    }
    // The reference compares with the first value and forgets the others.
    if operator != "<or>" && value.contains(operator) {
        return Err(ExpressionError::Repeated {
            hint: hint.to_owned(),
            operator,
        });
    }
    Ok((Some(operator), value.to_owned()))
}

fn leading_operator(text: &str) -> Option<&'static str> {
    OPERATORS
        .into_iter()
        .find(|operator| text.starts_with(operator))
}

fn alternatives(value: &str) -> impl Iterator<Item = &str> {
    value
        .split("<or>")
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

/// The boundaries of a range: `[ 10 20 )`. They may have fractions, as sizes in GiB have.
fn range(value: &str) -> Option<NumberCondition> {
    let parts: Vec<&str> = value.split_whitespace().collect();
    let [opening, low, high, closing] = parts[..] else {
        return None;
    };
    let bound = |value: &str, inclusive| {
        let value = value.parse().ok().filter(|value: &f64| !value.is_nan())?;
        Some(Bound { value, inclusive })
    };
    let low = match opening {
        "[" => bound(low, true),
        "(" => bound(low, false),
        _ => None,
    }?;
    let high = match closing {
        "]" => bound(high, true),
        ")" => bound(high, false),
        _ => None,
    }?;
    (low.value <= high.value).then_some(NumberCondition::Within(low, high))
}

fn positive(hint: &str, value: &str, expression: &str) -> Result<u64, ExpressionError> {
    let number: i64 = value.parse().map_err(|_| ExpressionError::NotAnInteger {
        hint: hint.to_owned(),
        value: expression.to_owned(),
    })?;
    u64::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| ExpressionError::NotPositive {
            hint: hint.to_owned(),
            value: expression.to_owned(),
        })
}

#[cfg(test)]
mod tests;
