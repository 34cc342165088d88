//! `wasi:sockets/ip-name-lookup`, defined function by function, because wasmtime's implementation
//! cannot use another resolver. Instantiation checks the types.

use std::net::IpAddr;

use futures_util::FutureExt;
use tokio_util::task::AbortOnDropHandle;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, Network};
use wasmtime_wasi::p2::{Pollable, subscribe};

use super::Failed;
use crate::sandbox::guest::Guest;

/// Interface version of wasmtime's definition, which this one replaces; see `sockets`.
const INTERFACE: &str = "wasi:sockets/ip-name-lookup@0.2.12";

/// A look-up in progress: the type behind `resolve-address-stream`. Dropping it aborts the look-up.
struct Lookup(LookupState);

enum LookupState {
    Awaited(AbortOnDropHandle<Result<Vec<IpAddr>, Failed>>),
    Found(std::vec::IntoIter<IpAddr>),
    Failed(Failed),
}

type Store<'a> = StoreContextMut<'a, Guest>;
/// Single function result.
type One<T> = wasmtime::Result<(T,)>;

pub(in crate::sandbox::network) fn add_to_linker(
    linker: &mut Linker<Guest>,
) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    let lookup = ResourceType::host::<Lookup>();
    interface.resource("resolve-address-stream", lookup, |mut store, rep| {
        let lookup = Resource::<Lookup>::new_own(rep);
        store.data_mut().table().delete(lookup)?;
        Ok(())
    })?;
    interface.func_wrap("resolve-addresses", resolve_addresses)?;
    interface.func_wrap(
        "[method]resolve-address-stream.resolve-next-address",
        |mut store: Store<'_>, (lookup,): (Resource<Lookup>,)| {
            Ok((store.data_mut().table().get_mut(&lookup)?.next(),))
        },
    )?;
    interface.func_wrap(
        "[method]resolve-address-stream.subscribe",
        |mut store: Store<'_>, (lookup,): (Resource<Lookup>,)| {
            Ok((subscribe(store.data_mut().table(), lookup)?,))
        },
    )
}

fn resolve_addresses(
    mut store: Store<'_>,
    (network, name): (Resource<Network>, String),
) -> One<Result<Resource<Lookup>, ErrorCode>> {
    let guest = store.data_mut();
    // The network resource is the permission for look-ups.
    guest.table().get(&network)?;
    let Some(asked) = guest.network.ask() else {
        return Ok((Err(ErrorCode::TemporaryResolverFailure),));
    };
    let answer = tokio::spawn(asked.resolve(name));
    let lookup = Lookup(LookupState::Awaited(AbortOnDropHandle::new(answer)));
    Ok((Ok(guest.table().push(lookup)?),))
}

impl Lookup {
    fn next(&mut self) -> Result<Option<IpAddress>, ErrorCode> {
        if let LookupState::Awaited(answer) = &mut self.0 {
            let Some(answered) = answer.now_or_never() else {
                return Err(ErrorCode::WouldBlock);
            };
            self.0 = LookupState::of(answered);
        }
        match &mut self.0 {
            LookupState::Awaited(_) => Err(ErrorCode::WouldBlock),
            LookupState::Found(addresses) => Ok(addresses.next().map(IpAddress::from)),
            LookupState::Failed(failed) => Err((*failed).into()),
        }
    }
}

impl LookupState {
    fn of(answered: Result<Result<Vec<IpAddr>, Failed>, tokio::task::JoinError>) -> Self {
        match answered {
            Ok(Ok(addresses)) => Self::Found(addresses.into_iter()),
            Ok(Err(failed)) => Self::Failed(failed),
            // The task panicked, or the runtime is shutting down.
            Err(_) => Self::Failed(Failed::Later),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        if let LookupState::Awaited(answer) = &mut self.0 {
            self.0 = LookupState::of(answer.await);
        }
    }
}

impl From<Failed> for ErrorCode {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Malformed => Self::InvalidArgument,
            Failed::Unknown => Self::NameUnresolvable,
            Failed::Denied => Self::AccessDenied,
            Failed::Later => Self::TemporaryResolverFailure,
        }
    }
}
