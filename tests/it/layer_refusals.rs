//! Refused layers: zips, names, numbers, members.

use std::io::Cursor;

use serde_json::json;

use crate::harness::Lamina;
use crate::layers::{
    ARN, LAYERS, delete, error_of, get, numbers, publish, published, refusal, zip_of,
};

#[tokio::test]
async fn refused_zip_publishes_nothing() {
    let host = Lamina::start();
    let zeros = "\0".repeat(8 << 20);
    let mut link = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    link.add_symlink("a", "/etc", options).expect("in memory");
    link.start_file("a/passwd", options).expect("in memory");
    let link = link.finish().expect("in memory").into_inner();
    let whole = zip_of(&[("a", "1")]);
    let unreadable =
        "Could not unzip uploaded file. Please check your file, then try to upload again.";
    let cases: [(Vec<u8>, &str); 10] = [
        (Vec::new(), "Uploaded file must be a non-empty zip"),
        (zip_of(&[]), "Uploaded file must be a non-empty zip"),
        (b"not a zip".to_vec(), unreadable),
        (b"\0asm\x0d\0\x01\0".to_vec(), unreadable),
        (whole[..whole.len() - 10].to_vec(), unreadable),
        (zip_of(&[("../up", "1")]), "leads out of the package"),
        (zip_of(&[("/etc/x", "1")]), "absolute"),
        (
            zip_of(&[("a", "1"), ("a/b", "1")]),
            "a file and a directory",
        ),
        (zip_of(&[("bomb", &zeros)]), "200 times"),
        (link, "a file and a directory"),
    ];
    for (zip, expected) in cases {
        let (status, name, text) = error_of(&publish(&host, "l", &zip, json!({})).await);
        assert_eq!(
            (status, name.as_str()),
            (400, "InvalidParameterValueException"),
            "{text}"
        );
        assert!(text.contains(expected), "{text}");
    }
    let deep = format!("{}x", "d/".repeat(900));
    let refused = publish(&host, "l", &zip_of(&[(&deep, "1")]), json!({})).await;
    assert_eq!(refused.status, 400);
    assert_eq!(get(&host, "").await.json(), json!({"Layers": []}));
    assert_eq!(published(&host, "l", json!({})).await["Version"], 1);
}

#[tokio::test]
async fn layer_version_below_one_is_refused() {
    let host = Lamina::start();
    published(&host, "l", json!({})).await;
    let less = refusal(
        400,
        "InvalidParameterValueException",
        "Layer Version Cannot be less than 1",
    );
    for number in ["0", "-1"] {
        let got = get(&host, &format!("/l/versions/{number}")).await;
        assert_eq!(error_of(&got), less);
        let deleted = delete(&host, &format!("{LAYERS}/none/versions/{number}")).await;
        assert_eq!(error_of(&deleted), less);
    }
}

#[tokio::test]
async fn invalid_layer_names_and_filters_are_refused() {
    let host = Lamina::start();
    let other_account = ARN.replace("000000000000", "123456789012");
    let other_region = ARN.replace("us-east-1", "eu-west-1");
    let cases = [
        (
            format!("/{other_account}:l/versions/1"),
            403,
            "AccessDeniedException",
        ),
        (
            format!("?find=LayerVersion&Arn={other_account}:l:1"),
            403,
            "AccessDeniedException",
        ),
        (
            format!("/{other_account}:l/versions"),
            403,
            "AccessDeniedException",
        ),
        (
            format!("/{other_region}:l/versions/1"),
            404,
            "ResourceNotFoundException",
        ),
        (
            format!("?find=LayerVersion&Arn={other_region}:l:1"),
            404,
            "ResourceNotFoundException",
        ),
        (
            format!("?find=LayerVersion&Arn={ARN}:l"),
            400,
            "ValidationException",
        ),
        ("?find=LayerVersion".to_owned(), 400, "ValidationException"),
        ("/no%20name/versions".to_owned(), 400, "ValidationException"),
        (
            format!("/{}/versions", "l".repeat(141)),
            400,
            "ValidationException",
        ),
        (
            "?CompatibleRuntime=cobol".to_owned(),
            400,
            "ValidationException",
        ),
        ("?MaxItems=51".to_owned(), 400, "ValidationException"),
        (
            "/l/versions?CompatibleArchitecture=z80".to_owned(),
            400,
            "ValidationException",
        ),
        ("/l/versions/one".to_owned(), 400, "SerializationException"),
    ];
    for (path, status, name) in cases {
        let (found, error, text) = error_of(&get(&host, &path).await);
        assert_eq!((found, error.as_str()), (status, name), "{path}: {text}");
    }
    let denied = get(&host, &format!("/{other_account}:l/versions/1")).await;
    assert!(
        denied.error().1.ends_with(&format!(
            "is not authorized to perform: lambda:GetLayerVersion on resource: {other_account}:l:1 \
             because no resource-based policy allows the lambda:GetLayerVersion action"
        )),
        "{:?}",
        denied.error()
    );
}

#[tokio::test]
async fn unavailable_content_is_refused() {
    let host = Lamina::start();
    let path = format!("{LAYERS}/l/versions");
    for content in [
        json!({}),
        json!({"S3Bucket": "bucket", "S3Key": "key"}),
        json!({"ZipFile": "UEsFBg==", "S3Bucket": "bucket", "S3Key": "key"}),
        json!({"S3Bucket": "bucket", "S3Key": "key", "S3ObjectStorageMode": "REFERENCE"}),
    ] {
        let refused = host
            .lambda("POST", &path, &json!({"Content": content}))
            .await;
        let (status, name, text) = error_of(&refused);
        assert_eq!(
            (status, name.as_str()),
            (400, "InvalidParameterValueException"),
            "{content}: {text}"
        );
    }
    let none: [u64; 0] = [];
    assert_eq!(numbers(&get(&host, "/l/versions").await.json()), none);
}
