//! Which card of the machine an interface of a plan is.

use crate::net::hardware_address::HardwareAddress;
use crate::net::links::Link;
use crate::net::plan::{Card, Interface, Kind, Plan};

/// The cards that fit an interface, best first: one that was made with the address comes before one that only has it
/// now, as a card in a bond does.
pub(super) fn fitting<'c>(interface: &Interface, cards: &'c [Link]) -> Vec<&'c Link> {
    let Kind::Card(card) = &interface.kind else {
        return Vec::new();
    };
    match card {
        Card::Address { address, .. } => {
            let address = address.to_string();
            let is = |own: &Option<String>| {
                own.as_ref()
                    .is_some_and(|own| own.eq_ignore_ascii_case(&address))
            };
            let made_with = cards.iter().filter(|card| is(&card.mac_address));
            let has = cards
                .iter()
                .filter(|card| !is(&card.mac_address) && is(&card.current_address));
            made_with.chain(has).collect()
        }
        Card::Name => cards
            .iter()
            .filter(|card| card.name == interface.name)
            .collect(),
        Card::First | Card::AnyOther => Vec::new(),
    }
}

/// The cards that no interface of the plan names by address or name.
pub(super) fn unnamed<'c>(plan: &Plan, cards: &'c [Link]) -> Vec<&'c Link> {
    let named: Vec<&str> = plan
        .interfaces
        .iter()
        .flat_map(|interface| fitting(interface, cards))
        .map(|card| card.name.as_str())
        .collect();
    cards
        .iter()
        .filter(|card| !named.contains(&card.name.as_str()))
        .collect()
}

/// Without those that may be a management controller's: such a one has a link before any other, and leads nowhere. Only where
/// no other is waited for any longer, and none has come, they count.
pub(super) fn of_the_machine(cards: Vec<&Link>, is_last: bool) -> Vec<&Link> {
    let is_own = |card: &&Link| !card.may_be_a_controllers();
    if is_last && !cards.iter().any(is_own) {
        return cards;
    }
    cards.into_iter().filter(is_own).collect()
}

/// The card that the machine was booted from.
pub(super) fn booted(boot: Option<HardwareAddress>, cards: &[Link]) -> Option<&Link> {
    let address = boot?.to_string();
    cards.iter().find(|card| card.has_address(&address))
}

/// How a card that is not there was named.
pub(super) fn wanted(interface: &Interface) -> String {
    match &interface.kind {
        Kind::Card(Card::Address { address, .. }) => address.to_string(),
        _ => interface.name.clone(),
    }
}

/// The cards of the machine, for people.
pub(super) fn list(cards: &[Link]) -> String {
    if cards.is_empty() {
        return "none".to_owned();
    }
    let each: Vec<String> = cards
        .iter()
        .map(|card| {
            let address = card.mac_address.as_deref().unwrap_or("no address");
            format!("{} ({address})", card.name)
        })
        .collect();
    each.join(", ")
}
