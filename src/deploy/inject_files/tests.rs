//! On loop devices, which need root.

use std::path::Path;

use farrier_plugin::{SilentContext, chain};
use serde_json::json;

use super::*;

fn arguments(files: Value) -> StepArguments {
    let mut arguments = StepArguments::default();
    arguments.values.insert("files".to_owned(), files);
    arguments
}

fn refused(files: Value) -> String {
    match Files::parse(&Node::default(), &[], &arguments(files)) {
        Err(DeployError::Arguments(why)) => why,
        Err(error) => panic!("{error}"),
        Ok(Files(items)) => panic!("taken: {items:?}"),
    }
}

#[test]
fn what_is_wrong_with_files_is_said_in_the_references_words_and_without_content() {
    for (file, expected) in [
        (
            json!({"content": "cGxhbnRlZA=="}),
            r#"expected a path in {"content":"***"}"#,
        ),
        (
            json!({"path": "/motd", "content": "cGxhbnRlZA=="}),
            r#"{"content":"***","path":"/motd"} in root directory requires "partition""#,
        ),
        (
            json!({"path": "/etc/../motd", "content": "cGxhbnRlZA=="}),
            r#"{"content":"***","path":"/etc/../motd"} in root directory requires "partition""#,
        ),
        (
            json!({"path": "/etc/", "content": "cGxhbnRlZA=="}),
            r#"directories not supported for {"content":"***","path":"/etc/"}"#,
        ),
        (
            json!({"path": "/../..", "content": "cGxhbnRlZA==", "partition": 1}),
            r#"path must name a file in {"content":"***","partition":1,"path":"/../.."}"#,
        ),
        (
            json!({"path": "/etc/a", "content": "cGxhbnRlZA==", "deleted": true}),
            r#"content cannot be used with deleted in {"content":"***","deleted":true,"path":"/etc/a"}"#,
        ),
        (
            json!({"path": "/etc/a", "contents": "planted", "deleted": true}),
            r#"unexpected fields in {"contents":"***","deleted":true,"path":"/etc/a"}: contents"#,
        ),
        (
            json!({"path": "/etc/a", "content": "", "mode": "0644"}),
            r#"mode must be a number in {"content":"***","mode":"0644","path":"/etc/a"}"#,
        ),
        (
            json!({"path": "/etc/a", "content": "", "owner": true}),
            r#"owner must be a number in {"content":"***","owner":true,"path":"/etc/a"}"#,
        ),
        (
            json!({"path": "/etc/a", "content": "", "group": 1.0}),
            r#"group must be a number in {"content":"***","group":1.0,"path":"/etc/a"}"#,
        ),
        (
            json!({"path": "/etc/a", "content": "", "dirmode": null}),
            r#"dirmode must be a number in {"content":"***","dirmode":null,"path":"/etc/a"}"#,
        ),
        (
            json!({"path": "/etc/a", "content": "", "mode": 4096}),
            r#"mode must be a number from 0 to 4095 in {"content":"***","mode":4096,"path":"/etc/a"}"#,
        ),
        (
            json!({"path": "/etc/a"}),
            r#"expected content or deleted in {"path":"/etc/a"}"#,
        ),
        (
            json!({"path": "/etc/a", "content": "====planted"}),
            r#"content is neither base64 nor an address in {"content":"***","path":"/etc/a"}"#,
        ),
        (
            json!({"path": "/etc/a", "content": "file:///etc/planted"}),
            r#"content is no usable address in {"content":"***","path":"/etc/a"}: it begins neither with http: nor with https:"#,
        ),
        (
            json!({"path": "/etc/a", "content": r#"{"at": "http://h", "word": "planted"}"#}),
            r#"content is no usable address in {"content":"***","path":"/etc/a"}: it begins neither with http: nor with https:"#,
        ),
        (
            json!({"path": "/etc/a", "content": r#"http://h/{"word": "planted"}"#}),
            r#"content is no usable address in {"content":"***","path":"/etc/a"}: the field {***} is not like {node[name]} or {ports[0][name]}"#,
        ),
        (
            json!({"path": "/etc/a", "content": "http://h/{node[name]}"}),
            r#"content is no usable address in {"content":"***","path":"/etc/a"}: the field {node[name]} names nothing that there is"#,
        ),
        (
            json!({"path": "/etc/a", "content": "", "partition": "0"}),
            r#"partition must be a number from 1 on or the path of a device in {"content":"***","partition":"0","path":"/etc/a"}"#,
        ),
        (
            json!({"path": "/etc/a", "content": "", "partition": "/dev/../etc"}),
            r#"partition must be a number from 1 on or the path of a device in {"content":"***","partition":"/dev/../etc","path":"/etc/a"}"#,
        ),
        (json!("planted"), "a file to inject must be an object"),
    ] {
        assert_eq!(
            refused(json!([file])),
            format!("Validation of files failed: {expected}")
        );
    }
    let both = refused(json!([{"content": ""}, {"path": "/a/"}]));
    assert!(both.contains("; directories"), "{both}");
    assert_eq!(
        refused(json!({"path": "/a"})),
        "The `files` argument must be a list"
    );
}

#[test]
fn files_of_the_node_come_first() {
    let node: Node = serde_json::from_value(json!({
        "uuid": "1be2",
        "properties": {"inject_files": [
            {"path": "etc//x/./a", "content": "http://h/{node[uuid]}?sig=planted", "mode": 384, "owner": -1},
        ]},
    }))
    .unwrap();
    let files = json!([{"path": "/b", "partition": " 2 ", "deleted": true}]);
    let Files(items) = Files::parse(&node, &[], &arguments(files)).unwrap();
    let [first, second] = &items[..] else {
        panic!("{items:?}")
    };
    assert_eq!(first.path, Path::new("etc/x/a"));
    let Change::Write(Content::Address(location), attributes) = &first.change else {
        panic!("{first:?}")
    };
    assert_eq!(location.to_string(), "http://h/1be2");
    assert_eq!((attributes.mode, attributes.owner), (Some(0o600), None));
    assert_eq!(second.partition, Some(Partition::Number(2)));
    assert!(!format!("{items:?}").contains("planted"));
    let none = Files::parse(&Node::default(), &[], &arguments(Value::Null)).unwrap();
    assert!(none.is_empty());
    assert!(verifies(&StepArguments::default()).unwrap());
}

#[test]
fn a_device_that_holds_no_system_is_an_error_that_says_what_was_looked_at() {
    let Files(items) = Files::parse(
        &Node::default(),
        &[],
        &arguments(
            json!([{"path": "/etc/a", "content": "aGk=", "partition": "/dev/farrier-none"}]),
        ),
    )
    .unwrap();
    let device = BlockDevice::default();
    let error =
        inject_files(&SilentContext, &device, &Files(items), &Options::default()).unwrap_err();
    assert!(
        chain(&error)
            .starts_with("Failed to process file /etc/a: Could not open /dev/farrier-none"),
        "{}",
        chain(&error)
    );
}
