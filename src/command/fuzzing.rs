//! The fuzz targets of this room.

use super::Request;
use super::parameters::Parameters;

/// The body of `POST /v1/commands`, and its parameters as a step takes them.
pub(crate) fn command_body(data: &[u8]) {
    let Ok(request) = Request::read(data) else {
        return;
    };
    let parameters = Parameters::new(request.params, request.large);
    let _ = parameters.node();
    let _ = parameters.ports();
    let _ = parameters.object("step");
    let _ = parameters.text("url");
    parameters.to_arguments();
}

/// The command journal that an agent finds after a crash.
pub(crate) fn journal(data: &[u8]) {
    super::journal::parse(data);
}
