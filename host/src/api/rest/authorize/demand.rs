//! What operations demand: an action, by IAM's name for it, on a resource, by its ARN. The labels of
//! an operation's path say what it is about.

use super::asked::AskedOfLambda;
use crate::api::access::Demand;
use crate::api::rest::Call;
use crate::api::rest::wire::Operation;
use crate::invoke::Target;
use crate::names::{FunctionRef, Home, Qualifier};
use crate::policy::Principal;

/// What a call demands in the first place.
pub(super) fn of(
    call: &Call,
    asked: &AskedOfLambda<'_>,
    caller: &Principal,
    home: &Home,
) -> Demand {
    let operation = call.route.operation();
    let label = |name: &str| {
        let text = call.route.label(name);
        (!text.is_empty()).then_some(text)
    };
    let below = |rest: &str| format!("arn:aws:lambda:{}:{}:{rest}", home.region, home.account);
    let about = |resource: String| Demand {
        action: action(operation),
        resource,
        function: None,
        own_policy: None,
    };
    if let Some(name) = label("FunctionName") {
        let qualifier = call.query("Qualifier");
        return function(operation, name, qualifier.as_deref(), caller, home);
    }
    if let Some(arn) = label("Resource").or_else(|| label("ResourceArn")) {
        return match arn.contains(":function:") {
            true => function(operation, arn, None, caller, home),
            false => about(arn.to_owned()),
        };
    }
    if let Some(arn) = label("CodeSigningConfigArn").or_else(|| label("DurableExecutionArn")) {
        return about(arn.to_owned());
    }
    if let Some(uuid) = label("UUID") {
        return about(below(&format!("event-source-mapping:{uuid}")));
    }
    if let Some(name) = label("CapacityProviderName") {
        return about(below(&format!("capacity-provider:{name}")));
    }
    match (operation, label("LayerName")) {
        (Operation::CreateFunction, _) => {
            let name = asked.text("FunctionName").unwrap_or_default();
            function(operation, &name, None, caller, home)
        }
        (Operation::GetLayerVersionByArn, _) => {
            about(call.query("Arn").unwrap_or_else(|| "*".to_owned()))
        }
        // Listings of what is not a function's are on nothing in particular.
        (Operation::ListLayerVersions, _) | (_, None) => about("*".to_owned()),
        (_, Some(layer)) => about(match (layer.starts_with("arn:"), label("VersionNumber")) {
            (true, None) => layer.to_owned(),
            (true, Some(version)) => format!("{layer}:{version}"),
            (false, None) => below(&format!("layer:{layer}")),
            (false, Some(version)) => below(&format!("layer:{layer}:{version}")),
        }),
    }
}

/// What else must be allowed for what the request brings along: tags are given, layers are read.
pub(super) fn implied(
    operation: Operation,
    asked: &AskedOfLambda<'_>,
    own: &Demand,
    home: &Home,
) -> Vec<Demand> {
    let mut demands = Vec::new();
    let new = |kind: &str| format!("arn:aws:lambda:{}:{}:{kind}:*", home.region, home.account);
    let tagged = match operation {
        Operation::CreateFunction => Some(own.resource.clone()),
        Operation::CreateEventSourceMapping => Some(new("event-source-mapping")),
        Operation::CreateCodeSigningConfig => Some(new("code-signing-config")),
        _ => None,
    };
    let brings_tags = !asked.brought_tags().is_empty();
    if let Some(resource) = tagged.filter(|_| brings_tags) {
        demands.push(Demand {
            action: "lambda:TagResource".to_owned(),
            resource,
            function: own.function.clone(),
            own_policy: None,
        });
    }
    if let Operation::CreateFunction | Operation::UpdateFunctionConfiguration = operation {
        demands.extend(asked.texts(&["Layers"]).into_iter().map(|layer| Demand {
            action: "lambda:GetLayerVersion".to_owned(),
            resource: layer,
            function: None,
            own_policy: None,
        }));
    }
    demands
}

/// A function as the caller named it: without an account it is one of the caller's own.
fn function(
    operation: Operation,
    text: &str,
    qualifier: Option<&str>,
    caller: &Principal,
    home: &Home,
) -> Demand {
    let own = caller.account().unwrap_or(&home.account);
    let action = action(operation);
    let Ok(named) = FunctionRef::parse(text) else {
        let arn = format!("arn:aws:lambda:{}:{own}:function:{text}", home.region);
        let is_arn = text.starts_with("arn:");
        return Demand {
            action,
            resource: if is_arn { text.to_owned() } else { arn },
            function: None,
            own_policy: None,
        };
    };
    let account = named.account.as_ref().unwrap_or(own);
    let region = named.region.as_ref().unwrap_or(&home.region);
    let beside = qualifier.and_then(|text| Qualifier::parse(text).ok());
    let target = Target {
        name: named.name,
        qualifier: beside.or(named.qualifier),
    };
    let arn = format!("arn:aws:lambda:{region}:{account}:function:{}", target.name);
    let is_here = *account == home.account && *region == home.region;
    Demand {
        action,
        resource: match &target.qualifier {
            None => arn,
            Some(qualifier) => format!("{arn}:{qualifier}"),
        },
        function: is_here.then_some(target),
        own_policy: None,
    }
}

/// IAM's name for an operation. Most have their own.
fn action(operation: Operation) -> String {
    let name = match operation {
        Operation::Invoke | Operation::InvokeWithResponseStream => "InvokeFunction",
        Operation::GetLayerVersionByArn => "GetLayerVersion",
        operation => operation.name(),
    };
    format!("lambda:{name}")
}
