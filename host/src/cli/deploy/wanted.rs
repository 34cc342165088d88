//! Configuration that a project wants of its function, as members of CreateFunction and UpdateFunctionConfiguration.

use anyhow::Context;
use http::Method;
use serde_json::{Map, Value, json};

use crate::cli::client::Client;
use crate::cli::layer::segment;
use crate::cli::project::Project;

/// AWS's defaults of the members that a manifest may lack.
const DEFAULTS: [(&str, fn() -> Value); 7] = [
    ("Description", || "".into()),
    ("Environment", || json!({"Variables": {}})),
    ("Handler", || "bootstrap".into()),
    ("Layers", || json!([])),
    ("MemorySize", || 128.into()),
    ("Runtime", || "provided.al2023".into()),
    ("Timeout", || 3.into()),
];

/// Members that the project sets. With a manifest these are all: one that loses a key gives it back its default.
pub(super) fn settings(project: &Project, layers: Vec<String>) -> Value {
    let settings = &project.settings;
    let mut request = Map::new();
    if project.is_declared {
        request.extend(DEFAULTS.map(|(member, default)| (member.to_owned(), default())));
    }
    let given = [
        ("Description", settings.description.clone().map(Value::from)),
        ("Handler", settings.handler.clone().map(Value::from)),
        ("MemorySize", settings.memory.map(Value::from)),
        ("Runtime", settings.runtime.clone().map(Value::from)),
        ("Timeout", settings.timeout.map(Value::from)),
        ("Layers", (!layers.is_empty()).then(|| json!(layers))),
        (
            "Environment",
            (!settings.environment.is_empty()).then(|| json!({"Variables": settings.environment})),
        ),
    ];
    let given = given.into_iter();
    request.extend(given.filter_map(|(member, value)| Some((member.to_owned(), value?))));
    Value::Object(request)
}

/// Members whose values differ from the configuration that a host shows.
pub(super) fn differing(settings: &Value, shown: &Value) -> Vec<String> {
    let members = settings.as_object().into_iter().flatten();
    let differing = members.filter(|(member, wanted)| differs(member, wanted, shown));
    differing.map(|(member, _)| member.clone()).collect()
}

fn differs(member: &str, wanted: &Value, shown: &Value) -> bool {
    match member {
        "Layers" => {
            let attached = shown["Layers"].as_array().into_iter().flatten();
            let attached: Vec<_> = attached.map(|layer| layer["Arn"].clone()).collect();
            *wanted != Value::Array(attached)
        }
        "Environment" => {
            let variables = &shown["Environment"]["Variables"];
            let none = json!({});
            let variables = if variables.is_null() {
                &none
            } else {
                variables
            };
            wanted["Variables"] != *variables
        }
        _ => *wanted != shown[member],
    }
}

/// ARNs of the project's layers.
pub(super) async fn layers(client: &Client, project: &Project) -> anyhow::Result<Vec<String>> {
    let mut arns = Vec::new();
    for layer in &project.settings.layers {
        arns.push(match layer.starts_with("arn:") {
            true => layer.clone(),
            false => arn(client, layer)
                .await
                .with_context(|| format!("layer `{layer}`"))?,
        });
    }
    Ok(arns)
}

/// ARN of `NAME:VERSION` in the host's account.
async fn arn(client: &Client, layer: &str) -> anyhow::Result<String> {
    let parts = layer.rsplit_once(':');
    let (name, version) = parts.context("an ARN or NAME:VERSION is expected")?;
    let version: u32 = version.parse().context("the version is a number")?;
    let path = format!("/2018-10-31/layers/{}/versions/{version}", segment(name)?);
    let shown = client.lambda(Method::GET, &path, None).await?;
    let arn = shown["LayerVersionArn"].as_str();
    Ok(arn.context("the host gave no ARN")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::project::Source;
    use crate::cli::project::manifest::Manifest;

    fn project(is_declared: bool) -> Project {
        Project {
            dir: ".".into(),
            name: "f".to_owned(),
            is_declared,
            settings: Manifest {
                memory: Some(256),
                environment: [("K".to_owned(), "V".to_owned())].into(),
                ..Manifest::default()
            },
            source: Source::Artifact {
                command: None,
                path: ".".into(),
            },
        }
    }

    #[test]
    fn manifest_is_the_whole_configuration() {
        let loose = settings(&project(false), Vec::new());
        assert_eq!(
            loose,
            json!({"MemorySize": 256, "Environment": {"Variables": {"K": "V"}}})
        );
        let whole = settings(&project(true), vec!["arn:l".to_owned()]);
        assert_eq!(whole["Timeout"], 3);
        assert_eq!(whole["MemorySize"], 256);
        assert_eq!(whole["Layers"], json!(["arn:l"]));
    }

    #[test]
    fn equal_configuration_does_not_differ() {
        let wanted = settings(&project(true), vec!["arn:l".to_owned()]);
        let mut shown = wanted.clone();
        shown["Layers"] = json!([{"Arn": "arn:l", "CodeSize": 7}]);
        assert_eq!(differing(&wanted, &shown), Vec::<String>::new());
        for (member, value) in [
            ("Timeout", json!(4)),
            ("Layers", json!([])),
            ("Environment", json!({"Variables": {}})),
        ] {
            let mut other = shown.clone();
            other[member] = value;
            assert_eq!(differing(&wanted, &other), [member]);
        }
        let some = settings(&project(false), Vec::new());
        assert!(differing(&json!({}), &shown).is_empty() && differing(&some, &shown).is_empty());
    }
}
