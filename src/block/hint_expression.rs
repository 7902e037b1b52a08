//! The expressions that root device hints are written in: an operator and its values
//! (contract/data-plane 2.3).
//!
//! The grammar is that of oslo.utils' specs matcher: an expression that starts with an operator
//! followed by a value is that comparison, anything else is a value to be equal to.

/// Why an expression cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpressionError {
    /// Nothing there.
    #[error("Root device hint \"{hint}\" expression is empty")]
    Empty {
        /// The hint's name.
        hint: String,
    },
    /// An operator and nothing to compare with.
    #[error("Root device hint \"{hint}\" has the operator {operator} but no value after it")]
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
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum NumberCondition {
    Equal(u64),
    NotEqual(u64),
    Less(u64),
    LessOrEqual(u64),
    Greater(u64),
    GreaterOrEqual(u64),
    OneOf(Vec<u64>),
}

const TEXT_OPERATORS: &str = "s==, s!=, s<, s<=, s>, s>=, <in>, <all-in>, <or>";
const NUMBER_OPERATORS: &str = "=, ==, !=, <, <=, >, >=, <or>";

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
            // The reference accepts <all-in> and then crashes on it. Its documentation promises
            // "all elements present".
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
    /// that has the serial number under one of its names has it. A property that a device does not
    /// have is unequal to everything and meets nothing else; the reference takes it for the text
    /// `none` there, so that `<in> on` finds a disk without a vendor.
    pub(crate) fn holds<'a>(&self, values: impl IntoIterator<Item = &'a str>) -> bool {
        let mut values = values.into_iter().map(normalise);
        if let Self::NotEqual(unwanted) = self {
            return values.all(|value| value != *unwanted);
        }
        values.any(|value| self.holds_for(&value))
    }

    fn holds_for(&self, value: &str) -> bool {
        match self {
            Self::Equal(wanted) => value == wanted,
            Self::NotEqual(unwanted) => value != unwanted,
            Self::Less(bound) => value < bound.as_str(),
            Self::LessOrEqual(bound) => value <= bound.as_str(),
            Self::Greater(bound) => value > bound.as_str(),
            Self::GreaterOrEqual(bound) => value >= bound.as_str(),
            Self::Contains(part) => value.contains(part),
            Self::ContainsAll(parts) => parts.iter().all(|part| value.contains(part)),
            Self::OneOf(wanted) => wanted.iter().any(|wanted| value == wanted),
        }
    }
}

impl NumberCondition {
    /// Read an expression for the hint of this name.
    pub(crate) fn parse(hint: &str, expression: &str) -> Result<Self, ExpressionError> {
        let (operator, value) = split(hint, expression)?;
        let one = || positive(hint, &value);
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
                    .map(|value| positive(hint, value))
                    .collect::<Result<_, _>>()?,
            ),
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
        }
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
    let is_word = operator.ends_with('>') && operator.len() > 2;
    if is_word && operator != "<or>" && value.contains(operator) {
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

fn positive(hint: &str, value: &str) -> Result<u64, ExpressionError> {
    let number: i64 = value.parse().map_err(|_| ExpressionError::NotAnInteger {
        hint: hint.to_owned(),
        value: value.to_owned(),
    })?;
    u64::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| ExpressionError::NotPositive {
            hint: hint.to_owned(),
            value: value.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(expression: &str, values: &[&str]) -> bool {
        TextCondition::parse("model", expression)
            .unwrap()
            .holds(values.iter().copied())
    }

    fn number(expression: &str, value: f64) -> bool {
        NumberCondition::parse("size", expression)
            .unwrap()
            .holds(value)
    }

    #[test]
    fn text_is_compared_without_case_and_outer_space() {
        assert!(text("Samsung SSD 970", &[" SAMSUNG ssd 970 "]));
        assert!(!text("Samsung", &["Samsung SSD"]));
        assert!(text("s== samsung ssd", &["Samsung SSD"]));
        assert!(text("s==samsung", &["Samsung"]));
        assert!(text("s!= toshiba", &["Samsung"]));
        assert!(!text("s!= samsung", &["Samsung"]));
        assert!(text("s< b", &["a"]));
        assert!(!text("s< b", &["b"]));
        assert!(text("s<= b", &["b"]));
        assert!(text("s> b", &["c"]));
        assert!(text("s>= b", &["b"]));
        assert!(text("<in> ssd 9", &["Samsung SSD 970"]));
        assert!(text("<or> a b <or> Samsung SSD <or> c", &["samsung ssd"]));
        assert!(!text("<or> a <or> b", &["a b"]));
        assert!(text("<all-in> 970 samsung", &["Samsung SSD 970"]));
        assert!(!text("<all-in> 980 samsung", &["Samsung SSD 970"]));
    }

    #[test]
    fn an_operator_that_is_not_first_is_part_of_the_value() {
        assert!(text("a <in> b", &["A <in> b"]));
        assert!(text("model=5", &["model=5"]));
    }

    #[test]
    fn a_missing_property_is_unequal_and_nothing_else() {
        assert!(text("s!= samsung", &[]));
        assert!(!text("none", &[]));
        assert!(!text("<in> on", &[]));
        assert!(!text("s>= a", &[]));
    }

    #[test]
    fn a_serial_number_is_excluded_under_any_of_its_names() {
        assert!(!text("s!= abc", &["abc", "ACME_abc"]));
        assert!(text("abc", &["ACME_abc", "abc"]));
    }

    #[test]
    fn numbers() {
        let disk = 500e9 / 1_073_741_824.0;
        assert!(!number("465", disk));
        assert!(number(">= 465", disk));
        assert!(number("= 465", disk));
        assert!(number("10", 10.0));
        assert!(number("== 10", 10.0));
        assert!(!number("!= 10", 10.0));
        assert!(number("< 11", 10.0));
        assert!(number("<=10", 10.0));
        assert!(number("> 9", 10.0));
        assert!(number("<or> 5 <or> 10", 10.0));
        assert!(!number("<or> 5 <or> 11", 10.0));
    }

    #[test]
    fn what_the_reference_crashes_on_is_refused_by_name() {
        let text = |expression| TextCondition::parse("model", expression).unwrap_err();
        let number = |expression| NumberCondition::parse("size", expression).unwrap_err();
        assert!(text("!= a").to_string().contains("s!="));
        assert!(
            text("<range-in> [ 1 2 ]")
                .to_string()
                .contains("<range-in>")
        );
        assert!(number("<in> 5").to_string().contains(">="));
        assert!(number("s== 5").to_string().contains("s=="));
        assert_eq!(
            text(" ").to_string(),
            "Root device hint \"model\" expression is empty"
        );
        assert!(matches!(text("s=="), ExpressionError::NoValue { .. }));
        assert!(matches!(
            text("<in> <in> a"),
            ExpressionError::NoValue { .. }
        ));
        assert!(matches!(
            text("<in> a <in> b"),
            ExpressionError::Repeated { .. }
        ));
        assert!(matches!(
            number("10.5"),
            ExpressionError::NotAnInteger { .. }
        ));
        assert!(matches!(
            number("ten"),
            ExpressionError::NotAnInteger { .. }
        ));
        assert!(matches!(number("0"), ExpressionError::NotPositive { .. }));
        assert!(matches!(
            number(">= -1"),
            ExpressionError::NotPositive { .. }
        ));
    }

    #[test]
    fn truth_values() {
        for (word, value) in [("True", true), ("on", true), ("0", false), ("NO", false)] {
            assert_eq!(parse_boolean("rotational", word), Ok(value));
        }
        assert!(parse_boolean("rotational", "maybe").is_err());
    }

    #[test]
    fn normal_form() {
        assert_eq!(normalise(" QEMU HARDDISK+é "), "qemu%20harddisk%2B%C3%A9");
        assert_eq!(normalise("/dev/disk_1.~-"), "/dev/disk_1.~-");
    }

    proptest! {
        #[test]
        fn any_expression_parses_or_is_refused(expression in ".{0,40}", value in ".{0,20}", size in 0.0f64..1e6) {
            if let Ok(condition) = TextCondition::parse("model", &expression) {
                condition.holds([value.as_str()]);
            }
            if let Ok(condition) = NumberCondition::parse("size", &expression) {
                condition.holds(size);
            }
        }

        #[test]
        fn operators_and_their_opposites(
            operator in prop_oneof![Just(("s==", "s!=")), Just(("s<", "s>=")), Just(("s>", "s<="))],
            wanted in "[a-zA-Z0-9 ]{0,8}[a-zA-Z0-9]", value in "[a-zA-Z0-9 ]{0,8}[a-zA-Z0-9]",
        ) {
            let one = text(&format!("{} {wanted}", operator.0), &[&value]);
            let other = text(&format!("{} {wanted}", operator.1), &[&value]);
            prop_assert!(one != other);
        }

        #[test]
        fn numeric_operators_and_their_opposites(
            operator in prop_oneof![Just(("==", "!=")), Just(("<", ">=")), Just((">", "<="))],
            wanted in 1u32..2000, value in 0u32..2000,
        ) {
            let one = number(&format!("{}{wanted}", operator.0), f64::from(value));
            let other = number(&format!("{} {wanted}", operator.1), f64::from(value));
            prop_assert!(one != other);
        }

        #[test]
        fn a_value_equals_itself(value in "[a-zA-Z0-9][ -~]{0,20}") {
            prop_assume!(leading_operator(&value.to_lowercase()).is_none());
            prop_assert!(text(&value, &[&value]));
            let expression = format!("s== {value}");
            prop_assert!(text(&expression, &[&value]));
        }
    }
}
