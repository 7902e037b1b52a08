//! What can be asked for: paths, and the methods of each (contract/control-plane 5.2). `docs/openapi.json` is made of the same.

use hyper::Method;

/// What a path names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Resource {
    Root,
    Version,
    Status,
    Commands,
    Command,
}

/// In [`PATHS`], a command's id: any text without a slash.
pub(super) const ID: &str = "{id}";

/// Every path. One that ends in a slash leads there without it, too.
pub(super) const PATHS: [(&str, Resource); 8] = [
    ("/", Resource::Root),
    ("/v1/", Resource::Version),
    ("/v1/status", Resource::Status),
    ("/v1/commands/", Resource::Commands),
    ("/v1/commands/{id}", Resource::Command),
    ("/status", Resource::Status),
    ("/commands/", Resource::Commands),
    ("/commands/{id}", Resource::Command),
];

/// What a path was found to name.
#[derive(Debug, PartialEq)]
pub(super) struct Found<'a> {
    pub(super) resource: Resource,
    /// Empty but for a command.
    pub(super) id: &'a str,
    pub(super) lacks_slash: bool,
}

/// What this path names.
pub(super) fn find(path: &str) -> Option<Found<'_>> {
    PATHS.into_iter().find_map(|(pattern, resource)| {
        let id = match pattern.strip_suffix(ID) {
            Some(start) => path.strip_prefix(start)?,
            None => "",
        };
        let lacks_slash = pattern.strip_suffix('/') == Some(path);
        let is_it = pattern == path || lacks_slash || !(id.is_empty() || id.contains('/'));
        is_it.then_some(Found {
            resource,
            id,
            lacks_slash,
        })
    })
}

impl Resource {
    /// Its methods, in the words of the header `Allow`.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Commands => "GET, HEAD, POST",
            _ => "GET, HEAD",
        }
    }

    /// Whether this is one of its methods.
    pub(super) fn takes(self, method: &Method) -> bool {
        self.methods()
            .split(", ")
            .any(|taken| taken == method.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_one_thing_with_its_last_slash_or_without() {
        let found = |path| find(path).map(|found| (found.resource, found.id, found.lacks_slash));
        for (path, resource) in PATHS {
            if !path.ends_with(ID) {
                assert_eq!(found(path), Some((resource, "", false)), "{path}");
            }
        }
        for (path, resource) in [
            ("/v1", Resource::Version),
            ("/v1/commands", Resource::Commands),
            ("/commands", Resource::Commands),
        ] {
            assert_eq!(found(path), Some((resource, "", true)));
        }
        for path in ["/v1/commands/0-a", "/commands/0-a"] {
            assert_eq!(found(path), Some((Resource::Command, "0-a", false)));
        }
        for path in [
            "*",
            "//",
            "/v1/status/",
            "/status/",
            "/v2/",
            "/v1/commands/a/",
            "/v1/commands//",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }

    #[test]
    fn commands_alone_are_posted() {
        for (path, resource) in PATHS {
            assert!(resource.takes(&Method::GET) && resource.takes(&Method::HEAD));
            let posts = resource.takes(&Method::POST);
            assert_eq!(posts, path.ends_with("/commands/"), "{path}");
            assert!(!resource.takes(&Method::PUT));
        }
    }
}
