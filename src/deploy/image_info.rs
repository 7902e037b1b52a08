//! `image_info`, the conductor's description of an image (contract/data-plane 1.2, 1.3, 1.7).

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use farrier_plugin::StepArguments;
use serde_json::Value;

use super::error::DeployError;
use super::fields::Fields;
use crate::config::Options;
use crate::stream::{
    Algorithm, Checksum, Credentials, Format, ImageRequest, Location, Proxies, StreamError,
};

/// Credentials of the strategy `http_basic`.
const HTTP_BASIC: &str = "http_basic";

/// What the conductor says about an image, checked. Fields that are not here are not used by the
/// reference either, whatever they hold.
pub(super) struct ImageInfo {
    id: String,
    urls: Vec<Arc<str>>,
    node: Option<Arc<str>>,
    is_partition_image: bool,
    disk_format: Option<Arc<str>>,
    hash: Option<HashPair>,
    checksum: Option<Arc<str>>,
    authorization: Option<Arc<str>>,
    /// Its own user and password, where the image has the strategy `http_basic`.
    basic: Option<Basic>,
    proxies: Proxies,
    config_drive: Option<Arc<str>>,
}

/// The name of a digest's algorithm, and the digest or the URL of a file with it.
type HashPair = (Arc<str>, Arc<str>);

/// User and password as far as they are there.
struct Basic {
    user: Option<Arc<str>>,
    password: Option<Arc<str>>,
}

/// Check the description of an image, as the reference does before a command starts
/// (contract/data-plane 1.3), and the type of each field.
pub fn validate_image(arguments: &StepArguments, options: &Options) -> Result<(), DeployError> {
    ImageInfo::parse(arguments, options).map(drop)
}

impl ImageInfo {
    /// Take the step's arguments apart and check them as the reference does, with its texts.
    pub(super) fn parse(arguments: &StepArguments, options: &Options) -> Result<Self, DeployError> {
        let fields = Fields::of_image(arguments)?;
        let urls = fields.texts("urls")?;
        let id = match fields.value("id") {
            // Only a label here; the reference takes one as long as it makes no file name of it.
            Some(Value::Number(number)) => number.to_string().into(),
            _ => fields
                .text("id")?
                .ok_or_else(|| fields.wrong("id", "a string"))?,
        };
        let config_drive = match Fields::of_arguments(arguments).text("configdrive")? {
            Some(drive) => Some(drive),
            None => fields.text("configdrive")?,
        };
        let own_strategy = fields.word("image_server_auth_strategy");
        let basic = match own_strategy.as_deref() {
            Some(HTTP_BASIC) => Some(Basic {
                user: fields.text_or_number("image_server_user")?,
                password: fields.text_or_number("image_server_password")?,
            }),
            _ => None,
        };
        let info = Self {
            // The text after the last slash of the image's URL, so its query may be there too,
            // and with it a temporary URL's signature.
            id: id.split('?').next().unwrap_or_default().to_owned(),
            urls,
            node: fields.word("node_uuid"),
            is_partition_image: fields.word("image_type").as_deref() == Some("partition"),
            disk_format: fields.text_unless_empty("disk_format")?,
            hash: hash_pair(fields)?,
            checksum: non_empty(fields, "checksum")?,
            authorization: fields.text_unless_empty("image_request_authorization")?,
            basic,
            proxies: Proxies {
                by_scheme: fields.texts_by_name("proxies")?,
                no_proxy: fields
                    .text_unless_empty("no_proxy")?
                    .map(|hosts| hosts.to_string()),
            },
            config_drive,
        };
        info.check_checksums(options)?;
        Ok(info)
    }

    /// The id, without a query.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The node that the messages name.
    pub(super) fn node(&self) -> &str {
        self.node.as_deref().unwrap_or("local")
    }

    /// Whether it is the image of one partition.
    pub(super) fn is_partition_image(&self) -> bool {
        self.is_partition_image
    }

    /// The config drive as it was sent: a URL, or base64 of a compressed image. Empty is none.
    pub(super) fn config_drive(&self) -> Option<Arc<str>> {
        self.config_drive.clone().filter(|drive| !drive.is_empty())
    }

    /// What to stream where.
    pub(super) fn request(
        &self,
        options: &Options,
        device: &str,
    ) -> Result<ImageRequest, DeployError> {
        let locations = self
            .urls
            .iter()
            .map(|url| self.location(url))
            .collect::<Result<_, _>>()?;
        Ok(ImageRequest {
            id: self.id.clone(),
            locations,
            format: Format::declared(self.disk_format.as_deref()),
            permitted_formats: options.permitted_image_formats.clone(),
            inspect: !options.disable_deep_image_inspection,
            checksum: Some(self.checksum(options)?),
            credentials: self.credentials(options)?,
            proxies: self.proxies.clone(),
            what: format!("writing image {} to {device}", self.id),
            read_back: options.verify_written_image,
        })
    }

    fn location(&self, url: &str) -> Result<Location, DeployError> {
        Location::parse(url).map_err(|source| {
            StreamError::Download {
                image: self.id.clone(),
                source,
            }
            .into()
        })
    }

    fn check_checksums(&self, options: &Options) -> Result<(), DeployError> {
        // An MD5 has 32 digits; what is longer is a SHA-2.
        let usable =
            |checksum: &str| options.md5_enabled || is_url(checksum) || checksum.len() > 32;
        if self.hash.is_some() || self.checksum.as_deref().is_some_and(usable) {
            return Ok(());
        }
        Err(DeployError::Arguments(
            "Image checksum is not available, either the 'checksum' field or the 'os_hash_algo' \
             and 'os_hash_value' fields pair must be set for image verification."
                .to_owned(),
        ))
    }

    /// Which digest is expected. MD5 needs the option `md5_enabled` by whichever field it comes;
    /// the reference lets `os_hash_algo` get around that.
    fn checksum(&self, options: &Options) -> Result<Checksum, DeployError> {
        let named = self
            .hash
            .as_ref()
            .and_then(|(name, value)| Some((Algorithm::named(name)?, &**value)));
        let (algorithm, value) = match (named, self.checksum.as_deref()) {
            (Some((algorithm, value)), _) => (Some(algorithm), value),
            (None, Some(value)) => (None, value),
            _ => {
                return Err(DeployError::NoChecksum(format!(
                    "Unable to verify image {} with available checksums. Please make sure the \
                     specified 'os_hash_algo' (currently {}) is supported by this ramdisk, or \
                     provide a md5 checksum via the 'checksum' field",
                    self.id,
                    self.hash.as_ref().map_or("None", |(name, _)| &**name)
                )));
            }
        };
        if is_url(value) {
            return Ok(Checksum::File {
                location: self.location(value)?,
                algorithm,
                md5_allowed: options.md5_enabled,
            });
        }
        let unidentified = |why: &str| {
            DeployError::NoChecksum(format!(
                "Unable to proceed with image {} as the checksum indicator has been used but the \
                 algorithm could not be identified. Error: {why}",
                self.id
            ))
        };
        match algorithm.or_else(|| Algorithm::of_length(value.len())) {
            Some(Algorithm::Md5) if !options.md5_enabled => Err(unidentified(
                "MD5 support is disabled, and support will be removed in a 2024 version of Ironic.",
            )),
            Some(algorithm) => Ok(Checksum::Value {
                algorithm,
                digest: value.to_ascii_lowercase(),
            }),
            None => Err(unidentified(
                "Unable to identify checksum algorithm used, and a value is not specified in the \
                 os_hash_algo setting.",
            )),
        }
    }

    /// The credentials, in the contract's order: a whole header, then the image's own pair, then
    /// the agent's.
    fn credentials(&self, options: &Options) -> Result<Credentials, DeployError> {
        if let Some(encoded) = &self.authorization {
            return BASE64_STANDARD
                .decode(encoded.trim())
                .ok()
                .and_then(|value| String::from_utf8(value).ok())
                .map(Credentials::Authorization)
                .ok_or_else(|| {
                    DeployError::Arguments(
                        "Image 'image_request_authorization' must be base64 of text.".to_owned(),
                    )
                });
        }
        let (user, password) = if let Some(basic) = &self.basic {
            (basic.user.as_deref(), basic.password.as_deref())
        } else if options.image_server_auth_strategy == HTTP_BASIC {
            (
                options.image_server_user.as_deref(),
                options.image_server_password.as_deref(),
            )
        } else {
            return Ok(Credentials::None);
        };
        if let (Some(user), Some(password)) = (user, password) {
            return Ok(Credentials::Basic {
                user: user.to_owned(),
                password: password.to_owned(),
            });
        }
        let missing: Vec<&str> = [("user", user), ("password", password)]
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| *name)
            .collect();
        Err(StreamError::Download {
            image: self.id.clone(),
            source: crate::stream::DownloadError::Unusable {
                location: "Credentials".to_owned(),
                reason: format!(
                    "Missing ['{}'] fields from HTTP(S) basic auth config",
                    missing.join("', '")
                ),
            },
        }
        .into())
    }
}

/// Without the credentials, the URLs' queries and the config drive.
impl fmt::Debug for ImageInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageInfo")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

pub(super) fn is_url(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        text.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// The algorithm and its value. Either of the pair asks for both; the reference takes whatever is
/// false for Python in both for none.
fn hash_pair(fields: Fields<'_>) -> Result<Option<HashPair>, DeployError> {
    const PAIR: [&str; 2] = ["os_hash_algo", "os_hash_value"];
    if PAIR
        .iter()
        .all(|name| fields.value_unless_empty(name).is_none())
    {
        return Ok(None);
    }
    let half = |name: &str| {
        non_empty(fields, name)?.ok_or_else(|| fields.wrong(name, "a non-empty string"))
    };
    Ok(Some((half(PAIR[0])?, half(PAIR[1])?)))
}

fn non_empty(fields: Fields<'_>, name: &str) -> Result<Option<Arc<str>>, DeployError> {
    match fields.value(name) {
        None => Ok(None),
        Some(_) => match fields.text(name) {
            Ok(Some(text)) if !text.is_empty() => Ok(Some(text)),
            _ => Err(fields.wrong(name, "a non-empty string")),
        },
    }
}

#[cfg(test)]
mod tests {
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

    /// As recorded (transcripts/deploy-raw.jsonl).
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
        assert!(!info.is_partition_image());
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
            (with(short.clone()), unusable),
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
            let error = validate_image(&arguments, &Options::default()).unwrap_err();
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
            image_server_password: Some("pw".to_owned()),
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
}
