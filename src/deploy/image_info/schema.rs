//! What `image_info` is, as JSON Schema: for docs/openapi.json. It tells what to send. Odd things that are taken too, as the
//! reference takes them, are not in it.

use serde_json::{Value, json};

/// The schema of `image_info`. What it calls valid is taken, as [`super::ImageInfo::parse`] reads it with the options as they
/// are by default.
pub(crate) fn image_info() -> Value {
    let text = || json!({"type": ["string", "null"]});
    let digest = || json!({"type": "string", "pattern": "^([0-9a-f]{64}|[0-9a-f]{128})$"});
    let mebibytes =
        |least: u64| json!({"type": "integer", "minimum": least, "maximum": 1_u64 << 40});
    let common = json!({
        "id": {"type": "string", "description": "The image's name in messages."},
        "urls": {
            "description": "Where the image is: tried in this order.",
            "type": "array", "minItems": 1, "items": {"type": "string", "format": "uri"},
        },
        "checksum": {
            "description": "Its SHA-256 or SHA-512, or the URL of a file of such.",
            "anyOf": [digest(), {"type": "string", "pattern": "^https?://.+$"}],
        },
        "os_hash_algo": {"enum": ["sha256", "sha512"]},
        "os_hash_value": digest(),
        "disk_format": {
            "description": "What the image is said to be; where it is none of these, what it is found to be.",
            "enum": ["raw", "qcow2", "iso", null],
        },
        "node_uuid": text(),
        "configdrive": {
            "description": "Of the image's config drive: a URL, or base64 of a compressed image. One among the arguments wins.",
            "type": ["string", "null"],
        },
        "image_request_authorization": {
            "description": "The header Authorization of its download, in base64.",
            "type": ["string", "null"],
        },
        "image_server_auth_strategy": {"enum": ["http_basic", null]},
        "image_server_user": text(),
        "image_server_password": text(),
        "proxies": {
            "description": "By the scheme of a URL.",
            "type": ["object", "null"], "additionalProperties": text(),
        },
        "no_proxy": text(),
    });
    let partitions = json!({
        "image_type": {"const": "partition"},
        "root_mb": mebibytes(1),
        "swap_mb": mebibytes(0),
        "ephemeral_mb": mebibytes(0),
        "ephemeral_format": {"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,15}$"},
        "preserve_ephemeral": {"type": "boolean"},
        "deploy_boot_mode": {"enum": ["bios", "uefi"]},
    });
    let image = |more: Value, required: &[&str]| {
        let mut properties = common.clone();
        properties
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let required = [&["id", "urls"], required].concat();
        json!({
            "type": "object", "properties": properties, "required": required,
            "dependentRequired": {"os_hash_algo": ["os_hash_value"], "os_hash_value": ["os_hash_algo"]},
        })
    };
    let whole = json!({"image_type": {"const": "whole-disk"}});
    let pair = ["os_hash_algo", "os_hash_value"];
    json!({
        "description": "An image and how to get and verify it. Members that are not named here are not read.",
        "anyOf": [
            image(whole.clone(), &["checksum"]),
            image(whole, &pair),
            image(partitions.clone(), &["checksum", "image_type", "root_mb"]),
            image(partitions, &[&pair[..], &["image_type", "root_mb"]].concat()),
        ],
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use farrier_plugin::StepArguments;
    use serde_json::Map;

    use super::*;
    use crate::config::Options;
    use crate::deploy::ImageInfo;
    use crate::sys::json_schema::JsonSchemas;

    fn is_parsed(info: &Value) -> bool {
        let arguments = StepArguments {
            values: Map::from_iter([("image_info".to_owned(), info.clone())]),
            large: Arc::default(),
        };
        ImageInfo::parse(&arguments, &Options::default()).is_ok()
    }

    /// Every field with every kind of value, each in an image that is right otherwise.
    #[test]
    fn what_the_schema_calls_valid_is_parsed() {
        let schemas = JsonSchemas(image_info());
        let is_valid = |info: &Value| schemas.check(&schemas.0, info, "").is_ok();
        let digest = "a".repeat(64);
        let whole = json!({"id": "i", "urls": ["http://192.0.2.1/i"], "checksum": digest});
        let mut partition = whole.clone();
        partition["image_type"] = json!("partition");
        partition["root_mb"] = json!(1);
        let values = [
            json!(null),
            json!(true),
            json!(0),
            json!(1),
            json!(-1),
            json!(1.5),
            json!(u64::MAX),
            json!(""),
            json!("text"),
            json!(digest),
            json!("http://192.0.2.1/i"),
            json!("ext4"),
            json!("uefi"),
            json!("whole-disk"),
            json!("partition"),
            json!("http_basic"),
            json!([]),
            json!(["text"]),
            json!([1]),
            json!({}),
            json!({"http": "text"}),
            json!({"http": null}),
            json!({"http": 1}),
        ];
        let (mut valid, mut invalid) = (0, 0);
        for image in [whole, partition] {
            assert!(is_valid(&image) && is_parsed(&image));
            let fields = schemas.0["anyOf"][2]["properties"].as_object().unwrap();
            for field in fields.keys() {
                for value in &values {
                    let mut changed = image.clone();
                    changed[field] = value.clone();
                    if field == "os_hash_algo" {
                        changed["os_hash_value"] = json!(digest);
                    }
                    match is_valid(&changed) {
                        true => assert!(is_parsed(&changed), "{changed}"),
                        false => invalid += usize::from(!is_parsed(&changed)),
                    }
                    valid += usize::from(is_valid(&changed));
                }
                let mut without = image.clone();
                without.as_object_mut().unwrap().remove(field);
                assert!(!is_valid(&without) || is_parsed(&without), "{without}");
            }
        }
        // It says something: many are taken, and many that it refuses are refused.
        assert!(valid > 100 && invalid > 100, "{valid} {invalid}");
    }
}
