//! Coverage file: listed operations respond with 501, all others do not.

use serde_json::{Value, json};

use crate::harness::{Lamina, root};

#[tokio::test]
async fn listed_operations_respond_501() {
    let host = Lamina::start();
    let model = std::fs::read_to_string(root().join("host/model/lambda-2015-03-31.json"));
    let model: Value = serde_json::from_str(&model.expect("the model")).expect("is JSON");
    let unbuilt = std::fs::read_to_string(root().join("host/model/unbuilt.txt"));
    let unbuilt = unbuilt.expect("the coverage file");
    let unbuilt: Vec<&str> = unbuilt.lines().collect();
    let operations = model["operations"].as_object().expect("operations");
    assert_eq!(operations.len(), 91);
    for (name, operation) in operations {
        let http = &operation["http"];
        let (method, uri) = (http["method"].as_str(), http["requestUri"].as_str());
        let path = uri.unwrap_or_default().replace(['{', '}'], "x");
        let answer = host
            .lambda(method.unwrap_or_default(), &path, &json!({}))
            .await;
        let says_unbuilt = answer.status == 501 && answer.error().1.contains(name.as_str());
        assert_eq!(
            says_unbuilt,
            unbuilt.contains(&name.as_str()),
            "{name}: {}",
            answer.text()
        );
        assert!(
            answer.status.as_u16() < 500 || says_unbuilt,
            "{name}: {}",
            answer.text()
        );
    }
}

/// The list may only shrink; never raise the number.
#[test]
fn coverage_file_only_shrinks() {
    let unbuilt = std::fs::read_to_string(root().join("host/model/unbuilt.txt"));
    assert!(unbuilt.expect("the coverage file").lines().count() <= 20);
}
