//! Reserved concurrency of functions.

use super::ConcurrencyError;
use crate::control::ledger::Shares;
use crate::control::{Control, Error, function};
use crate::names::{FunctionName, Qualifier};
use crate::store::Expect;

impl Control {
    /// Sets the reserved concurrency of a function; 0 throttles every invocation.
    ///
    /// # Errors
    /// Where there is no such function, or too little would be left for the others.
    pub async fn reserve(&self, name: &FunctionName, reserved: u32) -> Result<(), Error> {
        self.update(|| async {
            let missing = || self.not_found_at(name, Some(&Qualifier::Latest));
            let (mut function, read_at) = self.load(name).await?.ok_or_else(missing)?;
            let before = self.shares(&function).await?;
            let after = Shares {
                reserved: Some(reserved),
                ..before
            };
            let ledger = self.ledger_write(before, after, "ReservedConcurrentExecutions");
            let ledger = ledger.await?;
            if before.provisioned > reserved {
                return Err(ConcurrencyError::ReserveBelowProvisioned {
                    reserved,
                    provisioned: before.provisioned,
                }
                .into());
            }
            function.reserved = Some(reserved);
            let mut batch = vec![function::record::put(&function, Expect::Revision(read_at))];
            batch.extend(ledger);
            Ok((batch, ()))
        })
        .await
    }

    /// Deletes the reserved concurrency of a function.
    ///
    /// # Errors
    /// Where there is no such function, or its provisioned concurrency would leave too little for others.
    pub async fn unreserve(&self, name: &FunctionName) -> Result<(), Error> {
        self.update(|| async {
            let (mut function, read_at) = self.existing(name).await?;
            let before = self.shares(&function).await?;
            let after = Shares {
                reserved: None,
                ..before
            };
            let ledger = self
                .ledger_write(before, after, "ConcurrentExecutions")
                .await?;
            function.reserved = None;
            let mut batch = vec![function::record::put(&function, Expect::Revision(read_at))];
            batch.extend(ledger);
            Ok((batch, ()))
        })
        .await
    }

    /// Concurrency that functions without a reserve share.
    pub fn unreserved(&self) -> u32 {
        let reserved = self.0.publisher.snapshot().reserved_total();
        self.0.config.concurrency.saturating_sub(reserved)
    }
}
