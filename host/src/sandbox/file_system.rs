//! File systems that functions mount: their access points in `lamina.toml`, and the errors of a mount. The operations
//! on them are in `filesystem::access_point`.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rustix::io::Errno;
use schemars::JsonSchema;
use serde::Deserialize;

/// Hexadecimal digits of the id of an access point: exactly the fewest for EFS.
const ID_DIGITS_MIN: usize = 17;
const ID_DIGITS_MAX: usize = 40;
/// Errors of a mount whose server cannot be reached.
const UNCONNECTED: [Errno; 5] = [
    Errno::NOTCONN,
    Errno::HOSTUNREACH,
    Errno::HOSTDOWN,
    Errno::CONNREFUSED,
    Errno::CONNABORTED,
];

/// An access point: a directory of the host that functions mount by its ARN.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSystem {
    /// ARN that `FileSystemConfigs` of functions name, of an access point of EFS or S3 Files. Since 0.1.0.
    #[schemars(with = "String")]
    pub arn: AccessPointArn,
    /// Directory of the host. Since 0.1.0.
    pub directory: PathBuf,
    /// Path in the directory that functions see as the root; made if missing. Since 0.1.0.
    #[serde(default = "whole")]
    pub root: PathBuf,
    /// Functions only read. Since 0.1.0.
    #[serde(default)]
    pub read_only: bool,
    /// Bytes of all files, in blocks of 4 KiB. Default: no bound. Since 0.1.0.
    #[serde(default)]
    pub quota_bytes: Option<u64>,
    /// Files, directories and links. Default: no bound. Since 0.1.0.
    #[serde(default)]
    pub quota_files: Option<u64>,
}

/// ARN of an access point.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct AccessPointArn(String);

/// An access point that a function mounts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileSystemMount {
    /// ARN of the access point.
    pub arn: String,
    /// Path at which the function sees it.
    pub path: String,
}

/// Error of a file system that could not be mounted.
#[derive(Debug)]
pub struct MountError {
    /// ARN of the access point.
    pub arn: String,
    /// The cause.
    pub problem: MountProblem,
}

/// Cause of a failed mount. Each has an exception of AWS.
#[derive(Debug)]
pub enum MountProblem {
    /// `lamina.toml` has no such access point.
    Undeclared,
    /// The directory could not be opened.
    Failed(io::Error),
    /// The directory could not be read.
    Io(io::Error),
    /// The server behind the directory cannot be reached.
    Unconnected(io::Error),
    /// The directory did not open in time.
    TimedOut,
}

/// Text that is no ARN of an access point.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not the ARN of an access point: arn:aws:elasticfilesystem:<region>:<account>:access-point/fsap-<17 \
     hexadecimal digits> or arn:aws:s3files:<region>:<account>:file-system/fs-<17 to 40 hexadecimal digits>\
     /access-point/fsap-<17 to 40 hexadecimal digits>"
)]
pub struct InvalidArn(String);

fn whole() -> PathBuf {
    "/".into()
}

impl AccessPointArn {
    /// The ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AccessPointArn {
    type Error = InvalidArn;

    fn try_from(text: String) -> Result<Self, InvalidArn> {
        if is_access_point(&text) {
            return Ok(Self(text));
        }
        Err(InvalidArn(text))
    }
}

fn is_access_point(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let &["arn", partition, service, region, account, resource] = parts.as_slice() else {
        return false;
    };
    let is_account = account.len() == 12 && account.bytes().all(|it| it.is_ascii_digit());
    if !partition.starts_with("aws") || region.is_empty() || !is_account {
        return false;
    }
    match service {
        "elasticfilesystem" => resource
            .strip_prefix("access-point/")
            .is_some_and(|id| is_id(id, "fsap-", ID_DIGITS_MIN)),
        "s3files" => resource
            .strip_prefix("file-system/")
            .and_then(|rest| rest.split_once("/access-point/"))
            .is_some_and(|(system, point)| {
                is_id(system, "fs-", ID_DIGITS_MAX) && is_id(point, "fsap-", ID_DIGITS_MAX)
            }),
        _ => false,
    }
}

fn is_id(id: &str, prefix: &str, digits_max: usize) -> bool {
    let is_digit = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
    id.strip_prefix(prefix).is_some_and(|digits| {
        (ID_DIGITS_MIN..=digits_max).contains(&digits.len()) && digits.bytes().all(is_digit)
    })
}

impl MountProblem {
    pub(super) fn of(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(errno) if UNCONNECTED.contains(&errno) => Self::Unconnected(error),
            Some(Errno::TIMEDOUT) => Self::TimedOut,
            Some(Errno::IO | Errno::STALE) => Self::Io(error),
            _ => Self::Failed(error),
        }
    }
}

impl MountError {
    /// True for an access point of S3 Files.
    pub fn is_s3_files(&self) -> bool {
        self.arn.contains(":s3files:")
    }
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = if self.is_s3_files() {
            "S3 Files"
        } else {
            "EFS"
        };
        let system = format!("the {service} file system with access point {}", self.arn);
        match &self.problem {
            MountProblem::Undeclared => write!(
                f,
                "The function couldn't mount {system}. This host has no such access point: add it to [[file_systems]] \
                 of lamina.toml."
            ),
            MountProblem::Failed(_) => write!(
                f,
                "The function couldn't mount {system}. The host's log has the reason."
            ),
            MountProblem::Io(_) => write!(f, "The function couldn't read from {system}."),
            MountProblem::Unconnected(_) => {
                write!(f, "The function couldn't connect to {system}.")
            }
            MountProblem::TimedOut => {
                write!(f, "The function couldn't mount {system} due to a time out.")
            }
        }
    }
}

impl std::error::Error for MountError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            MountProblem::Failed(error)
            | MountProblem::Io(error)
            | MountProblem::Unconnected(error) => Some(error),
            MountProblem::Undeclared | MountProblem::TimedOut => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arn_of_access_point_is_read_and_others_are_refused() {
        let id = "0123456789abcdef0";
        let efs =
            format!("arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-{id}");
        let s3 = format!(
            "arn:aws:s3files:eu-west-1:000000000000:file-system/fs-{id}/access-point/fsap-{id}abc"
        );
        for arn in [efs.clone(), s3.clone()] {
            assert_eq!(AccessPointArn::try_from(arn.clone()).unwrap().as_str(), arn);
        }
        for arn in [
            format!("{efs}0"),
            efs.replace(id, "0123456789ABCDEF0"),
            efs.replace("000000000000", "0"),
            efs.replace("access-point", "file-system"),
            s3.replace("/access-point", ""),
            s3.replace("s3files", "s3"),
            String::new(),
        ] {
            assert!(AccessPointArn::try_from(arn.clone()).is_err(), "{arn}");
        }
    }
}
