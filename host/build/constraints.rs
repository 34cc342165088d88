//! What the model says of every shape that a request is made of, as tables.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Map, Value};

use crate::model::{Member, Model, string};

/// Runtimes of this host that are not AWS's.
const OWN_RUNTIMES: &[&str] = &["wasip2"];

/// Lists of whose items AWS does not say that they must not be null.
const NULL_UNSAID: &[&str] = &["SecurityGroupIds", "SubnetIds"];

/// Lists of which AWS tells what their members must be as if the list itself had to be that.
const TOLD_AS_ONE: &[&str] = &["CompatibleRuntimes"];

/// Members that AWS looks at after all others of their structure, wherever its model has them.
const LAST: &[(&str, &str)] = &[("PublishLayerVersionRequest", "CompatibleArchitectures")];

/// AWS tells a set of words in the order in which a hash table of this many places has them.
const PLACES: u32 = 32;
/// The table of the runtimes that a function may have is another: one of Java's own, large enough for
/// 25 to 48 words.
const RUNTIME_PLACES: u32 = 64;

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
            "Shape::List {{ min: {}, member: &SHAPE_{}, told: Told::{} }}",
            bounds(),
            model.element(name, "member").to_uppercase(),
            told(name)
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

/// A member of a structure.
fn row(model: &Model, structure: &str, member: &Member<'_>) -> String {
    let location = match member.location {
        None if model.payload(structure) == Some(member.name) => "Location::Payload".into(),
        None => "Location::Body".into(),
        Some(("uri", label)) => format!("Location::Label({label:?})"),
        Some(("querystring", field)) => format!("Location::Query({field:?})"),
        Some(("header", field)) => format!("Location::Header({:?})", field.to_lowercase()),
        Some((other, _)) => panic!("location {other} is not handled in requests"),
    };
    // AWS refuses the runtime of a function in other words than the model's.
    let shape = match (member.name, member.shape) {
        ("Runtime", "Runtime") => "ANY_RUNTIME".into(),
        (_, shape) => shape.to_uppercase(),
    };
    format!(
        "Member {{ name: {:?}, shape: &SHAPE_{shape}, required: {}, location: {location} }}",
        member.name, member.required
    )
}

/// How AWS tells of a list's items.
fn told(list: &str) -> &'static str {
    match list {
        _ if NULL_UNSAID.contains(&list) => "NullUnsaid",
        _ if TOLD_AS_ONE.contains(&list) => "AsOne",
        _ => "Whole",
    }
}

/// The values that a string may have, if only some, in the order in which AWS tells them.
fn values<'a>(model: &'a Model, name: &str) -> Vec<&'a str> {
    let mut words = words(model, name);
    // Of words with one place, the last that was put there comes first.
    words.reverse();
    words.sort_by_key(|word| java_hash(word) % PLACES);
    words
}

/// The runtimes, in the order in which AWS tells of those that a function may have.
fn runtimes(model: &Model) -> Vec<&str> {
    let mut words = words(model, "Runtime");
    words.sort_by_key(|word| {
        let hash = java_hash(word);
        (hash ^ (hash >> 16)) % RUNTIME_PLACES
    });
    words
}

fn words<'a>(model: &'a Model, name: &str) -> Vec<&'a str> {
    let words = model.shape(name).get("enum").and_then(Value::as_array);
    let words = words.into_iter().flatten().map(string);
    let own = if name == "Runtime" { OWN_RUNTIMES } else { &[] };
    words.chain(own.iter().copied()).collect()
}

/// What `String.hashCode` of Java is of a word.
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
