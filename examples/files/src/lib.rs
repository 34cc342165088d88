//! Files that all environments of a function share and that outlive them.
//!
//! The host's `lamina.toml` declares an access point, and the function mounts it:
//!
//! ```toml
//! [[file_systems]]
//! arn = "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0"
//! directory = "/srv/books"
//! quota_bytes = 1073741824
//! ```
//!
//! ```sh
//! aws lambda update-function-configuration --function-name files --file-system-configs \
//!   Arn=arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0,LocalMountPath=/mnt/books
//! ```
//!
//! The response to `{"book": "guests", "line": "Ada was here"}` is the number of lines in the book.

use std::fs::{self, File};
use std::io::Write;

use lamina_sdk::{Error, LambdaEvent, handler};

const DIRECTORY: &str = "/mnt/books";

#[derive(serde::Deserialize)]
struct Entry {
    book: String,
    line: String,
}

#[handler]
fn write(event: LambdaEvent<Entry>) -> Result<usize, Error> {
    let Entry { book, line } = event.payload;
    let path = format!("{DIRECTORY}/{book}");
    // Each append is one step: environments that write at the same time lose nothing.
    let mut file = File::options().create(true).append(true).open(&path)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    Ok(fs::read_to_string(&path)?.lines().count())
}
