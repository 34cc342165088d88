//! Authorization of a call: the resource of its operation is read, policies are evaluated for it, and the
//! proof that carries it is made.

use bytes::Bytes;

use super::condition_keys::{ConditionKeys, Members};
use super::resource::{About, Mapped, Qualified, Request, Resource};
use super::target::Whose;
use super::{Call, Head, Permitted};
use crate::api::Front;
use crate::api::access::{Caller, Demand, Denied};
use crate::api::rest::invokes;
use crate::api::rest::wire::{ErrorShape, Fault, Operation};
use crate::names::{Home, LayerVersionArn};
use crate::policy::Policy;

impl Front {
    /// The proof that the caller may do what it asks for; a refusal where neither its policy nor the
    /// function's allows it.
    pub(in crate::api::rest) async fn permitted<'a, R: Resource>(
        &self,
        call: &'a Call,
    ) -> Result<Permitted<'a, R>, Fault> {
        let (home, whose) = (self.control.home(), self.whose(call));
        let resource = R::read(&Request {
            head: call,
            body: Some(&call.body),
            whose,
        });
        if let Some(judge) = self.judge(call, Some(&call.body)) {
            let about = match &resource {
                Ok(resource) => resource.about(home),
                Err(unnamed) => About::other(&unnamed.arn),
            };
            Box::pin(judge.decide(about)).await?;
        }
        match resource {
            Ok(resource) => Ok(Permitted { call, resource }),
            Err(unnamed) => Err(call.violation().unwrap_or(unnamed.fault)),
        }
    }

    /// Authorization check of a head, before the body is read: refuses what no body could make permitted.
    pub(in crate::api::rest) async fn foresee<R: Resource>(
        &self,
        head: &Head,
    ) -> Result<(), Fault> {
        let Some(judge) = self.judge(head, None) else {
            return Ok(());
        };
        let (home, whose) = (self.control.home(), self.whose(head));
        let request = Request {
            head,
            body: None,
            whose,
        };
        let about = match R::read(&request) {
            Ok(resource) => resource.about(home),
            Err(unnamed) => About::other(unnamed.arn),
        };
        let demand = about.demand(&action(head.operation())).before_body();
        let demand = match R::any(home) {
            None => demand,
            Some(resource) => Demand {
                resource,
                is_any: true,
                function: None,
                ..demand
            },
        };
        judge.meet(demand, None).await
    }

    fn whose<'a>(&'a self, head: &'a Head) -> Whose<'a> {
        let home = self.control.home();
        let account = head.caller.as_deref().and_then(|it| it.principal.account());
        Whose {
            home,
            account: account.unwrap_or(&home.account),
        }
    }

    /// The refusal to list the tags of the function, for a caller that may read the function and not its tags.
    /// Versions and aliases have no tags of their own.
    pub(in crate::api::rest) fn withheld_tags(
        &self,
        call: &Permitted<'_, Qualified>,
    ) -> Option<String> {
        let judge = self.judge(call, Some(&call.body))?;
        let function = About::whole(&call.resource().0.name, judge.home);
        let demand = function.demand("lambda:ListTags");
        let keys = ConditionKeys {
            members: &judge.members,
            function_arns: Some(Vec::new()),
        };
        judge.permit(&demand, &keys).err().map(|it| it.text)
    }

    /// None where there is nothing to judge.
    fn judge<'a>(&'a self, head: &'a Head, body: Option<&'a Bytes>) -> Option<Judge<'a>> {
        let caller = head.caller.as_deref()?;
        let home = self.control.home();
        // The usual case, and the hot path's: nothing could keep the owner out.
        if caller.owns(&home.account) && !self.invoker.snapshot().has_denials() {
            return None;
        }
        Some(Judge {
            front: self,
            caller,
            head,
            members: Members::new(head, body),
            home,
        })
    }
}

/// Authorization check of one call.
struct Judge<'a> {
    front: &'a Front,
    caller: &'a Caller,
    head: &'a Head,
    members: Members<'a>,
    home: &'a Home,
}

impl Judge<'_> {
    async fn decide(&self, about: About) -> Result<(), Fault> {
        let own = about.demand(&action(self.head.operation()));
        for function_arns in self.function_arns(&about.mapped).await {
            self.meet(own.clone(), function_arns).await?;
        }
        for implied in self.implied(&own) {
            self.meet(implied, Some(Vec::new())).await?;
        }
        Ok(())
    }

    /// The values of `lambda:FunctionArn`, one set for each evaluation of policies: a mapping that
    /// moves must be allowed for the function that it leaves and for the one that it goes to. None where
    /// the value cannot be known.
    async fn function_arns(&self, mapped: &Mapped) -> Vec<Option<Vec<String>>> {
        match mapped {
            Mapped::Nothing => vec![Some(Vec::new())],
            Mapped::To(arn) => vec![Some(vec![arn.clone()])],
            Mapped::Record { id, next } => {
                let record = self.front.control.event_source_mapping(id).await.ok();
                let now = record.map(|record| vec![record.function_arn(self.home)]);
                let next = next.clone().map(|arn| Some(vec![arn]));
                [now].into_iter().chain(next).collect()
            }
        }
    }

    /// Further permissions that a request needs for its members: tags, layers, signing configurations.
    fn implied(&self, own: &Demand) -> Vec<Demand> {
        let operation = self.head.operation();
        let Home { region, account } = self.home;
        let new = |kind: &str| format!("arn:aws:lambda:{region}:{account}:{kind}:*");
        let tagged = match operation {
            Operation::CreateFunction => Some(own.resource.clone()),
            Operation::CreateEventSourceMapping => Some(new("event-source-mapping")),
            Operation::CreateCodeSigningConfig => Some(new("code-signing-config")),
            _ => None,
        };
        let mut demands = Vec::new();
        if let Some(resource) = tagged.filter(|_| !self.members.tags().is_empty()) {
            demands.push(Demand {
                function: own.function.clone(),
                ..Demand::new("lambda:TagResource", resource)
            });
        }
        match operation {
            Operation::CreateFunction | Operation::UpdateFunctionConfiguration => {
                let layers = self.members.layers().into_iter();
                demands.extend(layers.map(|arn| Demand::new("lambda:GetLayerVersion", arn)));
            }
            Operation::PutFunctionCodeSigningConfig => {
                let configs = self.members.texts(&["CodeSigningConfigArn"]).into_iter();
                demands.extend(configs.map(|arn| Demand::new(&own.action, arn)));
            }
            _ => {}
        }
        demands
    }

    async fn meet(
        &self,
        mut demand: Demand,
        function_arns: Option<Vec<String>>,
    ) -> Result<(), Fault> {
        let layer = LayerVersionArn::parse(&demand.resource);
        let layer = layer.ok().filter(|arn| arn.home == *self.home);
        if let Some(arn) = &layer {
            demand.own_policy = self.policy_of(arn).await;
        }
        let keys = ConditionKeys {
            members: &self.members,
            function_arns,
        };
        self.permit(&demand, &keys).map_err(|denied| {
            let operation = self.head.operation();
            // AWS gives other accounts no reason, except for invocations and for layers.
            if denied.is_foreign && !invokes(operation) && layer.is_none() {
                Fault::without_message(ErrorShape::AccessDeniedException)
            } else {
                Fault::new(ErrorShape::AccessDeniedException, denied.text)
            }
        })
    }

    /// The policy of a layer. Layers are used when functions are made, not when they run, so the snapshot
    /// does not have their policies.
    async fn policy_of(&self, layer: &LayerVersionArn) -> Option<Policy> {
        let control = &self.front.control;
        let policy = control.layer_policy(&layer.layer, layer.version).await;
        let document = policy.ok()?.document(layer);
        Policy::resource(&serde_json::from_str(&document).ok()?).ok()
    }

    fn permit(&self, demand: &Demand, keys: &ConditionKeys<'_>) -> Result<(), Denied> {
        let snapshot = self.front.invoker.snapshot();
        let resource_tags = demand.function.as_ref().map(|target| {
            let function = snapshot.function(&target.name);
            function.map(|it| it.tags.clone()).unwrap_or_default()
        });
        let parts = &self.head.parts;
        let context = self
            .front
            .context(&self.caller.principal, parts, resource_tags, keys);
        self.front.permit(self.caller, demand, &context)
    }
}

/// IAM's name for an operation. Most have their own.
pub(super) fn action(operation: Operation) -> String {
    let name = match operation {
        Operation::Invoke | Operation::InvokeWithResponseStream => "InvokeFunction",
        Operation::GetLayerVersionByArn => "GetLayerVersion",
        operation => operation.name(),
    };
    format!("lambda:{name}")
}
