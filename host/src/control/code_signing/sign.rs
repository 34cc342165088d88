//! Signing of packages: rewrites the zip with a signature. Runs on the key owner's machine; hosts
//! only verify.

use std::io::{Cursor, Write};
use std::path::Path;

use bytes::Bytes;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::key::{self, SigningKey};
use super::signature::{BYTES_MAX, Moment, PATH, Signature, SignedStatement};
use crate::library::package::{self, BARE_NAME, Package, PackageSource};

/// Error of the signing of a package.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Package that no host would accept.
    #[error(transparent)]
    Package(#[from] package::Error),
    /// Signing failed.
    #[error(transparent)]
    Key(#[from] key::Error),
    /// Zip could not be rewritten.
    #[error("the package could not be written again: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// The package that was written differs from the one that was signed.
    #[error("the package could not be written again as it was")]
    Changed,
}

/// Profile and validity of a new signature.
#[derive(Clone, Debug)]
pub struct Terms {
    /// ARN of the profile version.
    pub profile: String,
    /// Signing job id.
    pub job: String,
    /// Signing time.
    pub signed_at: Moment,
    /// Expiry.
    pub expires_at: Option<Moment>,
}

/// Package with a signature; replaces an existing one. A bare component is wrapped in a zip.
///
/// # Errors
/// Where it is not a package, or would be too large.
pub fn sign(package: Bytes, key: &SigningKey, terms: Terms) -> Result<Bytes, Error> {
    let inside = Package::read(PackageSource::Memory(package.clone()))?.inside(PATH, BYTES_MAX)?;
    let contents = inside.manifest.digest();
    let statement = SignedStatement {
        algorithm: key.algorithm(),
        profile: terms.profile,
        job: terms.job,
        signed_at: terms.signed_at,
        expires_at: terms.expires_at,
    };
    let value = key.sign(&statement.message(&contents))?;
    let signature = Signature { statement, value }.to_json();
    let signed: Bytes = rewritten(&package, &signature)?.into();
    let written = Package::read(PackageSource::Memory(signed.clone()))?.inside(PATH, BYTES_MAX)?;
    let whole = written.manifest.digest() == contents;
    match written.apart {
        Some(found) if whole && found == signature => Ok(signed),
        _ => Err(Error::Changed),
    }
}

fn rewritten(package: &Bytes, signature: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = ZipWriter::new(Cursor::new(Vec::with_capacity(package.len())));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let options = options.unix_permissions(0o644);
    if package.starts_with(b"\0asm") {
        out.start_file(BARE_NAME, options)?;
        out.write_all(package).map_err(package::Error::Io)?;
    } else {
        let mut source = ZipArchive::new(Cursor::new(package.as_ref()))?;
        for index in 0..source.len() {
            let entry = source.by_index_raw(index)?;
            if !is_signature(&entry.name()?) {
                out.raw_copy_file(entry)?;
            }
        }
    }
    out.start_file(PATH, options)?;
    out.write_all(signature).map_err(package::Error::Io)?;
    Ok(out.finish()?.into_inner())
}

/// Matches other spellings of the path too, such as `./META-INF/…`.
fn is_signature(name: &str) -> bool {
    let parts = name.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.eq(Path::new(PATH).iter().filter_map(|part| part.to_str()))
}
