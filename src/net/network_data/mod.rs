//! Network data of OpenStack (`network_data.json`) to a plan.
//!
//! Who writes it: Ironic, from a node's field `network_data` after a check by its own schema
//! (ironic/api/controllers/v1/network-data-schema.json), or from Neutron's ports (ironic/common/neutron.py,
//! `get_neutron_port_data`); nova (nova/virt/netutils.py); people, and metal3's templates. Who reads it elsewhere: glean in
//! the reference's ramdisk, and cloud-init (`convert_net_json`). What Ironic lets through is taken, and of the rest what
//! one of the two readers takes; docs/networks.md has the table.

mod field;
mod links;
mod networks;

use serde_json::Value;

use super::plan::draft::{Draft, Reading};
use super::plan::problem::Problem;
use field::{Field, ORIGIN};

/// Bytes that are read. Of a server with 256 interfaces it has some 100 KiB.
pub(crate) const LIMIT: usize = 1 << 20;

/// Read it. What is wrong is left out and named; where nothing can be read the plan is empty, as without network data.
pub(crate) fn read(text: &[u8]) -> Reading {
    let refused = |problem| Reading {
        problems: vec![problem],
        ..Reading::default()
    };
    if text.len() > LIMIT {
        return refused(Problem::TooLarge {
            origin: ORIGIN,
            bytes: text.len(),
            limit: LIMIT,
        });
    }
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let document: Value = match serde_json::from_slice(text) {
        Ok(document) => document,
        Err(source) => return refused(Problem::NotJson { source }),
    };
    let mut draft = Draft::new(ORIGIN);
    let document = Field::new(ORIGIN.to_owned(), &document);
    if document
        .object(&mut draft.problems, "it is not read")
        .is_none()
    {
        return Reading {
            problems: draft.problems,
            ..Reading::default()
        };
    }
    let names = links::read(&document, &mut draft);
    networks::read(&document, &names, &mut draft);
    draft.finish()
}

#[cfg(test)]
mod tests;
