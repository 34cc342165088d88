//! Service model: operations and shapes by name.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// A service model.
pub(crate) struct Model {
    pub(crate) operations: Vec<Operation>,
    shapes: Map<String, Value>,
}

/// One operation.
pub(crate) struct Operation {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) status: u64,
    pub(crate) input: String,
    pub(crate) output: Option<String>,
}

/// One member of a structure.
pub(crate) struct Member<'a> {
    pub(crate) name: &'a str,
    pub(crate) shape: &'a str,
    pub(crate) required: bool,
    /// `uri`, `querystring`, `header` or `statusCode`, with the name used there; `None` is the
    /// body.
    pub(crate) location: Option<(&'a str, &'a str)>,
}

impl Model {
    pub(crate) fn read(text: &str) -> Self {
        let model: Value = serde_json::from_str(text).expect("the service model is JSON");
        let operations = object(&model["operations"])
            .values()
            .map(Operation::read)
            .collect();
        Self {
            operations,
            shapes: object(&model["shapes"]).clone(),
        }
    }

    /// Operation names in the coverage file; checked to be known, sorted and unique.
    pub(crate) fn coverage(&self, text: &str) -> BTreeSet<String> {
        let names: Vec<&str> = text.lines().collect();
        assert!(names.is_sorted(), "{} is sorted", super::UNBUILT);
        for name in &names {
            let known = self
                .operations
                .iter()
                .any(|operation| operation.name == *name);
            assert!(
                known,
                "{}: the model has no operation {name}",
                super::UNBUILT
            );
        }
        let set: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
        assert!(
            set.len() == names.len(),
            "{} names an operation twice",
            super::UNBUILT
        );
        set
    }

    pub(crate) fn shape(&self, name: &str) -> &Map<String, Value> {
        object(
            self.shapes
                .get(name)
                .unwrap_or_else(|| panic!("the model has no shape {name}")),
        )
    }

    pub(crate) fn kind(&self, name: &str) -> &str {
        string(&self.shape(name)["type"])
    }

    pub(crate) fn shapes(&self) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
        self.shapes
            .iter()
            .map(|(name, shape)| (name.as_str(), object(shape)))
    }

    /// Members of a structure in the model's order.
    pub(crate) fn members<'a>(&'a self, name: &str) -> Vec<Member<'a>> {
        let shape = self.shape(name);
        let required: Vec<&str> = shape
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().map(string).collect())
            .unwrap_or_default();
        object(&shape["members"])
            .iter()
            .map(|(name, member)| Member {
                name,
                shape: string(&member["shape"]),
                required: required.contains(&name.as_str()),
                location: member.get("location").map(|location| {
                    let given = member.get("locationName").map_or(name.as_str(), string);
                    (string(location), given)
                }),
            })
            .collect()
    }

    /// Payload member of a structure: the one that is the whole body.
    pub(crate) fn payload(&self, name: &str) -> Option<&str> {
        self.shape(name).get("payload").map(string)
    }

    /// Collects a shape and all shapes that it references.
    pub(crate) fn reach<'a>(&'a self, name: &'a str, into: &mut BTreeSet<&'a str>) {
        if !into.insert(name) {
            return;
        }
        match self.kind(name) {
            "structure" => {
                for member in self.members(name) {
                    self.reach(member.shape, into);
                }
            }
            "list" => self.reach(self.element(name, "member"), into),
            "map" => {
                self.reach(self.element(name, "key"), into);
                self.reach(self.element(name, "value"), into);
            }
            _ => {}
        }
    }

    /// Shape of a list's items, or of a map's keys or values.
    pub(crate) fn element(&self, name: &str, part: &str) -> &str {
        string(&self.shape(name)[part]["shape"])
    }
}

impl Operation {
    fn read(value: &Value) -> Self {
        let http = &value["http"];
        Self {
            name: string(&value["name"]).to_owned(),
            method: string(&http["method"]).to_owned(),
            uri: string(&http["requestUri"]).to_owned(),
            status: http["responseCode"].as_u64().expect("a status is a number"),
            input: string(&value["input"]["shape"]).to_owned(),
            output: value
                .get("output")
                .map(|output| string(&output["shape"]).to_owned()),
        }
    }
}

/// `FunctionName` as `function_name`, `KMSKeyArn` as `kms_key_arn`, `CodeSha256` as `code_sha256`.
pub(crate) fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| letters[before]);
        let after = letters.get(at + 1);
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_uppercase() && after.is_some_and(|after| after.is_lowercase()))
            });
        if begins {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    match snake.as_str() {
        "type" | "where" | "match" => format!("{snake}_"),
        _ => snake,
    }
}

pub(crate) fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("the model has an object here")
}

pub(crate) fn string(value: &Value) -> &str {
    value.as_str().expect("the model has a string here")
}
