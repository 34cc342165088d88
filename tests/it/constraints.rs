//! Constraints of AWS's model, each violated once: the response is AWS's validation message with
//! the value and its path.

use serde_json::{Map, Value, json};

use crate::harness::{Lamina, root};

/// Maximum nesting of members tested.
const DEPTH_MAX: usize = 4;

/// Document that violates one constraint, its path and the expected message.
struct Broken {
    document: Value,
    path: String,
    told: String,
}

struct Model(Value);

impl Model {
    fn read() -> Self {
        let text = std::fs::read_to_string(root().join("host/model/lambda-2015-03-31.json"));
        Self(serde_json::from_str(&text.expect("the model")).expect("is JSON"))
    }

    fn shape(&self, name: &Value) -> &Value {
        &self.0["shapes"][name.as_str().unwrap_or_default()]
    }

    /// All violations below a shape.
    fn broken(&self, shape: &Value, depth: usize) -> Vec<Broken> {
        if depth > DEPTH_MAX {
            return Vec::new();
        }
        match shape["type"].as_str().unwrap_or_default() {
            "structure" => self.broken_members(shape, depth),
            "string" => broken_string(shape),
            "integer" | "long" => broken_number(shape),
            "list" if self.shape(&shape["member"]["shape"])["type"] == "structure" => {
                let member = self.shape(&shape["member"]["shape"]);
                let inner = self.broken(member, depth + 1).into_iter();
                inner
                    .map(|it| Broken {
                        document: json!([it.document]),
                        path: format!(".1.member{}", it.path),
                        told: it.told,
                    })
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn broken_members(&self, shape: &Value, depth: usize) -> Vec<Broken> {
        let members = shape["members"].as_object().into_iter().flatten();
        let mut found = Vec::new();
        for (name, member) in members.filter(|(_, member)| member.get("location").is_none()) {
            // `Runtime` has its own error message.
            if name == "Runtime" || shape["payload"] == **name {
                continue;
            }
            for it in self.broken(self.shape(&member["shape"]), depth + 1) {
                let mut document = Map::new();
                document.insert(name.clone(), it.document);
                let mut camel = name.clone();
                camel[..1].make_ascii_lowercase();
                found.push(Broken {
                    document: Value::Object(document),
                    path: format!(".{camel}{}", it.path),
                    told: it.told,
                });
            }
        }
        found
    }
}

fn broken_string(shape: &Value) -> Vec<Broken> {
    let mut found = Vec::new();
    let mut with = |text: String, constraint: String| {
        let told = format!("Value '{text}' at '%' failed to satisfy constraint: {constraint}");
        let (document, path) = (text.into(), String::new());
        found.push(Broken {
            document,
            path,
            told,
        });
    };
    if shape["enum"].is_array() {
        with("~".into(), "Member must satisfy enum value set: [".into());
    }
    let anything = [".*", "[\\s\\S]*", "[\\s\\S]+"];
    let pattern = shape["pattern"].as_str();
    if let Some(pattern) = pattern.filter(|it| !anything.contains(it)) {
        with(
            "~ ~".into(),
            format!("Member must satisfy regular expression pattern: {pattern}"),
        );
    }
    if let Some(max) = shape["max"].as_u64().filter(|max| *max < 3_000) {
        let long = "a".repeat(usize::try_from(max).expect("it is small") + 1);
        with(
            long,
            format!("Member must have length less than or equal to {max}"),
        );
    }
    found
}

fn broken_number(shape: &Value) -> Vec<Broken> {
    let mut found = Vec::new();
    for (bound, step, words) in [("min", -1, "greater"), ("max", 1, "less")] {
        let Some(limit) = shape[bound].as_i64() else {
            continue;
        };
        let value = limit + step;
        found.push(Broken {
            document: value.into(),
            path: String::new(),
            told: format!(
                "Value '{value}' at '%' failed to satisfy constraint: Member must have value \
                 {words} than or equal to {limit}"
            ),
        });
    }
    found
}

#[tokio::test]
async fn violated_constraint_has_awss_message() {
    let host = Lamina::with("runtimes = \"accept\"", "settle_millis = 20");
    let model = Model::read();
    let mut told = 0;
    for operation in model.0["operations"].as_object().expect("some").values() {
        let http = &operation["http"];
        let method = http["method"].as_str().unwrap_or_default();
        let path = http["requestUri"].as_str().unwrap_or_default();
        let path = path
            .replace("{VersionNumber}", "1")
            .replace(['{', '}'], "x");
        let input = model.shape(&operation["input"]["shape"]);
        for broken in model.broken(input, 0) {
            let answer = host.lambda(method, &path, &broken.document).await;
            if answer.status == 501 {
                break;
            }
            let place = broken.path.trim_start_matches('.');
            let expected = broken.told.replacen('%', place, 1);
            let (error, message) = answer.error();
            assert!(
                error == "ValidationException" && message.contains(&expected),
                "{method} {path}: {error}: {message}\nexpected: {expected}"
            );
            told += 1;
        }
    }
    assert!(told > 200, "{told}");
}
