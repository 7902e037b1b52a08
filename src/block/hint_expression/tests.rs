//! Tests of the expressions that root device hints are written in.

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
        "Root device hint model expression is empty"
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
fn a_range_has_its_boundaries_or_not() {
    assert!(number("<range-in> [ 10 100 ]", 10.0));
    assert!(number("<range-in> [ 10 100 ]", 100.0));
    assert!(!number("<range-in> ( 10 100 )", 10.0));
    assert!(!number("<range-in> ( 10 100 )", 100.0));
    assert!(number("<range-in> [ 10 100 )", 10.0));
    assert!(number("<range-in> ( 10 100 ]", 100.0));
    assert!(number(
        "<range-in> ( 465.6 465.7 )",
        500e9 / 1_073_741_824.0
    ));
    assert!(!number("<range-in> ( 10 100 )", 101.0));
    assert!(number("<range-in> [ 10 inf ]", 1e6));
    for range in [
        "[ 100 10 ]",
        "10 100",
        "[10 100]",
        "( 10 100 }",
        "] 10 100 [",
        "[ 10 nan ]",
        "[ 10 100 ] 5",
    ] {
        let refused = NumberCondition::parse("size", &format!("<range-in> {range}"));
        assert!(
            matches!(refused, Err(ExpressionError::NotARange { .. })),
            "{range}"
        );
    }
}

#[test]
fn the_elements_of_a_collection_may_be_in_different_names() {
    assert!(text("<all-in> abc acme", &["abc", "ACME_xyz"]));
    assert!(!text("<all-in> abc acme", &["abc"]));
    assert!(!text("<all-in> abc", &[]));
}

#[test]
fn an_empty_property_is_a_missing_one() {
    assert!(text("s!= samsung", &[" "]));
    assert!(!text("s< samsung", &[""]));
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

/// A value that says the same in and out of an expression.
const WORD: &str = "[a-zA-Z0-9_.%é-]{1,6}( [a-zA-Z0-9_.%é-]{1,6}){0,2}";

/// An operator for text and what it makes of a value.
fn any_text_operator() -> impl Strategy<Value = (&'static str, fn(String) -> TextCondition)> {
    let operator = |written, made: fn(String) -> TextCondition| Just((written, made));
    prop_oneof![
        operator("s==", TextCondition::Equal),
        operator("s!=", TextCondition::NotEqual),
        operator("s<", TextCondition::Less),
        operator("s<=", TextCondition::LessOrEqual),
        operator("s>", TextCondition::Greater),
        operator("s>=", TextCondition::GreaterOrEqual),
        operator("<in>", TextCondition::Contains),
    ]
}

/// An operator for numbers, what it makes of one, and what it means.
type NumberOperator = (
    &'static str,
    fn(u64) -> NumberCondition,
    fn(&u128, &u128) -> bool,
);

fn any_number_operator() -> impl Strategy<Value = NumberOperator> {
    let operator = |written, made: fn(u64) -> NumberCondition, means: fn(&u128, &u128) -> bool| {
        Just((written, made, means))
    };
    prop_oneof![
        operator("", NumberCondition::Equal, u128::eq),
        operator("==", NumberCondition::Equal, u128::eq),
        operator("!=", NumberCondition::NotEqual, u128::ne),
        operator("<", NumberCondition::Less, u128::lt),
        operator("<=", NumberCondition::LessOrEqual, u128::le),
        operator(">", NumberCondition::Greater, u128::gt),
        operator(">=", NumberCondition::GreaterOrEqual, u128::ge),
        operator("=", NumberCondition::GreaterOrEqual, u128::ge),
    ]
}

proptest! {
    #[test]
    fn any_expression_parses_or_is_refused(
        operator in proptest::sample::select(&OPERATORS[..]),
        expression in ".{0,30}",
        value in ".{0,20}",
        size in 0.0f64..1e6,
    ) {
        for expression in [expression.clone(), format!("{operator}{expression}")] {
            if let Ok(condition) = TextCondition::parse("model", &expression) {
                condition.holds([value.as_str()]);
            }
            if let Ok(condition) = NumberCondition::parse("size", &expression) {
                condition.holds(size);
            }
        }
    }

    #[test]
    fn a_written_condition_on_text_is_read(
        (operator, made) in any_text_operator(), space in "[ \t]{0,2}", value in WORD,
    ) {
        prop_assert_eq!(
            TextCondition::parse("model", &format!("{space}{operator}{space}{value}{space}")),
            Ok(made(normalise(&value)))
        );
    }

    #[test]
    fn a_written_condition_on_numbers_is_read(
        (operator, made, _) in any_number_operator(), space in " {0,2}", value in 1u64..=1 << 53,
    ) {
        prop_assert_eq!(
            NumberCondition::parse("size", &format!("{space}{operator}{space}{value}{space}")),
            Ok(made(value))
        );
    }

    #[test]
    fn alternatives_are_read_and_mean_any(
        wanted in proptest::collection::vec(WORD, 1..5), value in WORD,
    ) {
        let written: String = wanted.iter().map(|value| format!("<or> {value} ")).collect();
        let condition = TextCondition::parse("model", &written).unwrap();
        prop_assert_eq!(
            &condition,
            &TextCondition::OneOf(wanted.iter().map(|value| normalise(value)).collect())
        );
        for value in wanted.iter().chain([&value]) {
            let any = wanted.iter().any(|wanted| text(&format!("s== {wanted}"), &[value]));
            prop_assert_eq!(condition.holds([value.as_str()]), any);
        }
    }

    #[test]
    fn equality_ignores_case_and_outer_space(value in WORD, space in "[ \t]{0,2}") {
        for written in [value.to_uppercase(), value.to_lowercase(), value.clone()] {
            let other = format!("{space}{}{space}", value.to_uppercase());
            prop_assert!(text(&written, &[&other]));
            let expression = format!("s=={space}{written}");
            prop_assert!(text(&expression, &[&other]));
        }
    }

    #[test]
    fn unequal_is_not_equal(
        wanted in "[a-c]{1,2}", names in proptest::collection::vec("[a-cA-C]{1,2}", 0..4),
    ) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let equal = text(&format!("s== {wanted}"), &names);
        prop_assert_eq!(text(&format!("s!= {wanted}"), &names), !equal);
    }

    #[test]
    fn an_order_of_texts_has_an_opposite(
        operator in prop_oneof![Just(("s<", "s>=")), Just(("s>", "s<="))],
        wanted in WORD, value in WORD,
    ) {
        let one = text(&format!("{} {wanted}", operator.0), &[&value]);
        let other = text(&format!("{} {wanted}", operator.1), &[&value]);
        prop_assert!(one != other);
    }

    #[test]
    fn numbers_compare_as_bytes_do(
        (operator, _, means) in any_number_operator(),
        wanted in 1u64..100_000, near in -2i64..=2, sectors in -2i64..=2,
    ) {
        let bytes = ((wanted as i64 + near) << 30) + sectors * 512;
        prop_assume!(bytes >= 0);
        let size = bytes as f64 / f64::from(1 << 30);
        prop_assert_eq!(
            number(&format!("{operator} {wanted}"), size),
            means(&(bytes as u128), &(u128::from(wanted) << 30))
        );
    }

    #[test]
    fn a_range_is_two_comparisons(
        low in 0u32..100, length in 0u32..100, value in 0u32..200,
        from in any::<bool>(), to in any::<bool>(),
    ) {
        let high = low + length;
        let (opening, closing) = (if from { "[" } else { "(" }, if to { "]" } else { ")" });
        let above = if from { value >= low } else { value > low };
        let below = if to { value <= high } else { value < high };
        prop_assert_eq!(
            number(&format!("<range-in> {opening} {low} {high} {closing}"), f64::from(value)),
            above && below
        );
    }
}
