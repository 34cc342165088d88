//! Request and response structures of the implemented operations.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::model::{Member, Model, snake};
use crate::resources;

pub(crate) fn generate(model: &Model, unbuilt: &BTreeSet<String>) -> String {
    let mut code = String::new();
    let (mut inputs, mut outputs) = (BTreeSet::new(), BTreeSet::new());
    let built = || {
        model
            .operations
            .iter()
            .filter(|it| !unbuilt.contains(&it.name))
    };
    for operation in built() {
        model.reach(&operation.input, &mut inputs);
        if let Some(output) = &operation.output {
            model.reach(output, &mut outputs);
        }
    }
    let structures = inputs
        .union(&outputs)
        .filter(|name| model.kind(name) == "structure");
    let requests: BTreeSet<&str> = built().map(|it| it.input.as_str()).collect();
    for name in structures.copied().collect::<Vec<_>>() {
        let mut members = model.members(name);
        if requests.contains(name) {
            members.retain(|member| !resources::is_name(member));
        }
        structure(model, name, &members, &mut code);
        if inputs.contains(name) {
            read(name, &members, &mut code);
        }
        if outputs.contains(name) {
            write(model, name, &mut code);
        }
    }
    let mut roots = BTreeSet::new();
    for operation in built() {
        if roots.insert(&operation.input) {
            let _ = writeln!(code, "impl Input for {} {{}}", operation.input);
        }
        if let Some(output) = &operation.output {
            output_of(model, output, &mut roots, &mut code);
        }
    }
    code
}

fn output_of<'a>(
    model: &Model,
    name: &'a String,
    roots: &mut BTreeSet<&'a String>,
    code: &mut String,
) {
    if !roots.insert(name) {
        return;
    }
    let _ = writeln!(code, "impl Output for {name} {{}}");
    let odd = model
        .members(name)
        .iter()
        .any(|member| member.location.is_some());
    let by_hand = [
        "DeleteFunctionResponse",
        "InvocationResponse",
        "InvokeAsyncResponse",
        "InvokeWithResponseStreamResponse",
    ];
    assert!(
        !odd || by_hand.contains(&name.as_str()),
        "{name} has members outside the body, which are written by hand"
    );
}

fn structure(model: &Model, name: &str, members: &[Member<'_>], code: &mut String) {
    let _ = writeln!(
        code,
        "/// `{name}`\n#[derive(Clone, Debug, Default)]\npub struct {name} {{"
    );
    for member in members {
        let kind = rust_type(model, member.shape);
        let kind = if member.required {
            kind
        } else {
            format!("Option<{kind}>")
        };
        let _ = writeln!(
            code,
            "    /// `{}`\n    pub {}: {kind},",
            member.name,
            snake(member.name)
        );
    }
    code.push_str("}\n\n");
}

fn read(name: &str, members: &[Member<'_>], code: &mut String) {
    let _ = writeln!(code, "impl FromJson for {name} {{");
    if members.is_empty() {
        code.push_str("    fn from_json(_: Value) -> Self {\n        Self {}\n    }\n}\n\n");
        return;
    }
    code.push_str("    fn from_json(value: Value) -> Self {\n");
    code.push_str("        let mut members = members(value);\n        Self {\n");
    for member in members {
        let _ = writeln!(
            code,
            "            {}: take(&mut members, {:?}),",
            snake(member.name),
            member.name
        );
    }
    code.push_str("        }\n    }\n}\n\n");
}

fn write(model: &Model, name: &str, code: &mut String) {
    let _ = writeln!(code, "impl ToJson for {name} {{");
    code.push_str("    fn to_json(self) -> Option<Value> {\n");
    // Shapes without members need no `mut`.
    let mutable = if model.members(name).is_empty() {
        ""
    } else {
        "mut "
    };
    let _ = writeln!(code, "        let {mutable}members = Map::new();");
    for member in model.members(name) {
        let _ = writeln!(
            code,
            "        put(&mut members, {:?}, self.{});",
            member.name,
            snake(member.name)
        );
    }
    code.push_str("        Some(Value::Object(members))\n    }\n}\n\n");
}

fn rust_type(model: &Model, name: &str) -> String {
    match model.kind(name) {
        "structure" => name.to_owned(),
        "string" => "String".into(),
        "integer" => "i32".into(),
        "long" => "i64".into(),
        "double" => "f64".into(),
        "boolean" => "bool".into(),
        "timestamp" => "EpochSeconds".into(),
        "blob" => "Bytes".into(),
        "list" => format!("Vec<{}>", rust_type(model, model.element(name, "member"))),
        "map" => {
            let value = rust_type(model, model.element(name, "value"));
            format!("Entries<{value}>")
        }
        other => panic!("shape {name} has the type {other}, which is not handled"),
    }
}
