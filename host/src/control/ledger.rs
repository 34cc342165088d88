//! The account's ledger: sums of reserved and provisioned concurrency over all functions. Every change of
//! either writes the ledger in its own batch, so that concurrent changes cannot exceed a limit together.

use serde::{Deserialize, Serialize};

use super::concurrency::error::ConcurrencyError;
use super::configuration::FunctionRecord;
use super::record::{decode, encode};
use super::{Control, Error};
use crate::names::FunctionName;
use crate::store::{Expect, Key, Records, Revision, Write};

/// The kind of the one record, and its id.
pub(super) const KIND: &str = "ledger";
const ID: &str = "concurrency";

/// Concurrency that must be left for functions without a reserve, as in AWS. A smaller account needs only
/// as much as it has.
const UNRESERVED_MIN: u32 = 100;

/// Of the host's environments, one in so many is not provisioned, so that functions without provisioned
/// concurrency can run at all.
const UNPROVISIONED_SHARE: u32 = 10;

/// Concurrency of one function that no other can have.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Shares {
    pub(super) reserved: Option<u32>,
    /// Of all its versions together.
    pub(super) provisioned: u32,
}

/// The stored record: sums over all functions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// Reserves, and provisioned concurrency outside reserves.
    pub(super) set_aside: u32,
    /// All provisioned concurrency.
    pub(super) provisioned: u32,
}

impl Shares {
    /// A reserve includes the function's provisioned concurrency.
    fn set_aside(self) -> u32 {
        self.reserved.unwrap_or(self.provisioned)
    }
}

impl Ledger {
    pub(super) fn add(&mut self, shares: Shares) {
        self.set_aside += shares.set_aside();
        self.provisioned += shares.provisioned;
    }

    fn replaced(self, before: Shares, after: Shares) -> Self {
        let mut next = Self {
            set_aside: self.set_aside.saturating_sub(before.set_aside()),
            provisioned: self.provisioned.saturating_sub(before.provisioned),
        };
        next.add(after);
        next
    }
}

/// Reads the ledger, with the condition for its next write.
pub(super) async fn read(records: &dyn Records) -> Result<(Ledger, Expect), Error> {
    let found = records.get(&key()).await?;
    let at = |revision: Revision| Expect::Revision(revision);
    Ok(match found {
        Some(record) => (decode(&record)?, at(record.revision)),
        None => (Ledger::default(), Expect::Absent),
    })
}

impl Control {
    /// The shares of a function as its records say.
    pub(super) async fn shares(&self, record: &FunctionRecord) -> Result<Shares, Error> {
        Ok(Shares {
            reserved: record.reserved,
            provisioned: self.provisioned_total(&record.name).await?,
        })
    }

    /// The write that takes a change of shares into the ledger; `None` where the sums stay as they are.
    /// `member` is the request's, for the error text.
    ///
    /// # Errors
    /// Where the account's concurrency or the host's environments do not suffice for the change.
    pub(super) async fn ledger_write(
        &self,
        before: Shares,
        after: Shares,
        member: &'static str,
    ) -> Result<Option<Write>, Error> {
        let (ledger, expect) = self.ledger().await?;
        let next = ledger.replaced(before, after);
        self.require_left(ledger, next, member)?;
        Ok((next != ledger).then(|| put(next, expect)))
    }

    /// Refuses sums that leave too little, unless the change gives some back.
    fn require_left(
        &self,
        ledger: Ledger,
        next: Ledger,
        member: &'static str,
    ) -> Result<(), ConcurrencyError> {
        let (account, min) = (self.0.config.concurrency, self.unreserved_min());
        if next.set_aside > ledger.set_aside && account.saturating_sub(next.set_aside) < min {
            return Err(ConcurrencyError::TooLittleUnreserved { member, min });
        }
        let environments = self.0.config.environments;
        let most = environments - environments.div_ceil(UNPROVISIONED_SHARE);
        if next.provisioned > ledger.provisioned && next.provisioned > most {
            return Err(ConcurrencyError::AboveHost {
                left: most.saturating_sub(ledger.provisioned),
                environments,
                provisioned: ledger.provisioned,
            });
        }
        Ok(())
    }

    /// Concurrency that functions without a reserve always have.
    pub(super) fn unreserved_min(&self) -> u32 {
        UNRESERVED_MIN.min(self.0.config.concurrency)
    }

    async fn ledger(&self) -> Result<(Ledger, Expect), Error> {
        read(&*self.0.records).await
    }

    /// Writes the ledger anew from the functions' records, where it does not agree with them: it is missing
    /// in data directories of releases before it.
    pub(super) async fn restore_ledger(&self, sums: Ledger) -> Result<(), Error> {
        let (ledger, expect) = self.ledger().await?;
        if ledger != sums {
            self.commit(vec![put(sums, expect)]).await?;
        }
        Ok(())
    }

    /// The write for a function that goes, with all that was set aside for it.
    pub(super) async fn ledger_release(
        &self,
        record: &FunctionRecord,
    ) -> Result<Option<Write>, Error> {
        let before = self.shares(record).await?;
        self.ledger_write(before, Shares::default(), "").await
    }

    /// The same for one version or alias that goes.
    pub(super) async fn ledger_release_of(
        &self,
        record: &FunctionRecord,
        qualifier: &crate::names::Qualifier,
    ) -> Result<Option<Write>, Error> {
        let name: &FunctionName = &record.name;
        let gone = self.provisioned_for(name, qualifier).await?;
        let before = self.shares(record).await?;
        let after = Shares {
            provisioned: before.provisioned.saturating_sub(gone),
            ..before
        };
        self.ledger_write(before, after, "").await
    }
}

fn put(ledger: Ledger, expect: Expect) -> Write {
    Write::Put {
        key: key(),
        value: encode(&ledger),
        expect,
    }
}

fn key() -> Key {
    Key {
        kind: KIND,
        id: ID.to_owned(),
    }
}
