//! Record of a function in the store, and a function with one of its versions.

use crate::control::configuration::{FunctionRecord, VersionRecord};
use crate::control::kind;
use crate::control::record::encode;
use crate::names::FunctionName;
use crate::store::{Expect, Key, Write};

/// A function, and the version of it that was asked for.
#[derive(Clone, Debug)]
pub struct Found {
    /// The function.
    pub function: FunctionRecord,
    /// The version.
    pub version: VersionRecord,
}

/// Write of a function's record.
pub(in crate::control) fn put(record: &FunctionRecord, expect: Expect) -> Write {
    Write::Put {
        key: key(&record.name),
        value: encode(record),
        expect,
    }
}

/// Key of a function's record.
pub(in crate::control) fn key(name: &FunctionName) -> Key {
    Key {
        kind: kind::FUNCTION,
        id: name.as_str().to_owned(),
    }
}
