//! `image_info`, the conductor's description of an image (contract/data-plane 1.2, 1.3, 1.7).

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use farrier_plugin::StepArguments;
use serde_json::{Map, Value};

use super::error::DeployError;
use crate::config::{Options, Secret};
use crate::stream::{
    Algorithm, Checksum, Credentials, Format, ImageRequest, Location, Proxies, StreamError,
};

/// Credentials of the strategy `http_basic`.
const HTTP_BASIC: &str = "http_basic";

/// What the conductor says about an image, checked.
pub(super) struct ImageInfo<'a> {
    fields: &'a Map<String, Value>,
    id: String,
    urls: Vec<&'a str>,
    config_drive: Option<Arc<str>>,
}

impl<'a> ImageInfo<'a> {
    /// Take the step's arguments apart and check them as the reference does, with its texts.
    pub(super) fn parse(
        arguments: &'a StepArguments,
        options: &Options,
    ) -> Result<Self, DeployError> {
        let fields = match arguments.values.get("image_info") {
            Some(Value::Object(fields)) => fields,
            _ => return Err(invalid("Image is missing 'id' field.")),
        };
        for field in ["id", "urls"] {
            if !fields.contains_key(field) {
                return Err(invalid(format!("Image is missing '{field}' field.")));
            }
        }
        let urls: Vec<&str> = match fields.get("urls") {
            Some(Value::Array(urls)) => urls.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if urls.is_empty() {
            return Err(invalid(
                "Image 'urls' must be a list with at least one element.",
            ));
        }
        let id = fields
            .get("id")
            .and_then(Value::as_str)
            .ok_or_else(|| invalid("Image is missing 'id' field."))?;
        let info = Self {
            fields,
            // The text after the last slash of the image's URL, so its query may be there too,
            // and with it a temporary URL's signature.
            id: id.split('?').next().unwrap_or_default().to_owned(),
            urls,
            config_drive: arguments
                .text("configdrive")
                .or_else(|| arguments.large.resolve(fields.get("configdrive")?)),
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
        self.text("node_uuid").unwrap_or("local")
    }

    /// Whether it is the image of one partition.
    pub(super) fn is_partition_image(&self) -> bool {
        self.text("image_type") == Some("partition")
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
            format: Format::declared(self.text("disk_format")),
            permitted_formats: options.permitted_image_formats.clone(),
            inspect: !options.disable_deep_image_inspection,
            checksum: Some(self.checksum(options)?),
            credentials: self.credentials(options)?,
            proxies: self.proxies(),
            what: format!("writing image {} to {device}", self.id),
            read_back: options.verify_written_image,
        })
    }

    fn text(&self, field: &str) -> Option<&'a str> {
        self.fields.get(field).and_then(Value::as_str)
    }

    fn is_null(&self, field: &str) -> bool {
        self.fields.get(field).is_none_or(Value::is_null)
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
        let non_empty = |field: &str| {
            self.text(field)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| invalid(format!("Image '{field}' must be a non-empty string.")))
        };
        let mut available = false;
        if !self.is_null("checksum") {
            let checksum = non_empty("checksum")?;
            available = options.md5_enabled || is_url(checksum) || checksum.len() > 32;
        }
        if !self.is_null("os_hash_algo") || !self.is_null("os_hash_value") {
            non_empty("os_hash_algo")?;
            non_empty("os_hash_value")?;
            available = true;
        }
        if available {
            return Ok(());
        }
        Err(invalid(
            "Image checksum is not available, either the 'checksum' field or the 'os_hash_algo' \
             and 'os_hash_value' fields pair must be set for image verification.",
        ))
    }

    /// Which digest is expected. MD5 needs the option `md5_enabled` by whichever field it comes;
    /// the reference lets `os_hash_algo` get around that.
    fn checksum(&self, options: &Options) -> Result<Checksum, DeployError> {
        let named = self.text("os_hash_algo").and_then(Algorithm::named);
        let (algorithm, value) = match (named, self.text("os_hash_value"), self.text("checksum")) {
            (Some(algorithm), Some(value), _) => (Some(algorithm), value),
            (_, _, Some(value)) => (None, value),
            _ => {
                return Err(DeployError::NoChecksum(format!(
                    "Unable to verify image {} with available checksums. Please make sure the \
                     specified 'os_hash_algo' (currently {}) is supported by this ramdisk, or \
                     provide a md5 checksum via the 'checksum' field",
                    self.id,
                    self.text("os_hash_algo").unwrap_or("None")
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
        if let Some(encoded) = self.text("image_request_authorization") {
            return BASE64_STANDARD
                .decode(encoded.trim())
                .ok()
                .and_then(|value| String::from_utf8(value).ok())
                .map(Credentials::Authorization)
                .ok_or_else(|| {
                    invalid("Image 'image_request_authorization' must be base64 of text.")
                });
        }
        let own = self.text("image_server_auth_strategy") == Some(HTTP_BASIC);
        let (user, password) = if own {
            (
                self.text("image_server_user"),
                self.text("image_server_password"),
            )
        } else if options.image_server_auth_strategy == HTTP_BASIC {
            (
                options.image_server_user.as_deref(),
                options.image_server_password.as_ref().map(Secret::reveal),
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

    fn proxies(&self) -> Proxies {
        let by_scheme = match self.fields.get("proxies") {
            Some(Value::Object(proxies)) => proxies
                .iter()
                .filter_map(|(scheme, url)| Some((scheme.clone(), url.as_str()?.to_owned())))
                .collect(),
            _ => Vec::new(),
        };
        Proxies {
            by_scheme,
            no_proxy: self.text("no_proxy").map(str::to_owned),
        }
    }
}

/// Without the credentials, the URLs' queries and the config drive.
impl fmt::Debug for ImageInfo<'_> {
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

fn invalid(text: impl Into<String>) -> DeployError {
    DeployError::ImageInfo(text.into())
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
