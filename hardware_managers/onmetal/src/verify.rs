//! The step that compares the server with what its node should consist of (contract/onmetal 10).

use std::collections::BTreeMap;

use farrier_plugin::{Context, ErrorKind, ManagerError, Node};
use serde_json::{Value, json};

use crate::configuration::{Configuration, Expectation, SATADOM};
use crate::failures::{failed, together};
use crate::machine::Machine;

/// Check every rule that is about this node. All mismatches are told; a node that no rule is about
/// is one too.
pub(crate) fn verify(
    configuration: &Configuration,
    machine: &Machine,
    context: &dyn Context,
    node: &Node,
) -> Result<Value, ManagerError> {
    let traits = traits(node);
    let rules: Vec<&Expectation> = configuration
        .expect
        .iter()
        .filter(|rule| is_about(rule, node, &traits))
        .collect();
    if rules.is_empty() {
        return Err(failed(
            ErrorKind::Cleaning,
            format!(
                "No rule of the configuration's \"expect\" is about this node, whose traits are \
                 {traits:?} and whose properties are {}",
                node.0.get("properties").unwrap_or(&Value::Null)
            ),
        ));
    }
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for device in context.block_devices(false)? {
        let model = device.model.unwrap_or_default();
        *counts.entry(model.trim().to_owned()).or_default() += 1;
    }
    let bios_version = machine.bios_version();
    let mut failures = Vec::new();
    for rule in &rules {
        for (model, wanted) in &rule.models {
            let (models, found) = count(configuration, &counts, model);
            if found != *wanted {
                failures.push(format!(
                    "expected {wanted} block devices with model name {models:?}, found {found}"
                ));
            }
        }
        if let Some(wanted) = &rule.bios_version
            && bios_version.as_ref() != Some(wanted)
        {
            failures.push(format!(
                "expected BIOS version \"{wanted}\", found \"{}\"",
                bios_version.as_deref().unwrap_or_default()
            ));
        }
    }
    let what = format!("The server is not what its node should be (its disks: {counts:?})");
    match together(ErrorKind::Cleaning, &what, &failures) {
        Some(error) => Err(error),
        None => Ok(json!({
            "rules": rules.len(), "models": counts, "bios_version": bios_version,
        })),
    }
}

/// The models that a key of a rule means, and how many disks are of them.
fn count<'c>(
    configuration: &'c Configuration,
    counts: &BTreeMap<String, u32>,
    model: &'c String,
) -> (Vec<&'c String>, u32) {
    let models: Vec<&String> = if model == SATADOM {
        configuration.satadom_models.iter().collect()
    } else {
        vec![model]
    };
    let found = models.iter().filter_map(|model| counts.get(*model)).sum();
    (models, found)
}

fn is_about(rule: &Expectation, node: &Node, traits: &[&str]) -> bool {
    let has_trait = rule
        .node_trait
        .as_deref()
        .is_none_or(|wanted| traits.contains(&wanted));
    has_trait
        && rule.property.iter().all(|(name, wanted)| {
            node.field("properties", name)
                .is_some_and(|found| as_text(found) == as_text(wanted))
        })
}

/// The conductor sends traits as `{"objects": [{"trait": "CUSTOM_X"}]}`; a plain list is read too.
fn traits(node: &Node) -> Vec<&str> {
    let Some(traits) = node.0.get("traits") else {
        return Vec::new();
    };
    traits
        .get("objects")
        .unwrap_or(traits)
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one.get("trait").unwrap_or(one).as_str())
        .collect()
}

/// Ironic keeps numbers of properties as numbers or as texts, as they were set.
fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use farrier_plugin::HardwareManager;

    use super::*;
    use crate::stand_in::{Agent, MODEL, Tree, node};
    use crate::steps::VERIFY_HARDWARE;

    const SATADOM_MODEL: &str = "7 PIN  SATA FDM";

    /// A server with these disks, and the rules of the example file.
    fn verify(models: &[&str], members: Value) -> Result<Value, ManagerError> {
        let tree = Tree::new();
        let example = include_str!("../onmetal.example.toml");
        let rule = "[[expect]]\nproperty = {bios = 'yes'}\nbios_version = 'A14'\n";
        let text = format!("{}\n{rule}", example.replace("/mnt/LSI", "LSI"));
        fs::write(tree.path("plugin/onmetal.toml"), text).unwrap();
        fs::create_dir_all(tree.path("sys/class/dmi/id")).unwrap();
        fs::write(tree.path("sys/class/dmi/id/bios_version"), "A13\n").unwrap();
        let disks: Vec<(&str, &str)> = models.iter().map(|model| ("sdx", *model)).collect();
        tree.manager().execute_step(
            &Agent::with_disks(&disks),
            VERIFY_HARDWARE,
            &node(members),
            &[],
            &Default::default(),
        )
    }

    fn io1() -> Value {
        json!({ "traits": { "objects": [{ "trait": "HW_X" }, { "trait": "CUSTOM_ONMETAL_IO1" }] } })
    }

    #[test]
    fn a_server_as_expected_passes() {
        let result = verify(&[MODEL, SATADOM_MODEL, MODEL], io1()).unwrap();
        assert_eq!(result["models"][MODEL], 2);
        verify(
            &[SATADOM_MODEL],
            json!({ "properties": { "memory_mb": 32768 } }),
        )
        .unwrap();
        verify(
            &[SATADOM_MODEL],
            json!({ "properties": { "memory_mb": "524288" } }),
        )
        .unwrap();
        let plain = json!({ "traits": ["CUSTOM_ONMETAL_IO1"] });
        verify(&[MODEL, "32G MLC SATADOM", MODEL], plain).unwrap();
    }

    #[test]
    fn every_mismatch_is_told() {
        for (models, words) in [
            (
                vec![MODEL, SATADOM_MODEL],
                vec!["expected 2", MODEL, "found 1"],
            ),
            (
                vec![MODEL, MODEL],
                vec!["expected 1", SATADOM_MODEL, "found 0"],
            ),
            (vec![], vec!["expected 2", "expected 1"]),
            (vec![MODEL, MODEL, MODEL, SATADOM_MODEL], vec!["found 3"]),
            (
                vec![MODEL, MODEL, SATADOM_MODEL, "32G MLC SATADOM"],
                vec!["expected 1", "found 2"],
            ),
            (vec![MODEL, MODEL, "7 PIN SATA FDM"], vec!["found 0"]),
        ] {
            let error = verify(&models, io1()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cleaning);
            for word in words {
                assert!(error.to_string().contains(word), "no {word:?}: {error}");
            }
        }
        let error = verify(&[], json!({ "properties": { "bios": "yes" } })).unwrap_err();
        assert!(
            error.to_string().contains("\"A14\", found \"A13\""),
            "{error}"
        );
    }

    #[test]
    fn a_node_that_no_rule_is_about_is_none_of_ours() {
        for members in [
            json!({}),
            json!({ "traits": null, "properties": { "memory_mb": 131072 } }),
        ] {
            let error = verify(&[SATADOM_MODEL], members).unwrap_err();
            assert!(error.to_string().contains("No rule"), "{error}");
        }
    }
}
