//! The conductor calls us: the HTTP server, its routes, TLS, token and limits.
