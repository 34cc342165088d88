//! Operations and their routing table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::model::{Model, Operation, snake};
use crate::resources;

pub(crate) fn generate(model: &Model) -> String {
    let mut code = String::new();
    let names = || {
        model
            .operations
            .iter()
            .map(|operation| operation.name.as_str())
    };
    code.push_str("/// Every operation of the service.\n");
    code.push_str("#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]\npub enum Operation {\n");
    for operation in &model.operations {
        let Operation {
            name, method, uri, ..
        } = operation;
        let _ = writeln!(code, "    /// `{method} {uri}`\n    {name},");
    }
    code.push_str("}\n\n#[expect(clippy::too_many_lines, reason = \"tables of all operations\")]\nimpl Operation {\n");
    let _ = writeln!(
        code,
        "    #[cfg(test)]\n    pub(in crate::api::rest) const ALL: [Self; {}] = [{}];",
        model.operations.len(),
        names()
            .map(|name| format!("Self::{name}"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    code.push_str("\n    /// Its name.\n    pub(crate) fn name(self) -> &'static str {\n        match self {\n");
    for name in names() {
        let _ = writeln!(code, "            Self::{name} => \"{name}\",");
    }
    code.push_str("        }\n    }\n");
    code.push_str("\n    /// The status of a success.\n    pub fn status(self) -> StatusCode {\n");
    code.push_str("        let status = match self {\n");
    for Operation { name, status, .. } in &model.operations {
        let _ = writeln!(code, "            Self::{name} => {status},");
    }
    code.push_str("        };\n        StatusCode::from_u16(status).expect(\"the model has real ones\")\n    }\n");
    code.push_str("}\n\n");
    table(model, &mut code);
    code
}

/// Dispatch of each operation to the method of its name, with the resource type that the model
/// implies. Futures are boxed, as the largest request would bloat each of them, except for Invoke,
/// which must be fast.
pub(crate) fn dispatch(model: &Model, unbuilt: &BTreeSet<String>) -> String {
    let mut code = String::from("match call.operation() {\n");
    let built = model.operations.iter();
    for operation in built.filter(|it| !unbuilt.contains(&it.name)) {
        let name = &operation.name;
        let resource = resources::of(model, operation);
        let answer = format!(
            "self.{}(&self.permitted::<resource::{resource}>(call).await?).await",
            snake(name)
        );
        let answer = match name.as_str() {
            "Invoke" => answer,
            _ => format!("Box::pin(async {{ {answer} }}).await"),
        };
        let _ = writeln!(code, "    Operation::{name} => {answer},");
    }
    code.push_str(
        "    operation => {\n        Box::pin(self.permitted::<resource::Account>(call)).await?;\n",
    );
    code.push_str("        Err(unbuilt(operation))\n    }\n}\n");
    code
}

/// Generated match from operation to the authorization check that runs before the body is read.
pub(crate) fn foresee(model: &Model, unbuilt: &BTreeSet<String>) -> String {
    let mut resources: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let built = model.operations.iter();
    for operation in built.filter(|it| !unbuilt.contains(&it.name)) {
        let names = resources
            .entry(resources::of(model, operation))
            .or_default();
        names.push(format!("Operation::{}", operation.name));
    }
    let mut code = String::from("match head.operation() {\n");
    // All others, and unimplemented operations, are checked against `*`.
    resources.remove("Account");
    for (resource, names) in resources {
        let names = names.join(" | ");
        let _ = writeln!(
            code,
            "    {names} => self.foresee::<resource::{resource}>(head).await,"
        );
    }
    code.push_str("    _ => self.foresee::<resource::Account>(head).await,\n}\n");
    code
}

/// Routing table rows. On one path, operations with a query constraint come first.
fn table(model: &Model, code: &mut String) {
    let mut rows: Vec<&Operation> = model.operations.iter().collect();
    rows.sort_by_key(|operation| !operation.uri.contains('?'));
    code.push_str("static ROUTES: &[Row] = &[\n");
    for operation in rows {
        let Operation {
            name, method, uri, ..
        } = operation;
        let (path, query) = uri
            .split_once('?')
            .map_or((uri.as_str(), None), |(path, query)| {
                let (name, value) = query.split_once('=').expect("a query in a URI has a value");
                (path, Some((name, value)))
            });
        let segments: Vec<String> = path.trim_matches('/').split('/').map(segment).collect();
        let _ = writeln!(
            code,
            "    Row {{ operation: Operation::{name}, method: Method::{method}, query: {query:?}, segments: &[{}] }},",
            segments.join(", ")
        );
    }
    code.push_str("];\n");
}

fn segment(text: &str) -> String {
    match text
        .strip_prefix('{')
        .and_then(|label| label.strip_suffix('}'))
    {
        Some(label) => {
            assert!(!label.ends_with('+'), "greedy labels are not handled");
            format!("Segment::Label({label:?})")
        }
        None => format!("Segment::Word({text:?})"),
    }
}
