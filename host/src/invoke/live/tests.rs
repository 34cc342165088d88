//! Live state follows snapshots.

use super::*;
use crate::invoke::snapshot::tests::function;

/// A loader of a host that runs nothing.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl Loader for Nothing {
    async fn load(&self, _code: &Code, _runtime: &str) -> Result<Program, LoadError> {
        Err(LoadError::NoComponent)
    }

    fn variables(&self, _code: &Code) -> Result<Vec<(String, String)>, LoadError> {
        Ok(Vec::new())
    }
}

fn live(snapshot: watch::Receiver<Arc<Snapshot>>) -> Live {
    let budgets = Arc::new(Budgets::unlimited());
    Live::new(
        snapshot,
        Arc::new(Nothing),
        10,
        10,
        budgets,
        Clock::system(),
    )
}

#[test]
fn deployment_that_is_gone_asks_for_no_environments() {
    let name = FunctionName::parse("f").unwrap();
    let mut provisioned = function(&name, None);
    provisioned.provisions = [(Qualifier::Version(1), 3)].into();
    let mut snapshot = Snapshot::default();
    snapshot.replace(&name, Some(provisioned));
    let (sender, receiver) = watch::channel(Arc::new(snapshot));
    let live = live(receiver);
    let wanted = live.request_provisions(&live.snapshot());
    assert_eq!(wanted[0].provisioning.progress().requested, 3);
    // The function is deleted while its environments are being opened.
    sender.send_modify(|current| Arc::make_mut(current).replace(&name, None));
    live.follow(&live.snapshot());
    assert!(live.all().is_empty());
    assert_eq!(wanted[0].provisioning.progress().requested, 0);
}

#[test]
fn deployment_that_went_after_it_was_resolved_leaves_no_state() {
    let name = FunctionName::parse("f").unwrap();
    let mut snapshot = Snapshot::default();
    snapshot.replace(&name, Some(function(&name, None)));
    let (sender, receiver) = watch::channel(Arc::new(snapshot));
    let live = live(receiver);
    let function = live.snapshot().function(&name).cloned().unwrap();
    let resolved = Arc::clone(&function.latest);
    sender.send_modify(|current| Arc::make_mut(current).replace(&name, None));
    live.follow(&live.snapshot());
    let deployment = live.deployment(&resolved);
    assert_eq!(deployment.version.deployment, resolved.deployment);
    assert!(live.all().is_empty());
}
