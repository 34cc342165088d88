//! Network resources of a host for all its guests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::WasiBody;

use super::names::Names;
use crate::clock::Clock;
use crate::outbound::dial::Dialer;
use crate::outbound::pool::Pool;
use crate::sandbox::descriptors::Descriptors;
use crate::sandbox::egress::Reach;

/// Divisor for the part of all guests' descriptors that idle connections may take.
const IDLE_SHARE: usize = 8;

/// Network resources of a host.
#[derive(Debug)]
pub(in crate::sandbox) struct HostNetwork {
    pub(super) reach: Reach,
    pub(super) names: Names,
    pub(super) dialer: Dialer,
    pub(super) descriptors: Arc<Descriptors>,
    pub(super) clock: Clock,
    /// Idle connections of all functions.
    idle: Arc<Semaphore>,
    /// Connections of functions that made requests and have environments.
    // std mutex: locked once per environment that makes requests, no await inside.
    functions: Mutex<HashMap<String, Weak<FunctionConnections>>>,
}

/// Connections of one function.
#[derive(Debug)]
struct FunctionConnections {
    /// Open connections.
    permits: Arc<Semaphore>,
    /// Idle connections by tenant. Tenants share none: a server may know its client by the connection.
    // std mutex: locked once per environment that makes requests and when connections run short, no await inside.
    pools: Mutex<HashMap<Option<String>, Pool<WasiBody>>>,
}

/// Connections that environments of one function and tenant share.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) pool: Pool<WasiBody>,
    function: Arc<FunctionConnections>,
}

impl Connections {
    /// Permit for a connection of the function, whose idle connections make way for it.
    pub(super) async fn permit(&self) -> OwnedSemaphorePermit {
        let permits = &self.function.permits;
        if permits.available_permits() == 0 {
            self.function.pools().values().for_each(Pool::clear);
        }
        let permit = Arc::clone(permits).acquire_owned().await;
        permit.expect("the semaphore is never closed")
    }
}

impl FunctionConnections {
    fn pools(&self) -> MutexGuard<'_, HashMap<Option<String>, Pool<WasiBody>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HostNetwork {
    pub(in crate::sandbox) fn new(
        reach: Reach,
        dialer: Dialer,
        descriptors: Arc<Descriptors>,
        clock: Clock,
    ) -> Self {
        Self {
            reach,
            names: Names::new(clock.clone()),
            dialer,
            idle: Arc::new(Semaphore::new(descriptors.all_max() / IDLE_SHARE)),
            descriptors,
            clock,
            functions: Mutex::default(),
        }
    }

    /// Connections of a function and a tenant, kept until the last environment of the function ends.
    pub(super) fn connections(&self, function: &str, tenant_id: Option<&str>) -> Connections {
        let function = self.function(function);
        let mut pools = function.pools();
        let tenant_id = tenant_id.map(str::to_owned);
        if !pools.contains_key(&tenant_id) {
            pools.retain(|_, pool| pool.is_used());
        }
        let make = || Pool::new(Arc::clone(&self.idle), self.clock.clone());
        let pool = pools.entry(tenant_id).or_insert_with(make).clone();
        drop(pools);
        Connections { pool, function }
    }

    fn function(&self, function: &str) -> Arc<FunctionConnections> {
        let mut functions = self
            .functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(connections) = functions.get(function).and_then(Weak::upgrade) {
            return connections;
        }
        functions.retain(|_, it| it.strong_count() > 0);
        let connections = Arc::new(FunctionConnections {
            permits: Arc::new(Semaphore::new(self.descriptors.each_max())),
            pools: Mutex::default(),
        });
        functions.insert(function.to_owned(), Arc::downgrade(&connections));
        connections
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::Trust;
    use crate::sandbox::Egress;

    #[tokio::test]
    async fn tenants_share_permits_and_no_idle_connections() {
        let clock = Clock::system();
        let host = HostNetwork::new(
            Reach::new(Egress::Deny, &[], &[]),
            Dialer::new(Trust::default(), clock.clone()),
            Arc::new(Descriptors::of_this_process()),
            clock,
        );
        let [blue, red] = ["blue", "red"].map(|it| host.connections("f", Some(it)));
        assert!(!blue.pool.is_same(&red.pool));
        let before = red.function.permits.available_permits();
        let _permit = blue.permit().await;
        assert_eq!(red.function.permits.available_permits(), before - 1);
        let again = host.connections("f", Some("blue"));
        assert!(blue.pool.is_same(&again.pool));
        assert!(
            !again
                .pool
                .is_same(&host.connections("g", Some("blue")).pool)
        );
        drop((blue, again));
        let _none = host.connections("f", None);
        assert_eq!(red.function.pools().len(), 2, "the unused pool is dropped");
    }
}
