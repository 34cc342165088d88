//! `lamina sign keygen`: generates a key file and prints the signing profile.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::shown;
use crate::cli::{Ended, Format, Printing, output};
use crate::clock::Clock;
use crate::config::SigningAlgorithm;
use crate::control::code_signing::key::SigningKey;
use crate::control::code_signing::profile;
use crate::disk;
use crate::names::{AccountId, Home, Region};

#[derive(Args, Clone, Debug)]
pub(super) struct Keygen {
    /// Signature algorithm.
    #[arg(long, value_enum, default_value_t = Algorithm::Ed25519)]
    algorithm: Algorithm,
    /// Output file for the private key. Must not exist; created with mode 600.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Name of the signing profile.
    #[arg(long, default_value = "release", value_parser = name)]
    name: String,
    /// Account id of the host.
    #[arg(long, value_name = "DIGITS", default_value = "000000000000", value_parser = AccountId::parse)]
    account_id: AccountId,
    /// Region of the host.
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1", value_parser = Region::parse)]
    region: Region,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Algorithm {
    Ed25519,
    EcdsaP256,
}

impl Keygen {
    pub(super) fn run(self) -> anyhow::Result<Ended> {
        let home = Home {
            account: self.account_id,
            region: self.region,
        };
        let algorithm = match self.algorithm {
            Algorithm::Ed25519 => SigningAlgorithm::Ed25519,
            Algorithm::EcdsaP256 => SigningAlgorithm::EcdsaP256,
        };
        let key = SigningKey::generate(algorithm)?;
        let pem = key.to_pem()?;
        let mut file = disk::create_new(&self.out)
            .with_context(|| format!("{}: nothing was written", shown(&self.out)))?;
        file.write_all(pem.as_bytes())
            .with_context(|| shown(&self.out))?;
        let (name, version) = (self.name, version(&Clock::system()));
        let arn = profile::version_arn(&home, &name, &version);
        let (algorithm, public_key) = (algorithm.as_str(), key.public_key()?);
        output::line(&match self.printing.format() {
            Format::Text => format!(
                "# {arn}\n[[signing_profiles]]\nname = \"{name}\"\nversion = \"{version}\"\n\
                 algorithm = \"{algorithm}\"\npublic_key = \"{public_key}\""
            ),
            Format::Json => json!({
                "ProfileVersionArn": arn,
                "Name": name,
                "Version": version,
                "Algorithm": algorithm,
                "PublicKey": public_key,
            })
            .to_string(),
        });
        Ok(Ended::Well)
    }
}

fn name(text: &str) -> Result<String, String> {
    let fits = profile::is_name(text).then(|| text.to_owned());
    fits.ok_or_else(|| "a name has 2 to 64 letters, digits and underscores".to_owned())
}

/// Ten random letters and digits, so that collisions of versions are improbable.
fn version(clock: &Clock) -> String {
    let symbols = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let symbol = |byte: u8| char::from(symbols[usize::from(byte) % symbols.len()]);
    clock.random::<10>().into_iter().map(symbol).collect()
}
