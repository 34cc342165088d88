//! Whether the caller of an operation may call it: what it demands, what is known of the request, and
//! how a refusal is told.

use super::Call;
use super::wire::{ErrorShape, Fault, Operation};
use crate::api::Front;
use crate::api::access::{Caller, Demand};
use crate::api::facts::RequestFacts;

mod asked;
mod demand;

use asked::AskedOfLambda;

impl Front {
    /// Refuses what neither the caller's policy nor the function's allows.
    pub(super) fn authorize(&self, caller: &Caller, call: &Call) -> Result<(), Fault> {
        let home = self.control.home();
        // The usual case, and the hot path's: there is nothing that could keep the owner out.
        if caller.owns(&home.account) && !self.invoker.snapshot().has_denials() {
            return Ok(());
        }
        let asked = AskedOfLambda::new(call, home);
        let own = demand::of(call, &asked, &caller.principal, home);
        self.meet(caller, call, &own, &asked)?;
        if caller.is_restricted() {
            for demand in demand::implied(call.route.operation(), &asked, &own, home) {
                self.meet(caller, call, &demand, &asked)?;
            }
        }
        Ok(())
    }

    fn meet(
        &self,
        caller: &Caller,
        call: &Call,
        demand: &Demand,
        asked: &AskedOfLambda<'_>,
    ) -> Result<(), Fault> {
        let home = self.control.home();
        let snapshot = self.invoker.snapshot();
        let resource_tags = demand.function.as_ref().map(|target| {
            let function = snapshot.function(&target.name);
            function.map(|it| it.tags.clone()).unwrap_or_default()
        });
        let facts = RequestFacts {
            principal: &caller.principal,
            parts: &call.parts,
            now: self.clock.now(),
            account: &home.account,
            region: &home.region,
            resource_tags,
            asked,
        };
        self.permit(caller, demand, &facts).map_err(|denied| {
            let silent = denied.is_foreign && !invokes(call.route.operation());
            // To strangers AWS does not say why.
            if silent {
                Fault::without_message(ErrorShape::AccessDeniedException)
            } else {
                Fault::new(ErrorShape::AccessDeniedException, denied.text)
            }
        })
    }
}

/// Whether an operation runs a function. Its body is the function's business.
fn invokes(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Invoke | Operation::InvokeAsync | Operation::InvokeWithResponseStream
    )
}
