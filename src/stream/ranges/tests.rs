//! Servers and files that parts are read from.
