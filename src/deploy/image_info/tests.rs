use farrier_plugin::ErrorKind;
use serde_json::json;

use super::*;

const SHA512: &str = "06dda32d2a882df94200f2377b577ca736a24d830d93f25441944519559973531db824dce\
                      8a8000bbcafc43fce5a14ef8dcc884979f307317157211d94870ca8";

fn arguments(image_info: Value) -> StepArguments {
    let mut arguments = StepArguments::default();
    arguments.values.insert("image_info".to_owned(), image_info);
    arguments
}

/// As recorded (tests/fixtures/transcripts/deploy-raw.jsonl).
fn recorded() -> Value {
    json!({
        "id": "one.raw", "urls": ["http://10.77.0.1:8080/images/one.raw"],
        "disk_format": "raw", "container_format": null, "stream_raw_images": true,
        "os_hash_algo": "sha512", "os_hash_value": SHA512,
        "node_uuid": "70dce487-582e-5e56-a3ed-a1541ed73826", "configdrive": "H4sI"
    })
}

fn with(changes: Value) -> Value {
    let mut info = recorded();
    for (name, value) in changes.as_object().unwrap() {
        info[name] = value.clone();
    }
    info
}

fn request(info: Value, options: &Options) -> Result<ImageRequest, DeployError> {
    ImageInfo::parse(&arguments(info), options)?.request(options, "/dev/vda")
}

#[test]
fn the_recorded_request_is_understood() {
    let arguments = arguments(recorded());
    let options = Options::default();
    let info = ImageInfo::parse(&arguments, &options).unwrap();
    assert_eq!(info.node(), "70dce487-582e-5e56-a3ed-a1541ed73826");
    assert_eq!(info.config_drive().as_deref(), Some("H4sI"));
    assert_eq!(info.partitions(), None);
    let request = info.request(&options, "/dev/vda").unwrap();
    assert_eq!(request.id, "one.raw");
    assert_eq!(request.format, Format::Raw);
    assert_eq!(request.what, "writing image one.raw to /dev/vda");
    assert_eq!(
        request.locations[0].to_string(),
        "http://10.77.0.1:8080/images/one.raw"
    );
    assert_eq!(
        request.checksum,
        Some(Checksum::Value {
            algorithm: Algorithm::Sha512,
            digest: SHA512.to_owned()
        })
    );
}

#[test]
fn the_arguments_config_drive_wins() {
    let mut arguments = arguments(recorded());
    arguments
        .values
        .insert("configdrive".to_owned(), json!("http://x/y"));
    let info = ImageInfo::parse(&arguments, &Options::default()).unwrap();
    assert_eq!(info.config_drive().as_deref(), Some("http://x/y"));
    arguments
        .values
        .insert("configdrive".to_owned(), Value::Null);
    let info = ImageInfo::parse(&arguments, &Options::default()).unwrap();
    assert_eq!(info.config_drive().as_deref(), Some("H4sI"));
}

#[test]
fn what_is_wrong_is_said_in_the_references_words() {
    let no_checksum = json!({"os_hash_algo": null, "os_hash_value": null});
    let mut short = no_checksum.clone();
    short["checksum"] = json!("d41d8cd98f00b204e9800998ecf8427e");
    let unusable = "Image checksum is not available, either the 'checksum' field or the \
                    'os_hash_algo' and 'os_hash_value' fields pair must be set for image \
                    verification.";
    for (info, text) in [
        (json!({}), "Image is missing 'id' field."),
        (json!({"id": "a"}), "Image is missing 'urls' field."),
        (
            json!({"id": "a", "urls": "http://x"}),
            "Image 'urls' must be a list with at least one element.",
        ),
        (
            json!({"id": "a", "urls": []}),
            "Image 'urls' must be a list with at least one element.",
        ),
        (
            with(json!({"checksum": ""})),
            "Image 'checksum' must be a non-empty string.",
        ),
        (
            with(json!({"os_hash_algo": null})),
            "Image 'os_hash_algo' must be a non-empty string.",
        ),
        (
            with(json!({"os_hash_value": 7})),
            "Image 'os_hash_value' must be a non-empty string.",
        ),
        (with(no_checksum), unusable),
        (
            with(short.clone()),
            &format!("Image checksum is an MD5. {MD5_DISABLED}."),
        ),
    ] {
        let error = request(info, &Options::default()).unwrap_err();
        assert_eq!(error.to_string(), text);
        assert_eq!(error.kind(), ErrorKind::InvalidCommandParams);
    }
    let md5 = Options {
        md5_enabled: true,
        ..Options::default()
    };
    let checksum = request(with(short), &md5).unwrap().checksum;
    assert!(matches!(
        checksum,
        Some(Checksum::Value {
            algorithm: Algorithm::Md5,
            ..
        })
    ));
}

/// Values of every type but null.
fn one_of_each_type() -> [Value; 6] {
    let name = "\u{0}large-string:7";
    [
        json!("text"),
        json!(name),
        json!(5),
        json!(true),
        json!(["a"]),
        json!({"a": "b"}),
    ]
}

#[test]
fn a_field_of_another_type_is_an_error_by_its_name() {
    let basic = |user: Value, password: Value| {
        json!({"image_server_auth_strategy": "http_basic", "image_server_user": user,
               "image_server_password": password})
    };
    // What a field takes beside null, as the reference does: s(tring), n(umber), o(bject).
    for (name, takes) in [
        ("id", "sn"),
        ("urls", ""),
        ("urls.", "s"),
        ("disk_format", "s"),
        ("checksum", "s"),
        ("os_hash_algo", "s"),
        ("os_hash_value", "s"),
        ("image_server_user", "sn"),
        ("image_server_password", "sn"),
        ("image_request_authorization", "s"),
        ("proxies", "o"),
        ("proxies.https", "s"),
        ("no_proxy", "s"),
        ("configdrive", "s"),
    ] {
        for value in one_of_each_type() {
            let info = match name {
                "urls." => with(json!({"urls": ["http://x/y", value]})),
                "proxies.https" => with(json!({"proxies": {"https": value}})),
                "image_server_user" => with(basic(value.clone(), json!("pw"))),
                "image_server_password" => with(basic(json!("user"), value.clone())),
                "urls" if value.is_array() => continue,
                name => with(json!({ name: value })),
            };
            let kind = match &value {
                Value::String(_) => 's',
                Value::Number(_) => 'n',
                Value::Object(_) => 'o',
                _ => '-',
            };
            let outcome = ImageInfo::parse(&arguments(info.clone()), &Options::default());
            if takes.contains(kind) {
                outcome.unwrap_or_else(|error| panic!("{info}: {error}"));
                continue;
            }
            let error = outcome.map(drop).expect_err(&info.to_string());
            assert_eq!(error.kind(), ErrorKind::InvalidCommandParams, "{info}");
            let named = format!("Image '{}' must be ", name.trim_end_matches('.'));
            assert!(error.to_string().starts_with(&named), "{info}: {error}");
        }
    }
    // The reference compares these with one word or prints them, and does not read the rest.
    for name in [
        "container_format",
        "image_server_auth_strategy",
        "image_type",
        "node_uuid",
        "stream_raw_images",
    ] {
        for value in one_of_each_type() {
            let info = with(json!({ name: value }));
            ImageInfo::parse(&arguments(info), &Options::default()).unwrap();
        }
    }
}

#[test]
fn arguments_of_another_type_are_errors_by_their_names() {
    for value in [
        json!(5),
        json!(true),
        json!(["a"]),
        json!({}),
        json!([]),
        json!(0),
    ] {
        let mut arguments = arguments(recorded());
        arguments
            .values
            .insert("configdrive".to_owned(), value.clone());
        let error = ImageInfo::parse(&arguments, &Options::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "The argument 'configdrive' must be a string.",
            "{value}"
        );
        // The same in the description, which counts where the argument is null.
        let info = with(json!({ "configdrive": value }));
        let error = request(info, &Options::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Image 'configdrive' must be a string.",
            "{value}"
        );
    }
    for value in [json!(5), json!(true), json!(["a"]), json!("text")] {
        let error = request(value, &Options::default()).unwrap_err();
        let text = "The argument 'image_info' must be an object.";
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn what_python_takes_for_false_is_absent_where_the_reference_does_so() {
    for value in [json!(""), json!(0), json!(false), json!([]), json!({})] {
        let info = with(json!({
            "disk_format": value, "image_request_authorization": value, "no_proxy": value,
            "proxies": {"http": value}, "checksum": "ab".repeat(32), "os_hash_algo": value,
            "os_hash_value": value,
        }));
        let request = request(info, &Options::default()).unwrap();
        assert!(request.credentials == Credentials::None);
        assert_eq!(request.proxies, Proxies::default());
        assert_eq!(request.format, Format::declared(None));
        let basic = with(json!({
            "image_server_auth_strategy": "http_basic", "image_server_user": value,
            "image_server_password": 12345,
        }));
        let error = self::request(basic, &Options::default()).unwrap_err();
        let text = ManagerErrorText::of(error).0;
        assert!(text.contains("Missing ['user']"), "{text}");
    }
}

#[test]
fn checksums_that_cannot_be_used() {
    for (changes, text) in [
        (
            json!({"os_hash_algo": "sha3", "os_hash_value": "00"}),
            "Unable to verify image one.raw with available checksums.",
        ),
        (
            json!({"os_hash_algo": null, "os_hash_value": null, "checksum": "0".repeat(40)}),
            "Unable to identify checksum algorithm used",
        ),
        (
            json!({"os_hash_algo": "md5", "os_hash_value": "0".repeat(32)}),
            "MD5 support is disabled",
        ),
    ] {
        let error = request(with(changes), &Options::default()).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(error.kind(), ErrorKind::Rest);
    }
    let by_checksum = with(json!({
        "os_hash_algo": "sha3", "os_hash_value": "00", "checksum": "AB".repeat(32)
    }));
    assert_eq!(
        request(by_checksum, &Options::default()).unwrap().checksum,
        Some(Checksum::Value {
            algorithm: Algorithm::Sha256,
            digest: "ab".repeat(32)
        })
    );
}

#[test]
fn credentials_in_their_order() {
    let options = Options {
        image_server_auth_strategy: HTTP_BASIC.to_owned(),
        image_server_user: Some("agent".to_owned()),
        image_server_password: Some("pw".into()),
        ..Options::default()
    };
    let basic = |user: &str, password: &str| Credentials::Basic {
        user: user.to_owned(),
        password: password.to_owned(),
    };
    let own = json!({
        "image_server_auth_strategy": "http_basic", "image_server_user": "image",
        "image_server_password": "secret"
    });
    let mut header = own.clone();
    header["image_request_authorization"] = json!("QmVhcmVyIGV5Sg==");
    for (changes, options, expected) in [
        (json!({}), &Options::default(), Credentials::None),
        (json!({}), &options, basic("agent", "pw")),
        (own, &options, basic("image", "secret")),
        (
            header,
            &options,
            Credentials::Authorization("Bearer eyJ".to_owned()),
        ),
    ] {
        let request = request(with(changes), options).unwrap();
        assert!(request.credentials == expected);
        assert!(!format!("{request:?}").contains("secret"));
    }
    let incomplete = json!({
        "image_server_auth_strategy": "http_basic", "image_server_password": "secret"
    });
    let error = ManagerErrorText::of(request(with(incomplete), &options).unwrap_err());
    assert_eq!(
        error.0,
        "Download of image one.raw failed: Credentials: Missing ['user'] fields from HTTP(S) \
         basic auth config"
    );
}

struct ManagerErrorText(String);

impl ManagerErrorText {
    fn of(error: DeployError) -> Self {
        Self(farrier_plugin::ManagerError::from(error).chain())
    }
}

fn verdict(md5_enabled: bool, image: Value) -> Result<(), String> {
    let options = Options {
        md5_enabled,
        ..Options::default()
    };
    match ImageInfo::parse(&arguments(image), &options) {
        Ok(_) => Ok(()),
        Err(error) => Err(ManagerErrorText::of(error).0),
    }
}

#[test]
fn images_are_refused_with_the_texts_of_the_contract() {
    const NO_CHECKSUM: &str = "Image checksum is not available, either the 'checksum' field \
        or the 'os_hash_algo' and 'os_hash_value' fields pair must be set for image \
        verification.";
    let urls = json!(["http://192.0.2.1/i"]);
    for (image, text) in [
        (json!({"urls": urls}), "Image is missing 'id' field."),
        (json!({"id": "i"}), "Image is missing 'urls' field."),
        (
            json!({"id": "i", "urls": []}),
            "Image 'urls' must be a list with at least one element.",
        ),
        (
            json!({"id": "i", "urls": "http://192.0.2.1/i"}),
            "Image 'urls' must be a list with at least one element.",
        ),
        (
            json!({"id": "i", "urls": urls, "checksum": ""}),
            "Image 'checksum' must be a non-empty string.",
        ),
        (
            json!({"id": "i", "urls": urls, "checksum": 1}),
            "Image 'checksum' must be a non-empty string.",
        ),
        (
            json!({"id": "i", "urls": urls, "checksum": null}),
            NO_CHECKSUM,
        ),
        (
            json!({"id": "i", "urls": urls, "os_hash_algo": "sha512"}),
            "Image 'os_hash_value' must be a non-empty string.",
        ),
        (
            json!({"id": "i", "urls": urls, "os_hash_value": "12"}),
            "Image 'os_hash_algo' must be a non-empty string.",
        ),
        (
            json!({"id": "i", "urls": urls, "os_hash_algo": 1, "os_hash_value": "12"}),
            "Image 'os_hash_algo' must be a non-empty string.",
        ),
        (json!({"id": "i", "urls": urls}), NO_CHECKSUM),
        (
            json!({"id": "i", "urls": urls, "checksum": "d41d8cd98f00b204e9800998ecf8427e"}),
            &format!("Image checksum is an MD5. {MD5_DISABLED}."),
        ),
    ] {
        assert_eq!(
            verdict(false, image.clone()),
            Err(text.to_owned()),
            "{image}"
        );
    }
}

#[test]
fn images_with_a_usable_checksum_are_taken() {
    let image = |name: &str, checksum: &str| json!({"id": "i", "urls": ["http://192.0.2.1/i"], name: checksum});
    assert_eq!(verdict(false, image("checksum", &"a".repeat(64))), Ok(()));
    assert_eq!(
        verdict(false, image("checksum", "https://192.0.2.1/SHA256SUMS")),
        Ok(())
    );
    assert_eq!(verdict(true, image("checksum", &"a".repeat(32))), Ok(()));
    let mut pair = image("os_hash_algo", "sha512");
    pair["os_hash_value"] = json!("ab");
    assert_eq!(verdict(false, pair), Ok(()));
}

#[test]
fn an_id_with_a_query_loses_it() {
    let info = with(json!({"id": "one.raw?temp_url_sig=secret"}));
    assert_eq!(request(info, &Options::default()).unwrap().id, "one.raw");
}

#[test]
fn proxies_are_taken_over() {
    let info = with(json!({
        "proxies": {"https": "http://proxy.example:3128"}, "no_proxy": ".example,10.0.0.5"
    }));
    let proxies = request(info, &Options::default()).unwrap().proxies;
    assert_eq!(
        proxies,
        Proxies {
            by_scheme: vec![("https".to_owned(), "http://proxy.example:3128".to_owned())],
            no_proxy: Some(".example,10.0.0.5".to_owned())
        }
    );
}

#[test]
fn the_partitions_around_an_image_are_read_by_type() {
    let options = Options::default();
    let parse = |changes: Value| {
        let mut info = recorded();
        info["image_type"] = json!("partition");
        info["root_mb"] = json!(10240);
        for (name, value) in changes.as_object().unwrap() {
            info[name] = value.clone();
        }
        ImageInfo::parse(&arguments(info), &options)
    };
    // As the conductor sends it, with what nobody reads.
    let info = parse(json!({
        "root_gb": 10, "root_mb": 10240, "swap_mb": 512, "ephemeral_mb": 2048.0,
        "ephemeral_format": "xfs", "preserve_ephemeral": true, "deploy_boot_mode": "uefi",
        "boot_option": "local", "disk_label": "gpt", "kernel": null, "ramdisk": null
    }));
    assert_eq!(
        info.unwrap().partitions(),
        Some(&PartitionWishes {
            root_mib: 10240,
            swap_mib: 512,
            ephemeral_mib: 2048,
            ephemeral_format: "xfs".to_owned(),
            preserve_ephemeral: true,
            names_esp: true,
        })
    );
    let info = parse(json!({"ephemeral_format": null})).unwrap();
    let wishes = info.partitions().unwrap();
    assert_eq!((wishes.swap_mib, wishes.ephemeral_mib), (0, 0));
    assert_eq!(wishes.ephemeral_format, "ext4");
    assert!(!wishes.preserve_ephemeral && !wishes.names_esp);
    for (changes, expected) in [
        (
            json!({"root_mb": null}),
            "Image is missing 'root_mb' field.",
        ),
        (
            json!({"root_mb": 0}),
            "Image 'root_mb' must be a whole number greater than 0.",
        ),
        (
            json!({"root_mb": "10240"}),
            "Image 'root_mb' must be a whole number that is not negative.",
        ),
        (
            json!({"swap_mb": -1}),
            "Image 'swap_mb' must be a whole number that is not negative.",
        ),
        (
            json!({"ephemeral_mb": 0.5}),
            "Image 'ephemeral_mb' must be a whole number that is not negative.",
        ),
        (
            json!({"preserve_ephemeral": "no"}),
            "Image 'preserve_ephemeral' must be true or false.",
        ),
        (
            json!({"ephemeral_format": "../ext4"}),
            "Image 'ephemeral_format' must be the name of a file system, such as ext4.",
        ),
    ] {
        let error = parse(changes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidCommandParams);
        assert_eq!(error.to_string(), expected);
    }
}
