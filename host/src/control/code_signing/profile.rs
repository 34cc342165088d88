//! Signing profiles trusted by this host, parsed from its configuration at start.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::key::{self, PublicKey};
use super::signature::{Moment, SignedStatement, is_job};
use crate::clock::Timestamp;
use crate::config::{SigningAlgorithm, SigningProfile};
use crate::names::Home;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const NAME_CHARS: std::ops::RangeInclusive<usize> = 2..=64;
const VERSION_CHARS: usize = 10;

/// Error of the profiles in the configuration.
#[derive(Debug, thiserror::Error)]
#[error("signing profile {name}/{version}: {problem}")]
pub struct Error {
    name: String,
    version: String,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("its name must be 2 to 64 letters, digits and underscores")]
    Name,
    #[error("its version must be ten letters and digits")]
    Version,
    #[error("there is another one of this name and version")]
    Twice,
    #[error("public_key: {0}")]
    Key(#[from] key::Error),
    #[error("validity_days must be at least 1")]
    Validity,
    #[error("revoked_at is not a time such as 2026-01-31T12:00:00Z")]
    RevokedAt,
    #[error("revoked_jobs: {0:?} is not the id of a signing job")]
    Job(String),
}

/// Profiles of the host, by ARN.
#[derive(Clone, Debug, Default)]
pub struct Profiles(BTreeMap<String, Profile>);

/// A profile version.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The algorithm of its key.
    pub algorithm: SigningAlgorithm,
    /// The public key.
    pub key: PublicKey,
    validity: Option<Duration>,
    revoked_at: Option<Timestamp>,
    revoked_jobs: HashSet<String>,
}

impl Profiles {
    /// Parses the profiles of a configuration.
    ///
    /// # Errors
    /// Where one of them cannot be used, with which and why.
    pub fn read(given: &[SigningProfile], home: &Home) -> Result<Self, Error> {
        let mut profiles = BTreeMap::new();
        for profile in given {
            let refused = |problem| Error {
                name: profile.name.clone(),
                version: profile.version.clone(),
                problem,
            };
            let read = Profile::read(profile).map_err(refused)?;
            let arn = version_arn(home, &profile.name, &profile.version);
            if profiles.insert(arn, read).is_some() {
                return Err(refused(Problem::Twice));
            }
        }
        Ok(Self(profiles))
    }

    /// Profile version by ARN.
    pub fn get(&self, arn: &str) -> Option<&Profile> {
        self.0.get(arn)
    }
}

impl Profile {
    fn read(given: &SigningProfile) -> Result<Self, Problem> {
        if !is_name(&given.name) {
            return Err(Problem::Name);
        }
        if !is_version(&given.version) {
            return Err(Problem::Version);
        }
        if given.validity_days == Some(0) {
            return Err(Problem::Validity);
        }
        let revoked_at = given.revoked_at.as_deref();
        let revoked_at = revoked_at.map(|text| Moment::parse(text).ok_or(Problem::RevokedAt));
        if let Some(job) = given.revoked_jobs.iter().find(|job| !is_job(job)) {
            return Err(Problem::Job(job.clone()));
        }
        Ok(Self {
            algorithm: given.algorithm,
            key: PublicKey::parse(given.algorithm, &given.public_key)?,
            validity: given.validity_days.map(|days| DAY * days),
            revoked_at: revoked_at.transpose()?.map(|moment| moment.at()),
            revoked_jobs: given.revoked_jobs.iter().cloned().collect(),
        })
    }

    /// Expiry of a signature: the earlier of its own and the profile's.
    pub fn expires_at(&self, statement: &SignedStatement) -> Option<Timestamp> {
        let own = statement.expires_at.as_ref().map(Moment::at);
        let bound = self
            .validity
            .map(|days| statement.signed_at.at().after(days));
        own.into_iter().chain(bound).min()
    }

    /// True if the signature was revoked.
    pub fn has_revoked(&self, statement: &SignedStatement) -> bool {
        let late = self
            .revoked_at
            .is_some_and(|at| statement.signed_at.at() >= at);
        late || self.revoked_jobs.contains(&statement.job)
    }
}

/// ARN of a profile version.
pub fn version_arn(home: &Home, name: &str, version: &str) -> String {
    let Home { account, region } = home;
    format!("arn:aws:signer:{region}:{account}:/signing-profiles/{name}/{version}")
}

/// ARN of a signing job.
pub fn job_arn(home: &Home, job: &str) -> String {
    let Home { account, region } = home;
    format!("arn:aws:signer:{region}:{account}:/signing-jobs/{job}")
}

/// True for a valid name of a profile.
pub fn is_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    NAME_CHARS.contains(&name.len()) && name.bytes().all(word)
}

/// True for a valid version of a profile.
pub fn is_version(version: &str) -> bool {
    version.len() == VERSION_CHARS && version.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Account and region of a profile version ARN; `None` for other ARNs.
pub fn home_of(arn: &str) -> Option<Home> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", "aws", "signer", region, account, resource] = parts.as_slice() else {
        return None;
    };
    let home = Home {
        account: crate::names::AccountId::parse(account).ok()?,
        region: crate::names::Region::parse(region).ok()?,
    };
    let (name, version) = resource
        .strip_prefix("/signing-profiles/")?
        .split_once('/')?;
    (is_name(name) && is_version(version)).then_some(home)
}
