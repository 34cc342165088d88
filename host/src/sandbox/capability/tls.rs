//! `lambda:managed/tls`: TLS sessions of managed runtimes, whose languages have no TLS of their own here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use wasmtime::component::Linker;

use crate::sandbox::guest::Guest;
use crate::sandbox::scheduler::leave_network;
use crate::sandbox::tls::{Progress, Settings};

/// Name of the interface in `wit/managed`.
const TLS: &str = "lambda:managed/tls@1.0.0";

type Fallible<T> = (Result<T, String>,);

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut tls = linker.instance(TLS)?;
    tls.func_wrap_async("configure", |mut store, (settings,): (Settings,)| {
        Box::new(async move {
            let trust = store.data().tls.trust.clone();
            let roots = match &settings.authorities {
                Some(_) => None,
                None => Some(trust.roots().await?),
            };
            let made: Fallible<u32> = (store.data_mut().tls.configure(&settings, roots),);
            Ok(made)
        })
    })?;
    tls.func_wrap("open", |mut store, (settings, name): (u32, String)| {
        let opened: Fallible<u32> = (store.data_mut().tls.open(settings, name),);
        Ok(opened)
    })?;
    tls.func_wrap_async(
        "exchange",
        |mut store, (session, records, plaintext): (u32, String, String)| {
            Box::new(async move {
                // Keys and certificates take a millisecond.
                if store.data().tls.is_handshaking(session) {
                    leave_network().await;
                }
                let (records, plaintext) = (STANDARD.decode(records), STANDARD.decode(plaintext));
                let (Ok(records), Ok(plaintext)) = (records, plaintext) else {
                    return Ok((Progress::failed("the bytes are not base64"),));
                };
                let sessions = &mut store.data_mut().tls;
                Ok((sessions.exchange(session, &records, &plaintext),))
            })
        },
    )?;
    tls.func_wrap("close", |mut store, (session,): (u32,)| {
        Ok((store.data_mut().tls.close(session),))
    })?;
    tls.func_wrap("describe", |store, (session,): (u32,)| {
        Ok((store.data().tls.describe(session),))
    })
}
