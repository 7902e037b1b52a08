//! The conductor calls us: the HTTP server, its routes, TLS, token and limits
//! (contract/control-plane 5).
//!
//! ```text
//! socket ─▶ [TLS] ─▶ hyper ─▶ routes ─▶ token, tokenless_reads ─▶ body ─▶ command::CommandTable
//! ```
//!
//! Every answer has a JSON body, and every answer from 400 on has a string `faultstring`: the
//! conductor reads it without looking. Only the redirects to a slashed path are HTML, and the
//! page at `/` for browsers.

mod answer;
mod body;
mod listener;
#[cfg(test)]
mod openapi;
mod page;
mod parser_fault;
mod places;
mod requests_log;
mod resources;
mod routes;
mod server;
mod stall;
mod token;
mod tokenless_reads;

#[cfg(test)]
mod tests;

pub(crate) use page::{Glance, Look};
pub(crate) use server::ApiError;
pub use server::{Server, Settings, serve};
pub use token::Token;
