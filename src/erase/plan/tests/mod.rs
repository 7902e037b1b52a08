mod disks;
mod namespaces;

use farrier_plugin::Node;

use super::*;

fn flags(iterations: u32, zeroize: bool) -> EraseFlags {
    EraseFlags {
        iterations,
        zeroize,
        ..EraseFlags::from_node(&Node::default()).unwrap()
    }
}

fn planned(flags: &EraseFlags) -> Result<Plan, EraseError> {
    Plan::for_device(&Root::at("/nonexistent"), &disk(), flags, &|_| true)
}

fn disk() -> BlockDevice {
    BlockDevice {
        name: "/dev/sda".to_owned(),
        tran: Some("sata".to_owned()),
        ..BlockDevice::default()
    }
}

#[test]
fn the_flags_are_the_passes() {
    for (iterations, zeroize) in [(1, true), (0, true), (3, false)] {
        let plan = planned(&flags(iterations, zeroize)).unwrap();
        assert_eq!(plan.methods.len(), 1);
        assert_eq!(
            plan.methods[0].method,
            Method::Overwrite {
                random_passes: iterations,
                zero_pass: zeroize
            }
        );
    }
}

#[test]
fn no_pass_is_no_erase() {
    assert!(matches!(
        planned(&flags(0, false)),
        Err(EraseError::NothingPlanned { .. })
    ));
}

#[test]
fn a_plan_says_what_each_method_is_worth() {
    let plan = planned(&flags(1, true)).unwrap().to_json();
    let method = &plan["methods"][0];
    assert_eq!(method["category"], "clear");
    assert_eq!(method["section"], "A, table A-8");
    assert_eq!(method["scope"], "device");
    assert_eq!(method["covers"][0], "/dev/sda");
    let plan = Plan::for_metadata(&disk()).to_json();
    assert_eq!(plan["methods"][0]["category"], "none");
}
