//! Network resources of a host for all its guests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;
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

/// Connections that the environments of one function share.
#[derive(Debug)]
pub(super) struct FunctionConnections {
    pub(super) pool: Pool<WasiBody>,
    /// Open connections.
    pub(super) permits: Arc<Semaphore>,
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

    /// Connections of a function, shared until its last environment ends.
    pub(super) fn connections(&self, function: &str) -> Arc<FunctionConnections> {
        let mut functions = self
            .functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(connections) = functions.get(function).and_then(Weak::upgrade) {
            return connections;
        }
        functions.retain(|_, it| it.strong_count() > 0);
        let connections = Arc::new(FunctionConnections {
            pool: Pool::new(Arc::clone(&self.idle), self.clock.clone()),
            permits: Arc::new(Semaphore::new(self.descriptors.each_max())),
        });
        functions.insert(function.to_owned(), Arc::downgrade(&connections));
        connections
    }
}
