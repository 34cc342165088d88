//! Whether the caller of an operation may call it: what it demands, what is known of the request, and
//! how a refusal is told.

use super::Call;
use super::wire::{ErrorShape, Fault, Operation};
use crate::api::Front;
use crate::api::access::{Caller, Demand, Denied};
use crate::api::facts::RequestFacts;
use crate::names::Home;

mod asked;
mod demand;

use asked::AskedOfLambda;

impl Front {
    /// Refuses what neither the caller's policy nor the function's allows.
    pub(super) fn authorize(&self, call: &Call) -> Result<(), Fault> {
        let Some(judge) = self.judge(call) else {
            return Ok(());
        };
        let own = judge.own();
        judge.meet(&own)?;
        judge.implied(&own).iter().try_for_each(|it| judge.meet(it))
    }

    /// Why the caller may not do something else too to what its call is about, if it may not.
    pub(super) fn denied(&self, call: &Call, action: &str) -> Option<String> {
        let judge = self.judge(call)?;
        let also = Demand {
            action: action.to_owned(),
            ..judge.own()
        };
        judge.permit(&also).err().map(|denied| denied.text)
    }

    /// None where there is nothing to judge.
    fn judge<'a>(&'a self, call: &'a Call) -> Option<Judge<'a>> {
        let caller = call.caller.as_deref()?;
        let home = self.control.home();
        // The usual case, and the hot path's: there is nothing that could keep the owner out.
        if caller.owns(&home.account) && !self.invoker.snapshot().has_denials() {
            return None;
        }
        Some(Judge {
            front: self,
            caller,
            call,
            asked: AskedOfLambda::new(call, home),
            home,
        })
    }
}

/// One call before the law.
struct Judge<'a> {
    front: &'a Front,
    caller: &'a Caller,
    call: &'a Call,
    asked: AskedOfLambda<'a>,
    home: &'a Home,
}

impl Judge<'_> {
    fn own(&self) -> Demand {
        demand::of(self.call, &self.asked, &self.caller.principal, self.home)
    }

    fn implied(&self, own: &Demand) -> Vec<Demand> {
        if !self.caller.is_restricted() {
            return Vec::new();
        }
        demand::implied(self.call.route.operation(), &self.asked, own, self.home)
    }

    fn meet(&self, demand: &Demand) -> Result<(), Fault> {
        self.permit(demand).map_err(|denied| {
            // To strangers AWS does not say why.
            if denied.is_foreign && !invokes(self.call.route.operation()) {
                Fault::without_message(ErrorShape::AccessDeniedException)
            } else {
                Fault::new(ErrorShape::AccessDeniedException, denied.text)
            }
        })
    }

    fn permit(&self, demand: &Demand) -> Result<(), Denied> {
        let snapshot = self.front.invoker.snapshot();
        let resource_tags = demand.function.as_ref().map(|target| {
            let function = snapshot.function(&target.name);
            function.map(|it| it.tags.clone()).unwrap_or_default()
        });
        let facts = RequestFacts {
            principal: &self.caller.principal,
            parts: &self.call.parts,
            now: self.front.clock.now(),
            account: &self.home.account,
            region: &self.home.region,
            resource_tags,
            asked: &self.asked,
        };
        self.front.permit(self.caller, demand, &facts)
    }
}

/// Whether an operation runs a function. Its body is the function's business.
fn invokes(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Invoke | Operation::InvokeAsync | Operation::InvokeWithResponseStream
    )
}
