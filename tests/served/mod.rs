//! An agent's API with one hardware manager, for tests that are alone in their process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use farrier::testing::api::{self, Settings, Token};
use farrier::testing::command::{CommandTable, Environment, Shutdown};
use farrier::testing::config::{Live, Options};
use farrier::testing::hardware::Managers;
use farrier_plugin::{
    Context, HardwareManager, ManagerError, ManagerVersion, Node, Port, SilentContext,
    StepArguments,
};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// The token of these agents, as long as Ironic's.
pub(crate) const TOKEN: &str = "4rJqxKHVBcL853TT1y6KuEUBj1WNRMxOMi-gIHo0c0I";

/// Whatever its step is called, it does this with the arguments.
pub(crate) struct Manager<Step>(pub(crate) Step);

impl<Step> HardwareManager for Manager<Step>
where
    Step: Fn(&StepArguments) -> Value + Send + Sync,
{
    fn class_name(&self) -> &str {
        "Manager"
    }

    fn version(&self) -> ManagerVersion {
        ManagerVersion {
            name: "manager".to_owned(),
            version: "1".to_owned(),
        }
    }

    fn evaluate_hardware_support(&self) -> Result<u32, ManagerError> {
        Ok(1)
    }

    fn execute_step(
        &self,
        _: &dyn Context,
        _: &str,
        _: &Node,
        _: &[Port],
        arguments: &StepArguments,
    ) -> Result<Value, ManagerError> {
        Ok((self.0)(arguments))
    }
}

/// Serve at this address, on a port that is free, until `stop` says so. Returns that port on the loopback
/// interface.
pub(crate) fn serve<Step>(
    runtime: &Runtime,
    manager: Manager<Step>,
    state: &Path,
    stop: watch::Receiver<bool>,
    listen: Ipv4Addr,
    conductors: Vec<IpAddr>,
) -> SocketAddr
where
    Step: Fn(&StepArguments) -> Value + Send + Sync + 'static,
{
    let options = Live::new(Options {
        disk_wait_attempts: 0,
        ..Options::default()
    });
    let (signals, mut heard) = tokio::sync::mpsc::unbounded_channel();
    // As the agent does.
    runtime.spawn(async move { while heard.recv().await.is_some() {} });
    let managers =
        Managers::from_managers(options.clone(), vec![Arc::new(manager)], &SilentContext);
    let table = CommandTable::open(Environment {
        managers: Arc::new(managers.unwrap()),
        options,
        signals,
        state_directory: state.to_owned(),
        relookup: Box::new(|| None),
        shutdown: Shutdown::default(),
        open_rescue: Box::new(|_| unreachable!("nobody asks for a rescue")),
        left_behind: None,
    })
    .unwrap();
    let token = Token::new();
    token.set(TOKEN);
    let settings = Settings {
        listen: (listen, 0).into(),
        tls: None,
        token,
        agent_version: "13.0.0".to_owned(),
        started_at: 0.0,
        conductors,
        reads_without_token: false,
        timers: Default::default(),
        look: Arc::new(Default::default),
    };
    let _inside = runtime.enter();
    let served = api::serve(settings, table, stop).unwrap();
    (Ipv4Addr::LOCALHOST, served.address.port()).into()
}
