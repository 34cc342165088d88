//! Errors of the service, with their status and the spelling of `message`.

use std::fmt::Write;

use crate::model::Model;

/// Unmodelled errors that spell it `Message`.
const CAPITAL: [&str; 1] = ["AccessDeniedException"];

/// Errors that AWS returns beyond its model: name, status.
const UNMODELLED: [(&str, u64); 12] = [
    ("AccessDeniedException", 403),
    ("IncompleteSignatureException", 400),
    ("InvalidSignatureException", 403),
    ("MissingAuthenticationTokenException", 403),
    ("NotImplementedException", 501),
    ("ServiceUnavailableException", 503),
    ("RequestEntityTooLargeException", 413),
    ("SerializationException", 400),
    ("UnknownOperationException", 404),
    ("MethodNotAllowedException", 405),
    ("UnrecognizedClientException", 403),
    ("ValidationException", 400),
];

pub(crate) fn generate(model: &Model) -> String {
    let mut rows: Vec<(String, u64, Option<&str>, bool)> = Vec::new();
    for (name, shape) in model
        .shapes()
        .filter(|(_, shape)| shape.contains_key("exception"))
    {
        let error = &shape["error"];
        let status = error["httpStatusCode"]
            .as_u64()
            .expect("an error has a status");
        let members = model.members(name);
        let has = |wanted: &str| members.iter().any(|member| member.name == wanted);
        let message = ["message", "Message"].into_iter().find(|name| has(name));
        let message = message.unwrap_or_else(|| panic!("{name} has no message"));
        rows.push((name.to_owned(), status, Some(message), has("Type")));
    }
    for (name, status) in UNMODELLED {
        if !rows.iter().any(|(row, ..)| row == name) {
            let message = CAPITAL.contains(&name).then_some("Message");
            rows.push((name.to_owned(), status, message, false));
        }
    }
    rows.sort();
    let mut code = String::from(
        "/// Every error.\n#[derive(Clone, Copy, Debug, Eq, PartialEq)]\n#[expect(dead_code, reason = \"most errors are of operations that are not built\")]\n#[expect(clippy::enum_variant_names, reason = \"the names are AWS's\")]\npub enum ErrorShape {\n",
    );
    for (name, status, ..) in &rows {
        let _ = writeln!(code, "    /// Status {status}.\n    {name},");
    }
    code.push_str("}\n\nimpl ErrorShape {\n    #[expect(clippy::too_many_lines, reason = \"a table of all errors\")]\n    fn traits(self) -> ErrorTraits {\n        match self {\n");
    for (name, status, message, typed) in &rows {
        let message = message.unwrap_or("message");
        let _ = writeln!(
            code,
            "            Self::{name} => ErrorTraits {{ name: {name:?}, status: {status}, message: \
             {message:?}, typed: {typed} }},"
        );
    }
    code.push_str("        }\n    }\n}\n");
    code
}
