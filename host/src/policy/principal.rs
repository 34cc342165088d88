//! Callers, and the principals that policies name.

use crate::names::{AccountId, UserName};

/// Caller of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Principal {
    /// Unsigned request.
    Anonymous,
    /// Request signed with an access key.
    User {
        /// Account of the access key.
        account: AccountId,
        /// IAM user; `None` is the account's root user.
        name: Option<UserName>,
        /// ARN of the user or of the account's root.
        arn: String,
    },
    /// Service of AWS that delivers events, such as `sns.amazonaws.com`.
    Service(&'static str),
}

/// Closeness of a principal match; ordered from weak to strong.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub(super) enum Match {
    /// Account match: it delegates to the account's own identity-based policies.
    Account,
    /// Exact match, or `*`.
    Itself,
}

/// Principal in a policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum PolicyPrincipal {
    /// `*`.
    Anyone,
    /// Account id, or the ARN of its root.
    Account(AccountId),
    /// ARN of a user, role or session.
    Arn(Box<str>),
    /// Service, such as `sns.amazonaws.com`.
    Service(Box<str>),
    /// Identity provider or canonical user. Neither makes requests here.
    Other,
}

impl Principal {
    /// User of an account, or its root.
    pub fn user(account: AccountId, name: Option<UserName>) -> Self {
        let arn = match &name {
            Some(name) => format!("arn:aws:iam::{account}:user/{name}"),
            None => format!("arn:aws:iam::{account}:root"),
        };
        Self::User { account, name, arn }
    }

    /// Account of a user.
    pub fn account(&self) -> Option<&AccountId> {
        match self {
            Self::Anonymous | Self::Service(_) => None,
            Self::User { account, .. } => Some(account),
        }
    }

    /// ARN of a user.
    pub fn arn(&self) -> Option<&str> {
        match self {
            Self::Anonymous | Self::Service(_) => None,
            Self::User { arn, .. } => Some(arn),
        }
    }

    /// Name in error messages.
    pub fn shown(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::User { arn, .. } => arn,
            Self::Service(name) => name,
        }
    }
}

impl PolicyPrincipal {
    /// Parses one entry of `Principal`.
    pub(super) fn read(kind: &str, text: &str) -> Option<Self> {
        match kind {
            "AWS" if text == "*" => Some(Self::Anyone),
            "AWS" => AccountId::parse(text)
                .map(Self::Account)
                .ok()
                .or_else(|| Self::of_arn(text)),
            "Service" => (text.contains('.') && text.bytes().all(is_label))
                .then(|| Self::Service(text.into())),
            "Federated" | "CanonicalUser" => (!text.is_empty()).then_some(Self::Other),
            _ => None,
        }
    }

    /// Parses a principal ARN of IAM or STS. IAM allows no wildcards here.
    pub(super) fn of_arn(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, service, "", account, rest] = parts.as_slice() else {
            return None;
        };
        let account = AccountId::parse(account).ok()?;
        if !partition.starts_with("aws") {
            return None;
        }
        if (*service, *rest) == ("iam", "root") {
            return Some(Self::Account(account));
        }
        let (kind, name) = rest.split_once('/')?;
        let kinds: &[&str] = match *service {
            "iam" => &["user", "role"],
            "sts" => &["assumed-role", "federated-user"],
            _ => return None,
        };
        let plain = !name.is_empty() && name.chars().all(|it| it == '/' || UserName::may_have(it));
        (kinds.contains(&kind) && plain).then(|| Self::Arn(text.into()))
    }

    /// Matches a caller.
    pub(super) fn matching(&self, principal: &Principal) -> Option<Match> {
        match (self, principal) {
            (Self::Anyone, _) => Some(Match::Itself),
            (Self::Account(named), Principal::User { account, name, .. }) if named == account => {
                Some(match name {
                    None => Match::Itself,
                    Some(_) => Match::Account,
                })
            }
            (Self::Service(named), Principal::Service(name)) if **named == **name => {
                Some(Match::Itself)
            }
            (Self::Arn(named), Principal::User { arn, .. }) if **named == **arn => {
                Some(Match::Itself)
            }
            _ => None,
        }
    }
}

/// True for ARNs that `Principal` may hold.
pub fn is_principal_arn(text: &str) -> bool {
    PolicyPrincipal::of_arn(text).is_some()
}

fn is_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-'
}
