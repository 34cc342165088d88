//! Golden responses of every operation: each scenario in `goldens/` lists requests with the
//! expected responses. `LAMINA_BLESS=1` records the actual responses; review the diff. Values that
//! differ between runs are masked.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::harness::{ApiResponse, Lamina, guest, root, zipped};

fn dir() -> PathBuf {
    root().join("tests/it/goldens")
}

/// Values for `${name}` in a scenario: packages, and `${step/Member}` of earlier responses.
type Known = HashMap<String, String>;

fn packages() -> Known {
    let zip = |name: &str| STANDARD.encode(zipped(&guest(name)));
    let text = STANDARD.encode("not a zip");
    [
        ("zip", zip("echo")),
        ("other-zip", zip("http-hello")),
        ("text", text),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn filled(text: &str, known: &Known) -> String {
    let mut filled = text.to_owned();
    while let Some(start) = filled.find("${") {
        let end = start + filled[start..].find('}').expect("a reference ends");
        let name = &filled[start + 2..end];
        let value = known.get(name);
        let value = value.unwrap_or_else(|| panic!("nothing is known of {name}"));
        filled.replace_range(start..=end, &value.clone());
    }
    filled
}

/// Stable parts of a response.
fn kept(answer: &ApiResponse) -> Value {
    let mut kept = Map::new();
    kept.insert("status".into(), answer.status.as_u16().into());
    let error = answer.header("x-amzn-errortype");
    if !error.is_empty() {
        kept.insert("error".into(), error.into());
    }
    if !answer.body.is_empty() {
        let mut body = answer.json();
        mask(&mut body);
        kept.insert("body".into(), body);
    }
    Value::Object(kept)
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), &value) {
                    ("RevisionId" | "UUID", Value::String(_)) => *value = "<id>".into(),
                    ("CodeSize" | "TotalCodeSize", Value::Number(_)) => *value = "<size>".into(),
                    ("CodeSha256" | "Location" | "RuntimeVersionArn", Value::String(_)) => {
                        *value = format!("<{name}>").into();
                    }
                    (
                        "LastModified" | "LastModifiedTime" | "CreationTime" | "CreatedDate",
                        Value::String(_) | Value::Number(_),
                    ) => *value = "<time>".into(),
                    ("FunctionUrl", Value::String(_)) => *value = "<url>".into(),
                    _ => mask(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::String(text) => *text = without_digests(text),
        _ => {}
    }
}

/// Text with ids and digests masked.
fn without_digests(text: &str) -> String {
    let is_digest = |word: &&str| {
        let is_uuid = word.len() == 36 && word.matches('-').count() == 4;
        let is_sha = word.len() == 44 && word.ends_with('=');
        let is_config = word.starts_with("csc-");
        is_uuid || is_sha || is_config
    };
    let words = text.split(|it: char| !(it.is_ascii_alphanumeric() || "-+/=".contains(it)));
    let mut masked = text.to_owned();
    for word in words.filter(is_digest) {
        masked = masked.replace(word, "<id>");
    }
    masked
}

fn remember(known: &mut Known, step: &str, answer: &ApiResponse) {
    for (name, value) in answer.json().as_object().into_iter().flatten() {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        known.insert(format!("{step}/{name}"), value);
    }
}

async fn response(host: &Lamina, step: &Value, known: &mut Known) -> Value {
    let request = step["request"].as_str().expect("a request");
    let (method, path) = request.split_once(' ').expect("a method and a path");
    let body = match &step["body"] {
        Value::Null => String::new(),
        body => filled(&body.to_string(), known),
    };
    let mut answer = host
        .send(method, &filled(path, known), &[], body.clone())
        .await;
    // A step may poll until a state is reached.
    if let Some(until) = step["until"].as_str() {
        for _ in 0..500 {
            if answer.text().contains(until) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            answer = host
                .send(method, &filled(path, known), &[], body.clone())
                .await;
        }
    }
    if let Some(name) = step["name"].as_str() {
        remember(known, name, &answer);
    }
    kept(&answer)
}

async fn run_scenario(path: &Path) {
    let text = std::fs::read_to_string(path).expect("a run_scenario can be read");
    let mut steps: Vec<Value> =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let host = Lamina::with("runtimes = \"accept\"", "settle_millis = 200");
    let mut known = packages();
    let blesses = std::env::var_os("LAMINA_BLESS").is_some();
    for step in &mut steps {
        let found = response(&host, step, &mut known).await;
        if blesses {
            step["answer"] = found;
        } else {
            let request = step["request"].clone();
            assert_eq!(found, step["answer"], "{}: {request}", path.display());
        }
    }
    if blesses {
        let text = serde_json::to_string_pretty(&json!(steps)).expect("it is JSON");
        std::fs::write(path, text + "\n").expect("a run_scenario can be written");
    }
}

#[tokio::test]
async fn responses_match_goldens() {
    let mut stories: Vec<PathBuf> = std::fs::read_dir(dir())
        .expect("the stories")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    stories.sort();
    assert!(!stories.is_empty());
    for path in stories {
        run_scenario(&path).await;
    }
}
