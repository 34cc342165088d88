//! The resource that each operation acts on, and the members of its request that name it. Requests as
//! operations see them have no such members: the resource reaches an operation in the proof that its
//! caller may use it, and in no other way.

use crate::model::{Member, Model, Operation};

/// Members that name a resource wherever they stand in the path.
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
/// Labels that name a part of the resource before them: policies are asked about the whole.
const PARTS: [&str; 2] = ["Name", "StatementId"];
/// Members that name a resource outside the path.
const ELSEWHERE: [&str; 3] = ["Arn", "FunctionName", "Qualifier"];

/// The type, in the host's `rest::call::resource`, of the resource of an operation.
pub(crate) fn of(model: &Model, operation: &Operation) -> &'static str {
    let members = model.members(&operation.input);
    let at = |place: &str, name: &str| {
        let mut members = members.iter();
        members.any(|it| it.name == name && location(it) == place)
    };
    let label = |name: &str| at("uri", name);
    require_known_labels(&members, operation);
    // Invoke names the unpublished version in its errors; DeleteFunction takes numbers of no version.
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

/// Whether a member names the resource of its operation.
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
