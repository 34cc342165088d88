//! Layers through the API: versions, numbers, listings, downloads.

use std::io::{Cursor, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{ApiResponse, Lamina};

pub const LAYERS: &str = "/2018-10-31/layers";
pub const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:layer";

pub fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, content) in files {
        zip.start_file(*name, options).expect("in memory");
        zip.write_all(content.as_bytes()).expect("in memory");
    }
    zip.finish().expect("in memory").into_inner()
}

pub async fn publish(host: &Lamina, name: &str, zip: &[u8], more: Value) -> ApiResponse {
    let mut request = json!({"Content": {"ZipFile": STANDARD.encode(zip)}});
    for (key, value) in more.as_object().into_iter().flatten() {
        request[key] = value.clone();
    }
    let path = format!("{LAYERS}/{name}/versions");
    host.lambda("POST", &path, &request).await
}

/// Publishes a version and returns it.
pub async fn published(host: &Lamina, name: &str, more: Value) -> Value {
    let answer = publish(host, name, &zip_of(&[("file", name)]), more).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

pub async fn get(host: &Lamina, path: &str) -> ApiResponse {
    host.lambda("GET", &format!("{LAYERS}{path}"), &Value::Null)
        .await
}

pub async fn delete(host: &Lamina, path: &str) -> ApiResponse {
    host.lambda("DELETE", path, &Value::Null).await
}

fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}

pub fn numbers(listed: &Value) -> Vec<u64> {
    let versions = listed["LayerVersions"].as_array().expect("a list");
    versions
        .iter()
        .map(|it| it["Version"].as_u64().expect("a number"))
        .collect()
}

pub fn error_of(answer: &ApiResponse) -> (u16, String, String) {
    let (name, text) = answer.error();
    (answer.status.as_u16(), name, text)
}

pub fn refusal(status: u16, name: &str, text: &str) -> (u16, String, String) {
    (status, name.to_owned(), text.to_owned())
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one story, error_of from start to end"
)]
async fn layer_version_lifecycle_is_awss() {
    let host = Lamina::start();
    let zip = zip_of(&[("lib/data.txt", "one")]);
    let said = json!({
        "Description": "what it is", "LicenseInfo": "MIT",
        "CompatibleRuntimes": ["provided.al2023", "python3.13"],
        "CompatibleArchitectures": ["x86_64"],
    });
    let made = publish(&host, "l", &zip, said).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    let all = [
        "CompatibleArchitectures",
        "CompatibleRuntimes",
        "Content",
        "CreatedDate",
        "Description",
        "LayerArn",
        "LayerVersionArn",
        "LicenseInfo",
        "Version",
    ];
    assert_eq!(members(&made), all);
    assert_eq!(
        members(&made["Content"]),
        ["CodeSha256", "CodeSize", "Location"]
    );
    assert_eq!(
        (
            &made["LayerArn"],
            &made["LayerVersionArn"],
            &made["Version"]
        ),
        (
            &json!(format!("{ARN}:l")),
            &json!(format!("{ARN}:l:1")),
            &json!(1)
        )
    );
    assert_eq!(made["Content"]["CodeSize"], zip.len());
    let created = made["CreatedDate"].as_str().expect("a date");
    assert!(
        created.len() == 28 && created.ends_with("+0000"),
        "{created}"
    );

    // The link is new each time; all else stays the same.
    let by_arn = format!("?find=LayerVersion&Arn={ARN}:l:1");
    for path in ["/l/versions/1", &format!("/{ARN}:l/versions/1"), &by_arn] {
        let mut got = get(&host, path).await.json();
        let location = got["Content"]["Location"].take();
        let location = location.as_str().expect("a link");
        let mut expected = made.clone();
        expected["Content"]["Location"].take();
        assert_eq!(got, expected, "{path}");
        let path = location
            .strip_prefix(&host.endpoint())
            .expect("on this host");
        assert_eq!(host.send("GET", path, &[], "").await.body, zip);
    }

    let deleted = delete(&host, &format!("{LAYERS}/l/versions/1")).await;
    assert_eq!(
        (deleted.status, deleted.text().as_str()),
        (StatusCode::NO_CONTENT, "")
    );
    let missing = refusal(
        404,
        "ResourceNotFoundException",
        "The resource you requested does not exist.",
    );
    for path in ["/l/versions/1", "/none/versions/1", &by_arn] {
        assert_eq!(error_of(&get(&host, path).await), missing, "{path}");
    }
    for path in ["l/versions/1", "none/versions/7"] {
        let again = delete(&host, &format!("{LAYERS}/{path}")).await;
        assert_eq!(again.status, 204, "{path}");
    }
    assert_eq!(get(&host, "").await.json(), json!({"Layers": []}));
    assert_eq!(
        get(&host, "/l/versions").await.json(),
        json!({"LayerVersions": []})
    );
}

#[tokio::test]
async fn layer_version_numbers_are_not_reused() {
    let host = Lamina::start();
    for expected in 1..=3 {
        assert_eq!(published(&host, "l", json!({})).await["Version"], expected);
    }
    for number in [3, 1, 2] {
        delete(&host, &format!("{LAYERS}/l/versions/{number}")).await;
    }
    assert_eq!(published(&host, "l", json!({})).await["Version"], 4);
    // Numbers survive `kill -9`.
    let host = Lamina::in_dir(host.kill(), "");
    let by_arn = published(&host, &format!("{ARN}:l"), json!({})).await;
    assert_eq!(by_arn["Version"], 5);
    let host = std::sync::Arc::new(host);
    let racers = (0..8).map(|_| {
        let host = host.clone();
        tokio::spawn(async move { published(&host, "l", json!({})).await["Version"].clone() })
    });
    let mut versions = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        versions.push(racer.await.expect("it ends").as_u64().expect("a number"));
    }
    versions.sort_unstable();
    assert_eq!(versions, (6..14).collect::<Vec<_>>());
}

#[tokio::test]
async fn layers_are_filtered_and_paged() {
    let host = Lamina::start();
    let bare = published(&host, "bare", json!({})).await;
    let absent = [
        "CompatibleArchitectures",
        "CompatibleRuntimes",
        "LicenseInfo",
    ];
    assert!(absent.iter().all(|name| bare.get(name).is_none()), "{bare}");
    assert_eq!(bare["Description"], "");
    for (runtime, architecture) in [
        ("python3.13", "x86_64"),
        ("python3.12", "arm64"),
        ("python3.13", "arm64"),
        ("python3.12", "x86_64"),
        ("nodejs22.x", "x86_64"),
    ] {
        let said = json!({
            "CompatibleRuntimes": [runtime, "provided"],
            "CompatibleArchitectures": [architecture],
        });
        published(&host, "made-for", said).await;
    }
    let cases: [(&str, &[u64]); 6] = [
        ("", &[5, 4, 3, 2, 1]),
        ("CompatibleRuntime=python3.13", &[3, 1]),
        ("CompatibleArchitecture=arm64", &[3, 2]),
        (
            "CompatibleRuntime=python3.12&CompatibleArchitecture=x86_64",
            &[4],
        ),
        ("CompatibleRuntime=provided", &[5, 4, 3, 2, 1]),
        ("CompatibleRuntime=java21", &[]),
    ];
    for (query, expected) in cases {
        let listed = get(&host, &format!("/made-for/versions?{query}")).await;
        assert_eq!(numbers(&listed.json()), expected, "{query}");
        // Page by page, as paginators do.
        let (mut seen, mut marker) = (Vec::new(), String::new());
        loop {
            let path = format!("/made-for/versions?{query}&MaxItems=1{marker}");
            let page = get(&host, &path).await.json();
            seen.extend(numbers(&page));
            match page["NextMarker"].as_str() {
                Some(next) => marker = format!("&Marker={next}"),
                None => break,
            }
        }
        assert_eq!(seen, expected, "{query}");
        let layers = get(&host, &format!("?{query}")).await.json();
        let layers = layers["Layers"].as_array().expect("a list");
        let newest = layers.iter().find(|it| it["LayerName"] == "made-for");
        let newest = newest.map(|it| &it["LatestMatchingVersion"]["Version"]);
        assert_eq!(newest.and_then(Value::as_u64), expected.first().copied());
        assert_eq!(
            layers.len(),
            usize::from(query.is_empty()) + expected.len().min(1)
        );
    }
    let page = get(&host, "?MaxItems=1").await.json();
    assert_eq!(page["Layers"][0]["LayerName"], "bare");
    assert_eq!(page["Layers"][0]["LayerArn"], format!("{ARN}:bare"));
    assert_eq!(
        members(&page["Layers"][0]["LatestMatchingVersion"]),
        ["CreatedDate", "Description", "LayerVersionArn", "Version"]
    );
    let marker = page["NextMarker"].as_str().expect("there is more");
    let rest = get(&host, &format!("?MaxItems=1&Marker={marker}"))
        .await
        .json();
    assert_eq!(rest["Layers"][0]["LayerName"], "made-for");
    assert!(rest.get("NextMarker").is_none());
}
