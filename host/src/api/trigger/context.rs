//! Condition keys of a delivery: those of a request that a service makes on behalf of its resource.

use crate::api::facts::RequestContext;
use crate::names::AccountId;
use crate::policy::Context;

/// Context of a delivery.
pub(super) struct TriggerContext<'a> {
    request: RequestContext<'a>,
    service: &'static str,
    source_arn: &'a str,
    /// Account of a source whose ARN names none.
    account: &'a AccountId,
}

impl<'a> TriggerContext<'a> {
    pub(super) fn new(
        request: RequestContext<'a>,
        service: &'static str,
        source_arn: &'a str,
        account: &'a AccountId,
    ) -> Self {
        Self {
            request,
            service,
            source_arn,
            account,
        }
    }

    fn source_account(&self) -> &str {
        let named = self.source_arn.split(':').nth(4);
        named
            .filter(|it| !it.is_empty())
            .unwrap_or_else(|| self.account.as_str())
    }
}

impl Context for TriggerContext<'_> {
    fn values(&self, key: &str) -> Option<Vec<String>> {
        let value = match key {
            "aws:sourcearn" => self.source_arn,
            "aws:sourceaccount" => self.source_account(),
            "aws:principalservicename" | "aws:principalservicenameslist" => self.service,
            "aws:principalisawsservice" => "true",
            key => return self.request.values(key),
        };
        Some(vec![value.to_owned()])
    }
}
