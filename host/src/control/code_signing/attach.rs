//! Attachment of code signing configurations to functions. The function's record names its configuration; an
//! index has a record for each use, so that listing the functions of one, or deleting one, does not read all
//! functions.

use super::{CodeSigningConfig, CodeSigningError};
use crate::control::record::{Page, encode};
use crate::control::{Control, Error, function};
use crate::names::FunctionName;
use crate::store::{self, Expect, Key, Write};

/// The kind of the records of uses. Their ids are `configuration/function`. The record without a function is
/// the anchor of the configuration: every attachment writes it, so that a concurrent deletion of the
/// configuration fails.
pub(super) const USES: &str = "code-signing-use";

impl Control {
    /// ARN of a function's configuration, if any.
    ///
    /// # Errors
    /// Where there is no such function.
    pub async fn function_code_signing(
        &self,
        function: &FunctionName,
    ) -> Result<Option<String>, Error> {
        Ok(self.existing(function).await?.0.code_signing)
    }

    /// Assigns a code signing configuration, which applies from the next deployment on, or removes
    /// it.
    ///
    /// # Errors
    /// Where there is no such configuration, or else no such function.
    pub async fn set_function_code_signing(
        &self,
        function: &FunctionName,
        config_arn: Option<&str>,
    ) -> Result<(), Error> {
        self.update(|| async {
            if let Some(arn) = config_arn {
                self.require_code_signing_config(arn).await?;
            }
            let (mut record, read_at) = self.existing(function).await?;
            if config_arn.is_some() && record.latest.configuration.is_of_image() {
                return Err(CodeSigningError::Image.into());
            }
            let before = record.code_signing.take();
            if before.as_deref() == config_arn {
                return Ok((Vec::new(), ()));
            }
            record.code_signing = config_arn.map(str::to_owned);
            let mut batch = uses(function, before.as_deref(), config_arn);
            batch.push(function::record::put(&record, Expect::Revision(read_at)));
            Ok((batch, ()))
        })
        .await
    }

    /// Page of the functions with a configuration, ordered by name.
    ///
    /// # Errors
    /// Where there is no such configuration.
    pub async fn functions_of_code_signing_config(
        &self,
        arn: &str,
        marker: Option<&str>,
        limit: usize,
    ) -> Result<Page<FunctionName>, Error> {
        let CodeSigningConfig { id, .. } = self.code_signing_config(arn).await?;
        let after_anchor = marker.or(Some(""));
        self.page(USES, &format!("{id}/"), after_anchor, limit)
            .await
    }

    /// The error of a batch with [`uses`]; a conflict on the anchor means that the configuration is gone.
    pub(in crate::control) fn of_attaching(&self, error: store::Error) -> Error {
        match error {
            store::Error::Conflict(key) if key.kind == USES => {
                let id = key.id.trim_end_matches('/');
                super::not_attachable(&self.code_signing_config_arn(id))
            }
            error => error.into(),
        }
    }
}

/// The writes that go with a function's record when its configuration changes; both are ARNs.
pub(in crate::control) fn uses(
    function: &FunctionName,
    before: Option<&str>,
    after: Option<&str>,
) -> Vec<Write> {
    if before == after {
        return Vec::new();
    }
    let given_up = before.map(|arn| Write::Delete {
        key: key(id_in(arn), function.as_str()),
        expect: Expect::Any,
    });
    let taken = after.map(|arn| Write::Put {
        key: key(id_in(arn), function.as_str()),
        value: encode(function),
        expect: Expect::Any,
    });
    let held = after.map(|arn| anchor(id_in(arn), Expect::Present));
    given_up.into_iter().chain(taken).chain(held).collect()
}

/// Write of a configuration's anchor.
pub(super) fn anchor(id: &str, expect: Expect) -> Write {
    Write::Put {
        key: anchor_key(id),
        value: encode(&()),
        expect,
    }
}

pub(super) fn anchor_key(id: &str) -> Key {
    key(id, "")
}

fn key(id: &str, function: &str) -> Key {
    Key {
        kind: USES,
        id: format!("{id}/{function}"),
    }
}

fn id_in(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_moves_from_one_configuration_to_another() {
        let function = FunctionName::parse("f").unwrap();
        let (one, two) = (Some("arn:csc-1"), Some("arn:csc-2"));
        let ids = |before, after| -> Vec<String> {
            let told = |write| match write {
                Write::Put { key, expect, .. } => format!("+{} {expect:?}", key.id),
                Write::Delete { key, .. } => format!("-{}", key.id),
            };
            uses(&function, before, after)
                .into_iter()
                .map(told)
                .collect()
        };
        assert_eq!(ids(None, one), ["+csc-1/f Any", "+csc-1/ Present"]);
        let moved = ["-csc-1/f", "+csc-2/f Any", "+csc-2/ Present"];
        assert_eq!(ids(one, two), moved);
        assert_eq!(ids(one, None), ["-csc-1/f"]);
        assert!(ids(one, one).is_empty() && ids(None, None).is_empty());
    }
}
