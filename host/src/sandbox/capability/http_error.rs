//! `http-error-code` of `wasi:http/types`: wasmtime's own finds the code of a failed write, and none of a body that
//! could not be read.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

use crate::sandbox::guest::Guest;

/// Interface version of wasmtime's definition, which this one replaces.
const TYPES: &str = "wasi:http/types@0.2.12";

/// Single function result.
type One<T> = wasmtime::Result<(T,)>;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES)?;
    types.func_wrap("http-error-code", error_code)
}

fn error_code(
    mut store: StoreContextMut<'_, Guest>,
    (error,): (Resource<wasmtime::Error>,),
) -> One<Option<ErrorCode>> {
    let error = store.data_mut().table().get(&error)?;
    let of_write = error.downcast_ref::<ErrorCode>().cloned();
    Ok((of_write.or_else(|| error.downcast_ref().map(of_read)),))
}

/// Errors of bodies; the others are of heads.
fn of_read(error: &Error) -> ErrorCode {
    match error {
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Error::ConnectionTerminated => ErrorCode::ConnectionTerminated,
        Error::HttpRequestBodySize(size) => ErrorCode::HttpRequestBodySize(*size),
        Error::HttpResponseIncomplete => ErrorCode::HttpResponseIncomplete,
        Error::HttpResponseTimeout => ErrorCode::HttpResponseTimeout,
        _ => ErrorCode::HttpProtocolError,
    }
}
