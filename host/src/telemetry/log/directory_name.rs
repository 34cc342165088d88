//! Names of the directories of log groups. Most are the group's own name, percent-encoded; longer ones end in a digest.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Bound on encoded names. File systems take 255 bytes.
const BYTES_MAX: usize = 200;
/// Characters that are not encoded. A dot is: `..` may be the name of a group.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'#');
/// Stands before a digest. Encoded names do not contain it.
const DIGESTED: char = '~';
/// Marks a directory that is being deleted. Encoded names do not begin with it.
const DELETED: &str = "~deleted-";

/// The name of a group's directory.
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

/// The group of a directory; `None` if its name is a digest or no group's.
pub(super) fn decoded(directory: &OsStr) -> Option<String> {
    let name = directory.to_str()?;
    if name.contains(DIGESTED) {
        return None;
    }
    let decoded = percent_decode_str(name).decode_utf8();
    Some(decoded.ok()?.into_owned())
}

/// The name under which a directory is deleted.
pub(super) fn deleted(directory: &OsStr) -> OsString {
    let mut name = OsString::from(DELETED);
    name.push(directory);
    name
}

/// Whether a directory is being deleted.
pub(super) fn is_deleted(directory: &OsStr) -> bool {
    directory.as_encoded_bytes().starts_with(DELETED.as_bytes())
}
