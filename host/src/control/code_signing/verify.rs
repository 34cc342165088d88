//! Signature checks of a package before it is deployed, in AWS's order: integrity, expiry, mismatch, revocation.
//! A failed integrity check always blocks; for the others the policy decides.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::profile::{self, Profile, Profiles};
use super::signature::{BYTES_MAX, Malformed, PATH, Signature, SignedStatement};
use super::{CodeSigningConfig, CodeSigningError, Policy};
use crate::clock::Timestamp;
use crate::control::layer::LayerUse;
use crate::control::{Control, Error};
use crate::library::package::{self, Package, PackageSource};
use crate::library::{Stored, blocking};
use crate::names::Home;

/// Tolerance for a signer's clock that is ahead of this host's.
const AHEAD_MAX: Duration = Duration::from_secs(300);

/// The signer of a package, as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signed {
    /// ARN of the profile version.
    pub profile_version_arn: String,
    /// ARN of the signing job.
    pub job_arn: String,
}

/// Result of the checks.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// The signature is valid and allowed.
    Trusted(Signed),
    /// No signature that is allowed, or one that has expired or was revoked.
    Untrusted(Distrust),
    /// A signature that is none of this package.
    Broken(Damage),
}

/// Reason for which a signature is not trusted.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum Distrust {
    #[error("the package is not signed")]
    Unsigned,
    #[error("this host has no signing profile {0}")]
    Unknown(String),
    #[error("the signature says that it was made in the future")]
    Early,
    #[error("the signature has expired")]
    Expired,
    #[error("the configuration does not allow signing profile {0}")]
    Mismatch(String),
    #[error("the signature was revoked")]
    Revoked,
}

/// Integrity failure of a signature.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Damage {
    /// Malformed signature.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Algorithm differs from the profile's.
    #[error("it is signed with another algorithm than its signing profile has")]
    Algorithm,
    /// Package or key differs.
    #[error("the package is not the one that was signed, or another key signed it")]
    Altered,
}

/// Verifies a package. Takes as long as unzipping it.
pub(super) fn judge(
    source: PackageSource,
    profiles: &Profiles,
    allowed: &[String],
    home: &Home,
    now: Timestamp,
) -> Result<Verdict, package::Error> {
    let (statement, profile) = match examine(&Package::read(source)?, profiles)? {
        Ok(intact) => intact,
        Err(verdict) => return Ok(verdict),
    };
    let expired = profile.expires_at(&statement).is_some_and(|end| now >= end);
    let distrust = if expired {
        Distrust::Expired
    } else if statement.signed_at.at() > now.after(AHEAD_MAX) {
        Distrust::Early
    } else if !allowed.contains(&statement.profile) {
        Distrust::Mismatch(statement.profile)
    } else if profile.has_revoked(&statement) {
        Distrust::Revoked
    } else {
        return Ok(Verdict::Trusted(Signed::by(statement, home)));
    };
    Ok(Verdict::Untrusted(distrust))
}

/// Intact signature of a package with its profile, or the verdict.
fn examine<'a>(
    package: &Package,
    profiles: &'a Profiles,
) -> Result<Result<(SignedStatement, &'a Profile), Verdict>, package::Error> {
    let inside = package.inside(PATH, BYTES_MAX)?;
    let Some(found) = inside.apart else {
        return Ok(Err(Verdict::Untrusted(Distrust::Unsigned)));
    };
    let Signature { statement, value } = match Signature::read(&found) {
        Ok(signature) => signature,
        Err(malformed) => return Ok(Err(Verdict::Broken(malformed.into()))),
    };
    // Without the profile's key the signature cannot be verified; it is treated as missing.
    let Some(profile) = profiles.get(&statement.profile) else {
        return Ok(Err(Verdict::Untrusted(Distrust::Unknown(
            statement.profile,
        ))));
    };
    // The profile determines the algorithm; the signature's claim is only compared.
    if statement.algorithm != profile.algorithm {
        return Ok(Err(Verdict::Broken(Damage::Algorithm)));
    }
    let message = statement.message(&inside.manifest.digest());
    if !profile.key.verifies(&message, &value) {
        return Ok(Err(Verdict::Broken(Damage::Altered)));
    }
    Ok(Ok((statement, profile)))
}

impl Signed {
    fn by(statement: SignedStatement, home: &Home) -> Self {
        Self {
            job_arn: profile::job_arn(home, &statement.job),
            profile_version_arn: statement.profile,
        }
    }
}

/// Applies the policy to the result of the checks.
pub(super) fn admit(
    verdict: Verdict,
    policy: Policy,
    subject: &str,
) -> Result<Option<Signed>, Error> {
    match (verdict, policy) {
        (Verdict::Trusted(signed), _) => Ok(Some(signed)),
        (Verdict::Broken(damage), _) => Err(CodeSigningError::InvalidSignature {
            subject: subject.to_owned(),
            damage,
        }
        .into()),
        (Verdict::Untrusted(reason), Policy::Warn) => {
            tracing::warn!(subject, %reason, "code is deployed that failed its signature check");
            Ok(None)
        }
        (Verdict::Untrusted(reason), Policy::Enforce) => {
            tracing::warn!(subject, %reason, "code is refused that failed its signature check");
            Err(CodeSigningError::VerificationFailed(subject.to_owned()).into())
        }
    }
}

impl Control {
    /// Verifies a package before deployment, against the function's code signing configuration if
    /// it has one. `subject` is the name in AWS's refusal: a new function's name, or the ARN of an
    /// existing one. Returns the allowed signer.
    ///
    /// # Errors
    /// Where the configuration is not there, the package is none, its signature is broken, or the
    /// signature does not count and the configuration's policy is to enforce.
    pub async fn verify_package(
        &self,
        config_arn: Option<&str>,
        package: &Stored,
        subject: &str,
    ) -> Result<Option<Signed>, Error> {
        let Some(arn) = config_arn else {
            return Ok(None);
        };
        let config = self.require_code_signing_config(arn).await?;
        self.verify(&config, package, subject).await
    }

    /// Verifies the layers of a function like [`verify_package`](Self::verify_package) its code.
    /// Their records hold the signers.
    ///
    /// # Errors
    /// As there, for the first layer that is no good.
    pub(in crate::control) async fn verify_layers(
        &self,
        config_arn: Option<&str>,
        layers: &[LayerUse],
    ) -> Result<(), Error> {
        let Some(arn) = config_arn.filter(|_| !layers.is_empty()) else {
            return Ok(());
        };
        let config = self.require_code_signing_config(arn).await?;
        for layer in layers {
            let (digest, subject) = (layer.package.digest, layer.arn.to_string());
            let package = self.library().stored(digest).await?;
            let lost = || CodeSigningError::PackageLost(subject.clone(), digest);
            self.verify(&config, &package.ok_or_else(lost)?, &subject)
                .await?;
        }
        Ok(())
    }

    /// The signer of a package, if the signature is intact and of a profile of this host. Policies are not
    /// applied.
    ///
    /// # Errors
    /// Where it is no package.
    pub(in crate::control) async fn signer_of(
        &self,
        package: &Stored,
    ) -> Result<Option<Signed>, Error> {
        let (control, source) = (self.clone(), package.source());
        blocking(move || {
            let package = Package::read(source)?;
            if !package.has(PATH) {
                return Ok(None);
            }
            let found = examine(&package, &control.0.config.signing_profiles)?;
            Ok(found
                .ok()
                .map(|(statement, _)| Signed::by(statement, control.home())))
        })
        .await
        .map_err(Error::from)
    }

    async fn verify(
        &self,
        config: &CodeSigningConfig,
        package: &Stored,
        subject: &str,
    ) -> Result<Option<Signed>, Error> {
        let (allowed, policy) = (config.allowed_profiles.clone(), config.policy);
        let (control, source, now) = (self.clone(), package.source(), self.0.clock.now());
        let verdict = blocking(move || {
            let (profiles, home) = (&control.0.config.signing_profiles, control.home());
            Ok(judge(source, profiles, &allowed, home, now)?)
        })
        .await?;
        admit(verdict, policy, subject)
    }
}
