//! Whether the caller of an operation may call it: what it demands, what is known of the request, and
//! how a refusal is told.

use super::Call;
use super::wire::{ErrorShape, Fault, Operation};
use crate::api::Front;
use crate::api::access::{Caller, Demand, Denied};
use crate::api::facts::RequestFacts;
use crate::names::{Home, LayerVersionArn};
use crate::policy::Policy;

mod asked;
mod demand;

use asked::AskedOfLambda;

impl Front {
    /// Refuses what neither the caller's policy nor the function's allows.
    pub(super) async fn authorize(&self, call: &Call) -> Result<(), Fault> {
        let Some(judge) = self.judge(call) else {
            return Ok(());
        };
        let own = judge.own();
        judge.meet(own.clone()).await?;
        for implied in judge.implied(&own) {
            judge.meet(implied).await?;
        }
        Ok(())
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

    async fn meet(&self, mut demand: Demand) -> Result<(), Fault> {
        let layer = LayerVersionArn::parse(&demand.resource);
        let layer = layer.ok().filter(|arn| arn.home == *self.home);
        if let Some(arn) = &layer {
            demand.own_policy = self.policy_of(arn).await;
        }
        self.permit(&demand).map_err(|denied| {
            let operation = self.call.route.operation();
            // To strangers AWS does not say why, but of what is made to be shared.
            if denied.is_foreign && !invokes(operation) && layer.is_none() {
                Fault::without_message(ErrorShape::AccessDeniedException)
            } else {
                Fault::new(ErrorShape::AccessDeniedException, denied.text)
            }
        })
    }

    /// Layers are used when functions are made, not when they run: their policies are read when they
    /// are asked for.
    async fn policy_of(&self, layer: &LayerVersionArn) -> Option<Policy> {
        let control = &self.front.control;
        let policy = control.layer_policy(&layer.layer, layer.version).await;
        let document = policy.ok()?.document(layer);
        Policy::resource(&serde_json::from_str(&document).ok()?).ok()
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
