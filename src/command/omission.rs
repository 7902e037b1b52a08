//! What stands for the parts of a result that are too long to be kept.

use std::io;

use farrier_plugin::LARGE_STRING;
use serde_json::Value;

/// The result in no more than this many bytes of JSON, as far as an object's form allows: large
/// strings are left out, then the largest members. The form stays because the conductor takes
/// members of the last command's result, also after a restart of the agent.
pub(super) fn bounded(value: &Value, limit: usize) -> Value {
    let mut bounded = without_payloads(value);
    let mut length = length(&bounded);
    if length <= limit {
        return bounded;
    }
    let Value::Object(members) = &mut bounded else {
        return omitted(length);
    };
    let mut largest: Vec<_> = members
        .values_mut()
        .map(|item| (self::length(item), item))
        .collect();
    largest.sort_unstable_by_key(|(length, _)| std::cmp::Reverse(*length));
    for (of_item, item) in largest {
        *item = omitted(of_item);
        length -= of_item.saturating_sub(self::length(item));
        if length <= limit {
            return bounded;
        }
    }
    omitted(length)
}

fn omitted(length: usize) -> Value {
    Value::String(format!("<{length} bytes omitted>"))
}

/// Bytes of JSON that it takes.
pub(super) fn length(value: &Value) -> usize {
    let mut count = Count(0);
    // Counting cannot fail.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn without_payloads(value: &Value) -> Value {
    match value {
        Value::String(text) if text.len() > LARGE_STRING => omitted(text.len()),
        Value::Array(items) => items.iter().map(without_payloads).collect(),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, item)| (name.clone(), without_payloads(item)))
                .collect(),
        ),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_largest_members_go_first_and_the_form_stays() {
        let many: Vec<_> = (0..100_000).collect();
        let step = json!({"step": "collect", "interface": "deploy"});
        let result = json!({"clean_result": {"rows": many}, "clean_step": step});
        let length = length(&result["clean_result"]);
        assert_eq!(
            bounded(&result, 512),
            json!({"clean_result": format!("<{length} bytes omitted>"), "clean_step": step})
        );
        assert_eq!(bounded(&result, usize::MAX), result);
        assert_eq!(
            bounded(&json!("x".repeat(600)), 512),
            json!("<602 bytes omitted>")
        );
        let members: serde_json::Map<_, _> = (0..1000).map(|n| (n.to_string(), json!(n))).collect();
        assert!(bounded(&Value::Object(members), 512).is_string());
    }
}
