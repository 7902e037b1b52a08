//! What every connection shares: TLS settings, the HTTP client, addresses and routes.
