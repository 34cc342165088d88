//! Directory names of log groups: percent-encoded group names; long ones end in a digest.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Limit of encoded names. File systems allow 255 bytes.
const BYTES_MAX: usize = 200;
/// Characters left unencoded. The dot is encoded, because `..` is a valid group name.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'#');
/// Separator before a digest. Encoded names do not contain it.
const DIGESTED: char = '~';
/// Prefix of a directory under deletion. Encoded names never begin with it.
const DELETED: &str = "~deleted-";

/// Directory name of a group.
pub(super) fn of(group: &str) -> String {
    let mut name = utf8_percent_encode(group, PLAIN).to_string();
    if name.len() > BYTES_MAX {
        name.truncate(BYTES_MAX / 2);
        name.push(DIGESTED);
        for byte in digest(&SHA256, group.as_bytes()).as_ref() {
            let _ = write!(name, "{byte:02x}");
        }
    }
    name
}

/// Group name of a directory; `None` for digested or foreign names.
pub(super) fn decoded(directory: &OsStr) -> Option<String> {
    let name = directory.to_str()?;
    if name.contains(DIGESTED) {
        return None;
    }
    let decoded = percent_decode_str(name).decode_utf8();
    Some(decoded.ok()?.into_owned())
}

/// Name of a directory under deletion.
pub(super) fn deleted(directory: &OsStr) -> OsString {
    let mut name = OsString::from(DELETED);
    name.push(directory);
    name
}

/// True for a directory under deletion.
pub(super) fn is_deleted(directory: &OsStr) -> bool {
    directory.as_encoded_bytes().starts_with(DELETED.as_bytes())
}
