//! Tables of constraints for every shape reachable from a request.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Map, Value};

use crate::model::{Member, Model, string};

/// Runtimes of this host beyond AWS's.
const OWN_RUNTIMES: &[&str] = &["wasip2"];

/// Lists whose items may be null as far as AWS's error messages say.
const NULL_UNSAID: &[&str] = &["SecurityGroupIds", "SubnetIds"];

/// Lists for which AWS reports an item constraint as if it were one of the list itself.
const REPORTED_AS_ONE: &[&str] = &["CompatibleRuntimes"];

/// Members that AWS validates last, whatever their position in the model.
const LAST: &[(&str, &str)] = &[("PublishLayerVersionRequest", "CompatibleArchitectures")];

/// AWS prints enum values in the iteration order of a Java hash table with this many buckets.
const BUCKETS: u32 = 32;
/// Runtimes come in the order of another Java hash table, sized for 25 to 48 entries.
const RUNTIME_BUCKETS: u32 = 64;

pub(crate) fn generate(model: &Model) -> String {
    let mut reached = BTreeSet::new();
    for operation in &model.operations {
        model.reach(&operation.input, &mut reached);
    }
    let mut code = String::new();
    for name in &reached {
        let _ = writeln!(
            code,
            "static SHAPE_{}: Shape = {};",
            name.to_uppercase(),
            shape(model, name)
        );
    }
    let _ = writeln!(
        code,
        "static SHAPE_ANY_RUNTIME: Shape = Shape::String {{ min: None, max: None, pattern: None, values: &[] }};\n\n/// The runtimes that a function may have.\npub const RUNTIMES: &[&str] = &{:?};",
        runtimes(model)
    );
    code.push_str(
        "\nimpl Operation {\n    pub(in super::super) fn input(self) -> &'static Shape {\n",
    );
    code.push_str("        match self {\n");
    for operation in &model.operations {
        let (name, input) = (&operation.name, operation.input.to_uppercase());
        let _ = writeln!(code, "            Self::{name} => &SHAPE_{input},");
    }
    code.push_str("        }\n    }\n}\n");
    code
}

fn shape(model: &Model, name: &str) -> String {
    let shape = model.shape(name);
    let bounds = || {
        format!(
            "{:?}, max: {:?}",
            number(shape, "min"),
            number(shape, "max")
        )
    };
    match model.kind(name) {
        "structure" => {
            let mut members = model.members(name);
            members.sort_by_key(|member| LAST.contains(&(name, member.name)));
            let members = members.iter().map(|member| row(model, name, member));
            format!(
                "Shape::Structure(&[{}])",
                members.collect::<Vec<_>>().join(", ")
            )
        }
        "string" => {
            let pattern = shape.get("pattern").map(string);
            let values = values(model, name);
            format!(
                "Shape::String {{ min: {}, pattern: {}, values: &{values:?} }}",
                bounds(),
                pattern.map_or_else(|| "None".into(), |it| format!("Some(Pattern::new({it:?}))"))
            )
        }
        kind @ ("integer" | "long") => {
            let is_long = kind == "long";
            format!("Shape::Integer {{ is_long: {is_long}, min: {} }}", bounds())
        }
        "double" => {
            let bound = |key: &str| {
                shape
                    .get(key)
                    .map(|it| it.as_f64().expect("it is a number"))
            };
            format!(
                "Shape::Double {{ min: {:?}, max: {:?} }}",
                bound("min"),
                bound("max")
            )
        }
        "boolean" => "Shape::Boolean".into(),
        "timestamp" => "Shape::Timestamp".into(),
        "blob" => format!("Shape::Blob {{ max: {:?} }}", number(shape, "max")),
        "list" => format!(
            "Shape::List {{ min: {}, member: &SHAPE_{}, message: ItemMessage::{} }}",
            bounds(),
            model.element(name, "member").to_uppercase(),
            message(name)
        ),
        "map" => format!(
            "Shape::Map {{ min: {}, key: &SHAPE_{}, value: &SHAPE_{} }}",
            bounds(),
            model.element(name, "key").to_uppercase(),
            model.element(name, "value").to_uppercase()
        ),
        other => panic!("shape {name} has the type {other}, which is not handled"),
    }
}

/// Table row of a structure's member.
fn row(model: &Model, structure: &str, member: &Member<'_>) -> String {
    let location = match member.location {
        None if model.payload(structure) == Some(member.name) => "Location::Payload".into(),
        None => "Location::Body".into(),
        Some(("uri", label)) => format!("Location::Label({label:?})"),
        Some(("querystring", field)) => format!("Location::Query({field:?})"),
        Some(("header", field)) => format!("Location::Header({:?})", field.to_lowercase()),
        Some((other, _)) => panic!("location {other} is not handled in requests"),
    };
    // AWS's error for an unknown runtime is not the model's enum constraint.
    let shape = match (member.name, member.shape) {
        ("Runtime", "Runtime") => "ANY_RUNTIME".into(),
        (_, shape) => shape.to_uppercase(),
    };
    format!(
        "Member {{ name: {:?}, shape: &SHAPE_{shape}, required: {}, location: {location} }}",
        member.name, member.required
    )
}

/// Wording of AWS's errors for a list's items.
fn message(list: &str) -> &'static str {
    match list {
        _ if NULL_UNSAID.contains(&list) => "NullUnsaid",
        _ if REPORTED_AS_ONE.contains(&list) => "AsOne",
        _ => "Whole",
    }
}

/// Enum values of a string shape in AWS's order of printing.
fn values<'a>(model: &'a Model, name: &str) -> Vec<&'a str> {
    let mut words = words(model, name);
    // New entries go to the front of a bucket.
    words.reverse();
    words.sort_by_key(|word| java_hash(word) % BUCKETS);
    words
}

/// Runtimes in AWS's order of printing.
fn runtimes(model: &Model) -> Vec<&str> {
    let mut words = words(model, "Runtime");
    words.sort_by_key(|word| {
        let hash = java_hash(word);
        (hash ^ (hash >> 16)) % RUNTIME_BUCKETS
    });
    words
}

fn words<'a>(model: &'a Model, name: &str) -> Vec<&'a str> {
    let words = model.shape(name).get("enum").and_then(Value::as_array);
    let words = words.into_iter().flatten().map(string);
    let own = if name == "Runtime" { OWN_RUNTIMES } else { &[] };
    words.chain(own.iter().copied()).collect()
}

/// Java's `String.hashCode`.
fn java_hash(word: &str) -> u32 {
    word.bytes().fold(0, |hash: u32, byte| {
        hash.wrapping_mul(31).wrapping_add(byte.into())
    })
}

fn number(shape: &Map<String, Value>, key: &str) -> Option<i64> {
    shape
        .get(key)
        .map(|value| value.as_i64().expect("a bound is a whole number"))
}
