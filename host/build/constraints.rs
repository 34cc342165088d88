//! What the model says of every shape that a request is made of, as tables.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Map, Value};

use crate::model::{Member, Model, string};

/// Runtimes of this host that are not AWS's.
const OWN_RUNTIMES: &[&str] = &["wasip2"];

/// Sets of words that AWS tells in another order than its model's.
const ORDERS: &[(&str, &[&str])] = &[
    (
        "EventSourcePosition",
        &["LATEST", "AT_TIMESTAMP", "TRIM_HORIZON"],
    ),
    ("RecursiveLoop", &["Terminate", "Allow"]),
];

/// Members that AWS looks at after all others of their structure, wherever its model has them.
const LAST: &[(&str, &str)] = &[("PublishLayerVersionRequest", "CompatibleArchitectures")];

/// Lists of which AWS tells what their members must be as if the list itself had to be that.
const TOLD_AS_ONE: &[&str] = &["CompatibleRuntimes"];

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
        values(model, "Runtime")
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
        "integer" | "long" => format!("Shape::Integer {{ min: {} }}", bounds()),
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
            "Shape::List {{ min: {}, member: &SHAPE_{}, as_one: {} }}",
            bounds(),
            model.element(name, "member").to_uppercase(),
            TOLD_AS_ONE.contains(&name)
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

/// The values that a string may have, if only some.
fn values<'a>(model: &'a Model, name: &str) -> Vec<&'a str> {
    let values = model.shape(name).get("enum").and_then(Value::as_array);
    let values = values.into_iter().flatten().map(string);
    let own = if name == "Runtime" { OWN_RUNTIMES } else { &[] };
    in_order(name, values.chain(own.iter().copied()).collect())
}

fn in_order<'a>(name: &str, mut values: Vec<&'a str>) -> Vec<&'a str> {
    let Some((_, order)) = ORDERS.iter().find(|(ordered, _)| *ordered == name) else {
        return values;
    };
    let place = |value: &&str| order.iter().position(|word| word == value);
    assert!(
        values.len() == order.len() && values.iter().all(|it| place(it).is_some()),
        "the model has other words for {name}"
    );
    values.sort_by_key(place);
    values
}

fn number(shape: &Map<String, Value>, key: &str) -> Option<i64> {
    shape
        .get(key)
        .map(|value| value.as_i64().expect("a bound is a whole number"))
}
