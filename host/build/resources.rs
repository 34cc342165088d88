//! Resource of each operation, and the request members that name it. These members are left out of
//! the request structure: an operation gets the resource from the authorization proof only.

use crate::model::{Member, Model, Operation};

/// Members that name a resource in any position of the path.
const LABELS: [&str; 8] = [
    "CapacityProviderName",
    "CodeSigningConfigArn",
    "FunctionName",
    "LayerName",
    "Resource",
    "ResourceArn",
    "UUID",
    "VersionNumber",
];
/// Labels of a sub-resource; policies apply to the whole resource.
const PARTS: [&str; 2] = ["Name", "StatementId"];
/// Members that name a resource outside the path.
const ELSEWHERE: [&str; 3] = ["Arn", "FunctionName", "Qualifier"];

/// Type of an operation's resource, in the host's `rest::call::resource`.
pub(crate) fn of(model: &Model, operation: &Operation) -> &'static str {
    let members = model.members(&operation.input);
    let at = |place: &str, name: &str| {
        let mut members = members.iter();
        members.any(|it| it.name == name && location(it) == place)
    };
    let label = |name: &str| at("uri", name);
    require_known_labels(&members, operation);
    // Exceptions: Invoke reports `$LATEST` in its errors, DeleteFunction accepts unknown version
    // numbers.
    match operation.name.as_str() {
        "Invoke" | "InvokeWithResponseStream" => return "Invoked",
        "DeleteFunction" => return "Deleted",
        "CreateFunction" => return "NewFunction",
        _ => {}
    }
    if label("FunctionName") {
        return match at("querystring", "Qualifier") {
            true => "Qualified",
            false => "Whole",
        };
    }
    if label("LayerName") {
        return match (label("VersionNumber"), operation.method.as_str()) {
            (true, _) => "LayerVersion",
            (false, "GET") => "ListedLayer",
            (false, _) => "Layer",
        };
    }
    if label("UUID") {
        return "Mapping";
    }
    if label("Resource") {
        return "Labelled";
    }
    if label("ResourceArn") {
        return "PolicyOf";
    }
    if label("CodeSigningConfigArn") {
        return "SigningConfig";
    }
    if at("querystring", "Arn") {
        return "LayerVersionByArn";
    }
    if at("querystring", "FunctionName") {
        return "ListedMappings";
    }
    if at("body", "FunctionName") {
        return "NewMapping";
    }
    "Account"
}

/// True if the member names the operation's resource.
pub(crate) fn is_name(member: &Member<'_>) -> bool {
    match location(member) {
        "uri" => LABELS.contains(&member.name),
        "querystring" | "body" => ELSEWHERE.contains(&member.name),
        _ => false,
    }
}

fn location(member: &Member<'_>) -> &'static str {
    match member.location {
        None => "body",
        Some(("uri", _)) => "uri",
        Some(("querystring", _)) => "querystring",
        Some(_) => "elsewhere",
    }
}

fn require_known_labels(members: &[Member<'_>], operation: &Operation) {
    for member in members.iter().filter(|it| location(it) == "uri") {
        assert!(
            LABELS.contains(&member.name) || PARTS.contains(&member.name),
            "{}: it is not known which resource {} names",
            operation.name,
            member.name
        );
        let (_, label) = member.location.expect("a label has a place");
        assert!(
            label == member.name,
            "{}: {} has another name in the path",
            operation.name,
            member.name
        );
    }
}
