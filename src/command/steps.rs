//! What clean, deploy and service steps have in common (contract/control-plane 7).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use farrier_plugin::{Context, ErrorKind, ManagerError, Node, StepArguments, StepKind, panic_text};
use serde_json::{Map, Value, json};
use tracing::{info, warn};

use super::definition::{Definition, Mode, Run, no_validation};
use super::echo;
use super::environment::Environment;
use super::parameters::{Parameters, Signature};
use crate::block::hints;
use crate::deploy::ImageInfo;
use crate::hardware::StepCall;

/// What `get_*_steps` takes.
const GET: Signature = Signature::of(&["node", "ports"], &[]);

/// What `execute_*_step` takes; other parameters are handed on to the step.
const EXECUTE: Signature = Signature {
    required: &["step", "node", "ports"],
    optional: &[],
    open: true,
};

/// The two commands of an extension of steps, by their names, with [`list`] and [`execute`] of its kind.
pub(super) const fn commands([get, execute]: [&'static str; 2], runs: [Run; 2]) -> [Definition; 2] {
    let [list_of_kind, execute_of_kind] = runs;
    [
        Definition {
            name: get,
            mode: Mode::Sync,
            signature: GET,
            validate: no_validation,
            run: list_of_kind,
        },
        Definition {
            name: execute,
            mode: Mode::Async,
            signature: EXECUTE,
            validate: no_validation,
            run: execute_of_kind,
        },
    ]
}

/// Steps that write an image, before which a node without root device hints is looked up again.
const IMAGE_STEPS: [&str; 2] = ["write_image", "execute_bootc_install"];

/// Whether the step of this name erases disks, as the reference's do and those of vendors are named.
pub(super) fn is_erase(step: &str) -> bool {
    step.starts_with("erase_")
}

/// Whether a command with these parameters runs such a step, or is a flow with one.
pub(super) fn erases(parameters: &Map<String, Value>) -> bool {
    let step = parameters.get("step").and_then(|step| step.get("step"));
    let flow = parameters.get("flow").and_then(Value::as_array);
    let commands = flow.into_iter().flatten().filter_map(Value::as_object);
    step.and_then(Value::as_str).is_some_and(is_erase)
        || commands
            .flat_map(Map::values)
            .filter_map(Value::as_object)
            .any(erases)
}

/// `get_*_steps`: what the managers offer, and which managers there are.
pub(super) fn list(
    kind: StepKind,
    environment: &Environment,
    parameters: &Parameters,
) -> Result<Value, ManagerError> {
    let node = parameters.node()?;
    let ports = parameters.ports();
    environment.managers.set_node(node.clone());
    let steps = environment.managers.steps(kind, &node, &ports)?;
    Ok(json!({
        format!("{}_steps", kind.word()): steps,
        "hardware_manager_version": environment.managers.versions(),
    }))
}

/// `execute_*_step`: run one step by its name.
pub(super) fn execute(
    kind: StepKind,
    environment: &Environment,
    context: &dyn Context,
    parameters: &Parameters,
) -> Result<Value, ManagerError> {
    let word = kind.word();
    let mut node = parameters.node()?;
    let ports = parameters.ports();
    let managers = &environment.managers;
    managers.set_node(node.clone());
    check_versions(kind, environment, parameters)?;

    let malformed = |shown: &str| {
        ManagerError::new(
            ErrorKind::CommandExecution,
            format!("Malformed {word}_step, no \"step\" key: {shown}"),
        )
    };
    let step = parameters
        .object("step")
        .map_err(|error| malformed(&error.to_string()))?;
    let name = match step.get("step") {
        Some(Value::String(name)) => name,
        Some(_) => {
            return Err(ManagerError::new(
                failure(kind),
                format!("The name of the {word} step must be a string"),
            ));
        }
        None => {
            return Err(malformed(&echo::step(step, parameters.large()).to_string()));
        }
    };
    let arguments = arguments(kind, parameters, step)?;
    echo::hide_secrets(&arguments.values, parameters.large());
    let mut image = None;
    if IMAGE_STEPS.contains(&name.as_str()) {
        if arguments.values.contains_key("image_info") {
            image = Some(ImageInfo::parse(
                &arguments,
                &environment.options.current(),
            )?);
        }
        find_hints(environment, &mut node);
    }

    info!(step = name, "{word} step starts");
    let call = StepCall {
        name,
        node: &node,
        ports: &ports,
        arguments: &arguments,
        image: image.as_ref(),
    };
    let ran = catch_unwind(AssertUnwindSafe(|| {
        managers.execute_step(context, kind, &call)
    }));
    let result = ran
        .unwrap_or_else(|panic| {
            Err(ManagerError::new(
                failure(kind),
                format!(
                    "Unexpected exception performing {word} step {name}. Panic: {}",
                    panic_text(panic.as_ref())
                ),
            ))
        })
        .map_err(|error| match error.is_unexpected() {
            true => ManagerError::new(
                failure(kind),
                format!(
                    "Unexpected exception performing {word} step {name}. {}",
                    error.chain()
                ),
            ),
            false => error,
        })?;
    info!(step = name, "{word} step has ended well");
    Ok(json!({
        format!("{word}_result"): echo::result(step, result),
        format!("{word}_step"): echo::step(step, parameters.large()),
    }))
}

/// The error class of a step that failed in a way that no class fits.
pub(super) fn failure(kind: StepKind) -> ErrorKind {
    match kind {
        StepKind::Clean => ErrorKind::Cleaning,
        StepKind::Deploy => ErrorKind::Deployment,
        StepKind::Service => ErrorKind::Servicing,
    }
}

/// The managers must be those that the conductor recorded (contract/control-plane 7.6).
fn check_versions(
    kind: StepKind,
    environment: &Environment,
    parameters: &Parameters,
) -> Result<(), ManagerError> {
    let Some(recorded) = parameters.value(&format!("{}_version", kind.word())) else {
        return Ok(());
    };
    let current = json!(environment.managers.versions());
    if *recorded == current {
        return Ok(());
    }
    Err(ManagerError::new(
        ErrorKind::VersionMismatch,
        format!("Current versions: {current}, versions used by ironic: {recorded}"),
    ))
}

/// The step's arguments: the request's further parameters, overlaid with `step.args`.
fn arguments(
    kind: StepKind,
    parameters: &Parameters,
    step: &Map<String, Value>,
) -> Result<StepArguments, ManagerError> {
    let version = format!("{}_version", kind.word());
    let own = |name: &str| EXECUTE.required.contains(&name) || name == version;
    let mut values: Map<String, Value> = parameters
        .values()
        .iter()
        .filter(|(name, _)| !own(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    match step.get("args") {
        None => {}
        Some(empty) if hints::is_empty(empty) => {}
        Some(Value::Object(args)) => {
            values.extend(
                args.iter()
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
        }
        Some(Value::Array(pairs)) => {
            for pair in pairs {
                values.extend([named(pair).ok_or_else(unnamed)?]);
            }
        }
        Some(_) => return Err(unnamed()),
    }
    Ok(StepArguments {
        values,
        large: Arc::clone(parameters.large()),
    })
}

/// A name and its value as a list of two, which the reference takes for one argument too.
fn named(pair: &Value) -> Option<(String, Value)> {
    match pair.as_array()?.as_slice() {
        [Value::String(name), value] => Some((name.clone(), value.clone())),
        _ => None,
    }
}

fn unnamed() -> ManagerError {
    super::parameters::invalid("The step's 'args' must be an object")
}

/// Where the node has no root device hints, ask the conductor whether it has some by now
/// (contract/control-plane 2.4, later re-lookup). Nothing is lost where it does not answer: the
/// node is used as it is.
pub(super) fn find_hints(environment: &Environment, node: &mut Node) {
    let has_hints = |dictionary: &&str| hints::given(node, dictionary).is_some();
    if hints::DICTIONARIES.iter().any(has_hints) {
        return;
    }
    let Some(fresh) = (environment.relookup)() else {
        warn!("the node could not be looked up again; its root device hints are those of before");
        return;
    };
    for dictionary in hints::DICTIONARIES {
        let Some(hint) = hints::given(&fresh, dictionary) else {
            continue;
        };
        info!(%hint, "the conductor has root device hints by now");
        if let Some(Value::Object(members)) = node.0.get_mut(dictionary) {
            members.insert("root_device".to_owned(), hint.clone());
        } else {
            node.0
                .insert(dictionary.to_owned(), json!({ "root_device": hint }));
        }
    }
    environment.managers.set_node(node.clone());
}

#[cfg(test)]
mod tests {
    use farrier_plugin::{HardwareManager, LARGE_STRING, LargeStrings, SilentContext};

    use super::*;
    use crate::command::fake::{self, FakeManager};
    use crate::command::registry;
    use crate::sys::log;

    fn parameters(values: Value, large: LargeStrings) -> Parameters {
        let Value::Object(values) = values else {
            panic!("not an object");
        };
        Parameters::new(values, Arc::new(large))
    }

    fn environment(
        relookup: impl Fn() -> Option<Node> + Send + Sync + 'static,
    ) -> (Environment, Arc<FakeManager>, tempfile::TempDir) {
        let state = tempfile::tempdir().unwrap();
        let (manager, _) = FakeManager::new();
        let managers = vec![manager.clone() as Arc<dyn HardwareManager>];
        let (mut environment, _) = fake::environment(managers, state.path());
        environment.relookup = Box::new(relookup);
        (environment, manager, state)
    }

    fn node(value: Value) -> Node {
        serde_json::from_value(value).unwrap()
    }

    fn write_image(node: Value) -> Value {
        json!({
            "node": node,
            "ports": [],
            "step": {"interface": "deploy", "step": "write_image", "args": {
                "image_info": {"id": "i", "urls": ["http://192.0.2.1/i"],
                               "checksum": "a".repeat(64)}}},
        })
    }

    #[test]
    fn arguments_of_the_step_win_over_those_of_the_request() {
        let (environment, manager, _state) = environment(|| None);
        let sent = json!({
            "node": {"uuid": "1be2"}, "ports": [], "clean_version": null,
            "match": "request", "more": 1, "deploy_version": "not ours",
            "step": {"step": "erase_devices", "args": {"match": "step", "other": 2}},
        });
        let sent = parameters(sent, LargeStrings::default());
        execute(StepKind::Clean, &environment, &SilentContext, &sent).unwrap();
        let call = manager.calls.lock().unwrap().pop().unwrap();
        assert_eq!(call.step, "erase_devices");
        assert_eq!(
            Value::Object(call.arguments.values),
            json!({"match": "step", "more": 1, "other": 2, "deploy_version": "not ours"})
        );
    }

    #[test]
    fn large_arguments_reach_the_step_and_the_echo_leaves_them_out() {
        let (environment, manager, _state) = environment(|| None);
        let mut large = LargeStrings::default();
        let text = "x".repeat(LARGE_STRING + 1);
        let marker = large.intern(&text);
        let sent = json!({
            "node": {"uuid": "1be2"}, "ports": [{"extra": marker}],
            "step": {"step": "erase_devices", "args": {"script": marker}},
        });
        let sent = parameters(sent, large);
        let result = execute(StepKind::Clean, &environment, &SilentContext, &sent).unwrap();
        assert_eq!(
            result,
            json!({"clean_result": {"/dev/sda": null}, "clean_step":
                {"step": "erase_devices", "args": {"script": "<65537 bytes omitted>"}}})
        );
        let call = manager.calls.lock().unwrap().pop().unwrap();
        assert_eq!(
            call.arguments.text("script").as_deref(),
            Some(text.as_str())
        );
    }

    #[test]
    fn a_node_without_hints_is_looked_up_again_before_an_image_is_written() {
        let fresh = json!({"uuid": "1be2", "properties": {"root_device": {"serial": "s"}},
                           "instance_info": {"configdrive": "******"}});
        let (environment, manager, _state) = environment(move || Some(node(fresh.clone())));
        let sent = json!({"uuid": "1be2", "properties": {"cpu_arch": "x86_64"}, "name": "n1"});
        let sent = parameters(write_image(sent), LargeStrings::default());
        execute(StepKind::Deploy, &environment, &SilentContext, &sent).unwrap();
        let expected = json!({"uuid": "1be2", "name": "n1",
            "properties": {"cpu_arch": "x86_64", "root_device": {"serial": "s"}}});
        let call = manager.calls.lock().unwrap().pop().unwrap();
        assert_eq!(call.node, node(expected.clone()));
        assert_eq!(environment.managers.node(), Some(node(expected)));
    }

    #[test]
    fn empty_hints_are_no_hints() {
        let fresh = json!({"uuid": "1be2", "properties": {"root_device": {"serial": "s"}},
                           "instance_info": {"root_device": {}}});
        for empty in [
            json!({}),
            json!([]),
            json!(""),
            json!(0),
            json!(false),
            json!(null),
        ] {
            let fresh = node(fresh.clone());
            let (environment, manager, _state) = environment(move || Some(fresh.clone()));
            let sent = json!({"uuid": "1be2", "properties": {"root_device": empty},
                              "instance_info": {"root_device": empty}});
            let sent = parameters(write_image(sent), LargeStrings::default());
            execute(StepKind::Deploy, &environment, &SilentContext, &sent).unwrap();
            let call = manager.calls.lock().unwrap().pop().unwrap();
            let used = call.node.field("properties", "root_device");
            assert_eq!(used, Some(&json!({"serial": "s"})), "{empty}");
        }
    }

    #[test]
    fn a_lookup_that_fails_or_is_not_needed_changes_nothing() {
        let (environment, manager, _state) = environment(|| None);
        let bare = json!({"uuid": "1be2"});
        let sent = parameters(write_image(bare.clone()), LargeStrings::default());
        execute(StepKind::Deploy, &environment, &SilentContext, &sent).unwrap();
        assert_eq!(
            manager.calls.lock().unwrap().pop().unwrap().node,
            node(bare)
        );

        let (environment, _, _state) = self::environment(|| panic!("not needed"));
        let hinted = json!({"uuid": "1be2", "instance_info": {"root_device": {"wwn": "w"}}});
        let sent = parameters(write_image(hinted), LargeStrings::default());
        execute(StepKind::Deploy, &environment, &SilentContext, &sent).unwrap();
    }

    #[test]
    fn a_result_repeats_no_secret_of_its_step() {
        let (environment, manager, _state) = environment(|| None);
        let sent = json!({
            "node": {"uuid": "1be2"}, "ports": [],
            "step": {"step": "erase_devices", "interface": "deploy", "args": {
                "bmc_password": "planted-Sr01",
                "url": "https://me:planted-Sr02@h/x?sig=planted-Sr03"}}});
        let sent = parameters(sent, LargeStrings::default());
        let done = execute(StepKind::Clean, &environment, &SilentContext, &sent).unwrap();
        assert!(!done.to_string().contains("planted"), "{done}");
        let echo = &done["clean_step"];
        assert_eq!(
            (&echo["step"], &echo["interface"]),
            (&json!("erase_devices"), &json!("deploy"))
        );
        let call = manager.calls.lock().unwrap().pop().unwrap();
        assert_eq!(call.arguments.values["bmc_password"], "planted-Sr01");
        // A plugin may say it; and so may the error of a step without a name.
        assert_eq!(log::mask("set planted-Sr01"), "set ***");
        let nameless = json!({"node": {"uuid": "1be2"}, "ports": [],
                              "step": {"args": {"bmc_password": "planted-Sr04"}}});
        let nameless = parameters(nameless, LargeStrings::default());
        let refused = execute(StepKind::Clean, &environment, &SilentContext, &nameless);
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("no \"step\" key") && !refused.contains("planted"),
            "{refused}"
        );
    }

    #[test]
    fn arguments_of_another_kind_are_refused() {
        let (environment, manager, _state) = environment(|| None);
        let run = |args: Value| {
            let sent = json!({"node": {"uuid": "1be2"}, "ports": [],
                              "step": {"step": "erase_devices", "args": args}});
            let sent = parameters(sent, LargeStrings::default());
            execute(StepKind::Clean, &environment, &SilentContext, &sent)
        };
        for args in [json!([1]), json!("x"), json!(5), json!(true)] {
            let error = run(args).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidCommandParams);
        }
        assert!(manager.calls.lock().unwrap().is_empty());
        // None, for the reference.
        for args in [json!([]), json!(""), json!(0), json!(null), json!({})] {
            run(args).unwrap();
        }
    }

    /// `standby.prepare_image` and the step `write_image` judge an image alike, and a manager that is not the
    /// agent's own gets what was sent.
    #[test]
    fn both_commands_that_write_an_image_judge_it_alike() {
        let sha256 = "a".repeat(64);
        let with = |changes: Value| {
            let mut info = json!({"id": "i", "urls": ["http://192.0.2.1/i"], "checksum": sha256});
            for (name, value) in changes.as_object().unwrap() {
                info[name] = value.clone();
            }
            info
        };
        let urls = "Image 'urls' must be a list of strings.";
        for (info, expected) in [
            (with(json!({})), None),
            (with(json!({"checksum": "http://192.0.2.1/s"})), None),
            (with(json!({"checksum": "HTTP://192.0.2.1/s"})), None),
            (
                with(json!({"checksum": "a"})),
                Some("Image checksum is not available"),
            ),
            (
                with(json!({"checksum": "a".repeat(32)})),
                Some("Image checksum is an MD5."),
            ),
            (
                with(json!({"checksum": 7})),
                Some("Image 'checksum' must be a non-empty string."),
            ),
            (
                with(json!({"checksum": null, "os_hash_algo": "sha256"})),
                Some("Image 'os_hash_value' must be a non-empty string."),
            ),
            (with(json!({"id": 7})), None),
            (with(json!({"id": 7, "urls": [7]})), Some(urls)),
            (
                with(json!({"id": []})),
                Some("Image 'id' must be a string."),
            ),
            (
                with(json!({"urls": []})),
                Some("Image 'urls' must be a list with at least"),
            ),
            (
                with(json!({"proxies": "http://p"})),
                Some("Image 'proxies' must be an object."),
            ),
            (json!({}), Some("Image is missing 'id' field.")),
            (
                json!(5),
                Some("The argument 'image_info' must be an object."),
            ),
        ] {
            let (environment, manager, _state) = environment(|| None);
            let sent = json!({"image_info": info, "configdrive": null});
            let command = registry::find("standby.prepare_image").unwrap();
            let prepared = parameters(sent.clone(), LargeStrings::default());
            let prepared = (command.validate)(&environment, &prepared)
                .and_then(|()| (command.run)(&environment, &SilentContext, &prepared));
            let step = json!({"node": {"uuid": "1be2"}, "ports": [],
                              "step": {"step": "write_image", "args": sent}});
            let step = parameters(step, LargeStrings::default());
            let written = execute(StepKind::Deploy, &environment, &SilentContext, &step);
            let served = execute(StepKind::Service, &environment, &SilentContext, &step);

            let details = |ran: Result<Value, ManagerError>| ran.err().map(|error| error.chain());
            let (prepared, written) = (details(prepared), details(written));
            assert_eq!(prepared, written, "{info}");
            assert_eq!(prepared, details(served), "{info}");
            match (prepared, expected) {
                (None, None) => {}
                (Some(said), Some(expected)) if said.starts_with(expected) => {}
                other => panic!("{info}: {other:?}"),
            }
            let calls = manager.calls.lock().unwrap();
            assert_eq!(calls.len(), if expected.is_none() { 3 } else { 0 });
            for call in calls.iter() {
                assert_eq!(Value::Object(call.arguments.values.clone()), sent);
            }
        }
    }

    #[test]
    fn an_image_is_looked_at_before_any_manager_writes_it() {
        let (environment, manager, _state) = environment(|| None);
        for (image, drive, text) in [
            (
                json!(5),
                json!(null),
                "The argument 'image_info' must be an object.",
            ),
            (
                json!({"id": "i"}),
                json!(null),
                "Image is missing 'urls' field.",
            ),
            (
                json!({"id": "i", "urls": ["http://192.0.2.1/i"], "checksum": "a".repeat(64)}),
                json!({}),
                "The argument 'configdrive' must be a string.",
            ),
        ] {
            let sent = json!({"node": {"uuid": "1be2"}, "ports": [], "step": {
                "step": "write_image", "args": {"image_info": image, "configdrive": drive}}});
            let sent = parameters(sent, LargeStrings::default());
            let error = execute(StepKind::Deploy, &environment, &SilentContext, &sent).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidCommandParams);
            assert_eq!(error.to_string(), text);
        }
        assert!(manager.calls.lock().unwrap().is_empty());
    }
}
