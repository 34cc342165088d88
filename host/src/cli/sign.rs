//! `lamina sign`: signs a package locally. The host verifies the signature on deployment.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Ended, Format, Printing, output};
use crate::clock::Clock;
use crate::control::code_signing::key::SigningKey;
use crate::control::code_signing::profile;
use crate::control::code_signing::sign::{Terms, sign};
use crate::control::code_signing::signature::Moment;
use crate::names::RequestId;

mod keygen;

/// Sign a package, or generate a signing key.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Sign {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    package: Option<SignPackage>,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Generate a key and print its signing profile for lamina.toml.
    Keygen(keygen::Keygen),
}

#[derive(Args, Clone, Debug)]
struct SignPackage {
    /// Zip of a function or a layer, or a component.
    package: PathBuf,
    /// Private key file.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// ARN of the signing profile version that has the public key.
    #[arg(long, value_name = "ARN")]
    profile: String,
    /// Output file for the signed zip.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Validity of the signature in days [default: the profile's].
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    valid_days: Option<u32>,
}

impl Sign {
    pub(super) fn run(self) -> anyhow::Result<Ended> {
        match (self.command, self.package) {
            (Some(Command::Keygen(keygen)), _) => keygen.run(),
            (None, Some(package)) => package.run(self.printing.format()),
            (None, None) => bail!("name the package to sign"),
        }
    }
}

impl SignPackage {
    fn run(self, format: Format) -> anyhow::Result<Ended> {
        let package = std::fs::read(&self.package).with_context(|| shown(&self.package))?;
        let signed = signed(package.into(), &self.key, &self.profile, self.valid_days);
        let (signed, job_arn) = signed.with_context(|| shown(&self.package))?;
        std::fs::write(&self.out, &signed).with_context(|| shown(&self.out))?;
        output::line(&match format {
            Format::Text => format!("{}\n{job_arn}", shown(&self.out)),
            Format::Json => json!({
                "Package": self.out,
                "SigningJobArn": job_arn,
                "SigningProfileVersionArn": self.profile,
            })
            .to_string(),
        });
        Ok(Ended::Well)
    }
}

/// Signs a package with a key file. Returns the signed zip and the ARN of the signing job.
pub(super) fn signed(
    package: Bytes,
    key: &Path,
    profile: &str,
    valid_days: Option<u32>,
) -> anyhow::Result<(Bytes, String)> {
    let home = profile::home_of(profile).with_context(|| {
        format!(
            "{profile} is not the ARN of a signing profile's version, such as \
             arn:aws:signer:us-east-1:000000000000:/signing-profiles/release/0123456789"
        )
    })?;
    let key = read_key(key)?;
    let clock = Clock::system();
    let now = clock.now();
    let days = |days| Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    let terms = Terms {
        profile: profile.to_owned(),
        job: RequestId::random(&clock).to_string(),
        signed_at: Moment::of(now),
        expires_at: valid_days.map(|it| Moment::of(now.after(days(it)))),
    };
    let job_arn = profile::job_arn(&home, &terms.job);
    Ok((sign(package, &key, terms)?, job_arn))
}

fn read_key(path: &Path) -> anyhow::Result<SigningKey> {
    let text = std::fs::read_to_string(path).with_context(|| shown(path))?;
    let mode = std::fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        output::note(&format!(
            "{} can be read by other users; a private key should have mode 600",
            shown(path)
        ));
    }
    SigningKey::from_pem(&text).with_context(|| shown(path))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
