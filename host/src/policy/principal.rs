//! Who asks, and how policies name those who do.

use crate::names::{AccountId, UserName};

/// Who makes a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Principal {
    /// Someone who did not sign it.
    Anonymous,
    /// Someone with an access key.
    User {
        /// The account the key belongs to.
        account: AccountId,
        /// The user. Without one it is the account itself, its root user.
        name: Option<UserName>,
        /// The ARN of the user, or of the account's root.
        arn: String,
    },
}

/// How a policy means a principal; the later the more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub(super) enum Match {
    /// By its account, which leaves it to the account's own policies.
    Account,
    /// As itself, or as one of all.
    Itself,
}

/// A principal as a policy names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Named {
    /// `*`
    Anyone,
    /// An account: its id, or the ARN of its root.
    Account(AccountId),
    /// The ARN of a user, a role or a session.
    Arn(Box<str>),
    /// A service, a provider of identities, a canonical user. None of them signs requests here.
    Other,
}

impl Principal {
    /// A user of an account, or the account itself.
    pub fn user(account: AccountId, name: Option<UserName>) -> Self {
        let arn = match &name {
            Some(name) => format!("arn:aws:iam::{account}:user/{name}"),
            None => format!("arn:aws:iam::{account}:root"),
        };
        Self::User { account, name, arn }
    }

    /// The account, where there is one.
    pub fn account(&self) -> Option<&AccountId> {
        match self {
            Self::Anonymous => None,
            Self::User { account, .. } => Some(account),
        }
    }

    /// The ARN, where there is one.
    pub fn arn(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::User { arn, .. } => Some(arn),
        }
    }
}

impl Named {
    /// Reads an entry of `Principal`; nothing where it is none.
    pub(super) fn read(kind: &str, text: &str) -> Option<Self> {
        match kind {
            "AWS" if text == "*" => Some(Self::Anyone),
            "AWS" => AccountId::parse(text)
                .map(Self::Account)
                .ok()
                .or_else(|| Self::of_arn(text)),
            "Service" => (text.contains('.') && text.bytes().all(is_label)).then_some(Self::Other),
            "Federated" | "CanonicalUser" => (!text.is_empty()).then_some(Self::Other),
            _ => None,
        }
    }

    /// The ARNs of IAM and STS that can be principals. They have no wildcards.
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

    /// How it means a principal, if it does.
    pub(super) fn matching(&self, principal: &Principal) -> Option<Match> {
        match (self, principal) {
            (Self::Anyone, _) => Some(Match::Itself),
            (Self::Account(named), Principal::User { account, name, .. }) if named == account => {
                Some(match name {
                    None => Match::Itself,
                    Some(_) => Match::Account,
                })
            }
            (Self::Arn(named), Principal::User { arn, .. }) if **named == **arn => {
                Some(Match::Itself)
            }
            _ => None,
        }
    }
}

/// Whether a text is an ARN that can stand in `Principal`.
pub fn is_principal_arn(text: &str) -> bool {
    Named::of_arn(text).is_some()
}

fn is_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-'
}
