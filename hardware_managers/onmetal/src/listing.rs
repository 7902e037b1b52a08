//! What `ddoemcli -listall` prints (contract/onmetal 5).

use crate::pci::ToolAddress;

/// A flash card, as the tool lists it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Card {
    /// The number that the tool knows it by.
    pub(crate) id: u32,
    /// Model, one of those of the configuration.
    pub(crate) model: String,
    /// Version of its firmware package: `12.22.00.00`.
    pub(crate) version: String,
    /// Where it is plugged in.
    pub(crate) address: ToolAddress,
}

/// Why a listing cannot be relied on.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ListingError {
    /// A line names a known card and does not have the columns.
    #[error(
        "the line \"{0}\" of the tool's listing is not an id, a model, a version and a PCI \
         address of four parts"
    )]
    Line(String),
}

/// The cards of these models. Lines about other cards are left alone; a line about one of these
/// that cannot be read makes the whole listing unusable: it could be the second card at an address.
/// The head of the table is not asked for, since its words are nobody's promise; whoever needs to
/// know that the listing is whole compares it with the disks.
pub(crate) fn parse(listing: &str, models: &[&str]) -> Result<Vec<Card>, ListingError> {
    let mut cards = Vec::new();
    for line in listing.lines() {
        let Some((id, model, rest)) = around_model(line, models) else {
            continue;
        };
        let card = read(id, model, rest).ok_or_else(|| ListingError::Line(shortened(line)))?;
        cards.push(card);
    }
    Ok(cards)
}

/// The text before a model that is a column of the line, the model, and the text after it.
fn around_model<'l>(line: &'l str, models: &[&'l str]) -> Option<(&'l str, &'l str, &'l str)> {
    models.iter().find_map(|&model| {
        let (before, after) = line.split_once(model)?;
        let is_column = before.ends_with(char::is_whitespace)
            && (after.is_empty() || after.starts_with(char::is_whitespace));
        is_column.then_some((before, model, after))
    })
}

fn read(id: &str, model: &str, rest: &str) -> Option<Card> {
    let mut columns = rest.split_whitespace();
    let (version, address) = (columns.next()?, columns.next()?);
    let id = id.trim();
    // A number with a sign is none.
    if columns.next().is_some() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Card {
        id: id.parse().ok()?,
        model: model.to_owned(),
        version: version.to_owned(),
        address: ToolAddress::parse(address)?,
    })
}

fn shortened(line: &str) -> String {
    line.trim().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::*;

    const MODELS: [&str; 1] = ["NWD-BLP4-1600"];

    /// The listing of contract/onmetal 5.
    const LISTING: &str = "\
****************************************************************************
   SEAGATE WarpDrive Management Utility
   Version 112.00.09.01 (2014.11.03)
****************************************************************************

ID    WarpDrive     Package Version    PCI Address
--    ---------     ---------------    -----------
1     NWD-BLP4-1600      12.22.00.00        00:05:00:00
2     NWD-BLP4-1600      11.00.00.00        00:81:00:00

Seagate WarpDrive Management Utility: Execution completed successfully.
";

    #[test]
    fn two_cards_are_listed() {
        let cards = parse(LISTING, &MODELS).unwrap();
        let told: Vec<_> = cards
            .iter()
            .map(|card| (card.id, card.version.as_str(), card.address.0))
            .collect();
        assert_eq!(
            told,
            [
                (1, "12.22.00.00", [0, 5, 0, 0]),
                (2, "11.00.00.00", [0, 0x81, 0, 0])
            ]
        );
    }

    #[test]
    fn cards_of_other_models_are_left_alone() {
        assert_eq!(parse(LISTING, &["NWD-BLP4-800"]).unwrap(), []);
        assert_eq!(parse(LISTING, &["NWD-BLP4-160"]).unwrap(), []);
        assert_eq!(parse(LISTING, &["BLP4-1600"]).unwrap(), []);
        let spaced = LISTING.replace("NWD-BLP4-1600", "Nytro WLP4 200");
        assert_eq!(parse(&spaced, &["Nytro WLP4 200"]).unwrap().len(), 2);
    }

    #[test]
    fn a_line_that_cannot_be_read_spoils_the_listing() {
        for (from, to) in [
            ("00:81:00:00", "00:81:00"),
            ("00:81:00:00", "unknown"),
            ("2     NWD", "two   NWD"),
            ("2     NWD", "      NWD"),
            ("2     NWD", "-2    NWD"),
            ("11.00.00.00        00:81:00:00", ""),
            ("00:81:00:00", "00:81:00:00 rev 2"),
        ] {
            let error = parse(&LISTING.replace(from, to), &MODELS).unwrap_err();
            assert!(matches!(error, ListingError::Line(_)), "{to}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(.|\n)*") {
            let _ = parse(&text, &MODELS);
            let _ = parse(&format!("{LISTING}{text}"), &MODELS);
        }

        #[test]
        fn no_half_listing_invents_a_card(end in 0_usize..600) {
            let half = &LISTING[..end.min(LISTING.len())];
            for card in parse(half, &MODELS).unwrap_or_default() {
                assert!([0x05, 0x81].contains(&card.address.0[1]), "{card:?}");
            }
        }
    }
}
