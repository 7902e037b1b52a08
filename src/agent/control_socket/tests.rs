use std::time::Instant;

use farrier_plugin::SilentContext;

use super::*;
use crate::agent::trouble::Trouble;
use crate::command::fake as commands;
use crate::config::Live;
use crate::hardware::fake::FakeManager;

/// An agent's control socket in a root of its own.
struct Machine {
    root: tempfile::TempDir,
    control: Arc<Control>,
    served: JoinSet<Infallible>,
}

impl Machine {
    async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let control = Arc::new(Control::new(&Arc::default()));
        let mut served = JoinSet::new();
        served.spawn(serve(root.path().to_owned(), Arc::clone(&control)));
        while !path(root.path()).exists() {
            sleep(Duration::from_millis(5)).await;
        }
        Self {
            root,
            control,
            served,
        }
    }

    async fn ask(&self, question: Question) -> Result<Value, ControlError> {
        let root = self.root.path().to_owned();
        spawn_blocking(move || ask(&root, question)).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_the_machine_is_told_what_the_console_says() {
    let machine = Machine::start().await;
    let status = &machine.control.status;
    status.doing("asking the conductor which node this is");
    status.node("2564c0a3-dd23-551f-a25c-1af767f45a81");
    status.met(Trouble::no_conductor());
    let told = machine.ask(Question::Status).await.unwrap();
    assert_eq!(told["doing"], "asking the conductor which node this is");
    assert_eq!(told["node"], "2564c0a3-dd23-551f-a25c-1af767f45a81");
    assert_eq!(
        told["troubles"],
        json!([{
            "about": "conductor",
            "what": "no conductor is configured",
            "advice": "set ipa-api-url on the kernel command line",
            "times": 1
        }])
    );
    assert!(told["command"].is_null() && told["last_failure"].is_null());
    assert!(told["addresses"].is_string());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let socket = path(machine.root.path());
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(socket.parent().unwrap()), 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_that_runs_is_told_and_the_last_that_failed() {
    let machine = Machine::start().await;
    let state = tempfile::tempdir().unwrap();
    let (manager, gate) = commands::FakeManager::new();
    let (environment, _signals) = commands::environment(vec![manager], state.path());
    let table = CommandTable::open(environment).unwrap();
    machine.control.has_table(&table);
    let issue = |step: &str| {
        let body = json!({
            "name": "clean.execute_clean_step",
            "params": {"step": {"step": step}, "node": {"uuid": "1be2"}, "ports": []}
        });
        let request = crate::command::Request::read(body.to_string().as_bytes()).unwrap();
        table.issue(request).unwrap()
    };
    let failed = issue("no_such_step");
    failed.finished().await;
    let running = issue("gate");
    let told = machine.ask(Question::Status).await.unwrap();
    assert_eq!(told["command"]["name"], "execute_clean_step");
    assert_eq!(told["command"]["doing"], "cleaning: step gate");
    assert_eq!(told["last_failure"]["command"], "execute_clean_step");
    let details = told["last_failure"]["details"].as_str().unwrap();
    assert!(details.contains("no_such_step"), "{details}");
    gate.send(Ok(Value::Null)).unwrap();
    running.finished().await;
    let told = machine.ask(Question::Status).await.unwrap();
    assert!(told["command"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_are_those_that_the_conductor_would_get() {
    let machine = Machine::start().await;
    let error = machine.ask(Question::Steps).await.unwrap_err();
    assert!(error.to_string().contains("still starting"), "{error}");
    let managers = Managers::from_managers(
        Live::default(),
        vec![Arc::new(FakeManager::new("Vendor", 3).offering("scrub", 7))],
        &SilentContext,
    );
    machine.control.has_managers(&Arc::new(managers.unwrap()));
    let steps = machine.ask(Question::Steps).await.unwrap();
    for kind in ["clean", "deploy", "service"] {
        assert_eq!(
            steps[kind]["steps"]["Vendor"][0],
            json!({
                "step": "scrub", "priority": 7, "interface": "deploy", "reboot_requested": false
            }),
            "{steps:#}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_say_nothing_or_nonsense_keep_nobody_waiting() {
    let machine = Machine::start().await;
    let socket = path(machine.root.path());
    // As many as there may be, each of which says nothing.
    let silent: Vec<Client> = (0..CLIENTS)
        .map(|_| Client::connect(&socket).unwrap())
        .collect();
    sleep(Duration::from_millis(100)).await;
    let mut refused = Client::connect(&socket).unwrap();
    let hung_up = spawn_blocking(move || refused.read(&mut [0; 1]));
    assert_eq!(hung_up.await.unwrap().unwrap(), 0);
    drop(silent);
    let started = Instant::now();
    while machine.ask(Question::Status).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(30));
        sleep(Duration::from_millis(10)).await;
    }
    let said = |text: &'static [u8]| {
        let socket = socket.clone();
        move || {
            let mut client = Client::connect(socket).unwrap();
            client.write_all(text).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            answer
        }
    };
    let answer = spawn_blocking(said(b"stat\x1bus")).await.unwrap();
    assert_eq!(
        answer,
        json!({"error": "The agent does not know the question \"stat\\u{1b}us\""}).to_string()
    );
    // Not UTF-8.
    assert_eq!(spawn_blocking(said(b"\xff")).await.unwrap(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_agent_the_reason_is_told() {
    let root = tempfile::tempdir().unwrap();
    let error = ask(root.path(), Question::Status).unwrap_err();
    assert!(error.to_string().contains("agent.log"), "{error}");
    // The socket of one that has ended.
    let machine = Machine::start().await;
    let Machine { root, served, .. } = machine;
    drop(served);
    sleep(Duration::from_millis(50)).await;
    assert!(path(root.path()).exists());
    fs::create_dir_all(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/.rescued"), "").unwrap();
    let error = ask(root.path(), Question::Status).unwrap_err();
    assert!(error.to_string().contains("rescue system"), "{error}");
    // One after it takes the place, another beside that does not.
    let mut served = JoinSet::new();
    let control = Arc::new(Control::new(&Arc::default()));
    served.spawn(serve(root.path().to_owned(), Arc::clone(&control)));
    let root_path = root.path().to_owned();
    let answered = spawn_blocking(move || {
        let started = Instant::now();
        while ask(&root_path, Question::Status).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30));
        }
        open(&path(&root_path)).unwrap_err().kind()
    });
    assert_eq!(answered.await.unwrap(), io::ErrorKind::AddrInUse);
}
