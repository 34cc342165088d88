//! Code signing, from a key to a function: the program signs, the host checks, AWS's operations say
//! what is asked of whom.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Answer, Lamina, guest, program, zipped};

const CONFIGS: &str = "/2020-04-22/code-signing-configs";
const FUNCTIONS: &str = "/2015-03-31/functions";
const FAKE: &str = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/test/0123456789";

/// Keys and packages of a test, and what signs.
struct Desk(TempDir);

/// A key, its profile's ARN, and the block for `lamina.toml`.
struct Profile {
    key: PathBuf,
    arn: String,
    block: String,
}

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn profile(&self, name: &str, algorithm: &str) -> Profile {
        let key = self.path(&format!("{name}.key"));
        let arguments = ["keygen", "--algorithm", algorithm, "--name", name, "--out"];
        let made = sign(&arguments, &[&key]);
        let text = String::from_utf8(made.stdout).expect("UTF-8");
        assert!(made.status.success(), "{text}");
        let (first, block) = text.split_once('\n').expect("a comment and a block");
        let arn = first.trim_start_matches("# ").to_owned();
        let block = block.to_owned();
        Profile { key, arn, block }
    }

    /// A package, signed.
    fn signed(&self, package: &[u8], profile: &Profile, more: &[&str]) -> Vec<u8> {
        let (before, after) = (self.path("package"), self.path("signed.zip"));
        std::fs::write(&before, package).expect("it is written");
        let arguments = [&["--profile", &profile.arn], more].concat();
        let paths = [
            &before,
            Path::new("--key"),
            &profile.key,
            Path::new("--out"),
            &after,
        ];
        let told = sign(&arguments, &paths);
        assert!(
            told.status.success(),
            "{}",
            String::from_utf8_lossy(&told.stderr)
        );
        std::fs::read(after).expect("it was written")
    }
}

fn sign(arguments: &[&str], paths: &[&Path]) -> Output {
    let mut command = Command::new(program());
    command.arg("sign").args(arguments).args(paths);
    command.env_remove("AWS_REGION");
    command.output().expect("the program runs")
}

/// The zip with another file in it.
fn with_file(package: &[u8], name: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new_append(std::io::Cursor::new(package.to_vec()));
    let archive = archive.as_mut().expect("a zip");
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file(name, options).expect("in memory");
    let finished = std::mem::replace(archive, zip::ZipWriter::new(std::io::Cursor::default()));
    finished.finish().expect("in memory").into_inner()
}

async fn configure(host: &Lamina, profiles: &[&str], policy: &str) -> String {
    let request = json!({
        "AllowedPublishers": {"SigningProfileVersionArns": profiles},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": policy},
    });
    let made = host.lambda("POST", CONFIGS, &request).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let arn = &made.json()["CodeSigningConfig"]["CodeSigningConfigArn"];
    arn.as_str().expect("an ARN").to_owned()
}

async fn update(host: &Lamina, name: &str, package: &[u8]) -> Answer {
    host.settled(name).await;
    let code = json!({"ZipFile": STANDARD.encode(package)});
    host.lambda("PUT", &format!("{FUNCTIONS}/{name}/code"), &code)
        .await
}

fn of_function(name: &str) -> String {
    format!("/2020-06-30/functions/{name}/code-signing-config")
}

fn refusal(subject: &str) -> (String, String) {
    let text = format!(
        "Lambda cannot deploy the function. The function or layer might be signed using a \
         signature that the client is not configured to accept. Check the provided signature for \
         {subject}."
    );
    ("CodeVerificationFailedException".into(), text)
}

#[tokio::test]
async fn only_signed_code_is_deployed_where_it_is_enforced() {
    for algorithm in ["ed25519", "ecdsa-p256"] {
        let desk = Desk::new();
        let ours = desk.profile("ours", algorithm);
        let theirs = desk.profile("theirs", "ed25519");
        let host = Lamina::configured(&format!("{}{}", ours.block, theirs.block));
        let config = configure(&host, &[&ours.arn], "Enforce").await;
        let asked = json!({"CodeSigningConfigArn": config});
        let (unsigned, component) = (zipped(&guest("echo")), guest("echo"));
        for package in [&unsigned, &component, &desk.signed(&unsigned, &theirs, &[])] {
            let refused = host.try_create("f", package, asked.clone()).await;
            assert_eq!(refused.status, 400);
            assert_eq!(refused.error(), refusal("f"));
        }
        let signed = desk.signed(&unsigned, &ours, &[]);
        let made = host.try_create("f", &signed, asked.clone()).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let shown = host.settled("f").await;
        assert_eq!(shown["SigningProfileVersionArn"], ours.arn);
        let job = shown["SigningJobArn"].as_str().unwrap_or_default();
        assert!(
            job.starts_with("arn:aws:signer:us-east-1:000000000000:/signing-jobs/"),
            "{job}"
        );
        assert_eq!(
            host.invoke("f", &json!({"x": 1})).await.text(),
            r#"{"x":1}"#
        );

        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        assert_eq!(update(&host, "f", &unsigned).await.error(), refusal(arn));
        let tampered = update(&host, "f", &with_file(&signed, "more.txt")).await;
        assert_eq!(tampered.status, 400);
        assert_eq!(tampered.error().0, "InvalidCodeSignatureException");
        // A bare component is wrapped when it is signed.
        let again = update(&host, "f", &desk.signed(&component, &ours, &[])).await;
        assert_eq!(again.status, 200, "{}", again.text());
        assert_ne!(again.json()["SigningJobArn"], shown["SigningJobArn"]);
    }
}

#[tokio::test]
async fn a_warning_lets_unsigned_code_pass_but_not_changed_code() {
    let desk = Desk::new();
    let ours = desk.profile("ours", "ed25519");
    let host = Lamina::configured(&ours.block);
    let config = configure(&host, &[&ours.arn], "Warn").await;
    let unsigned = zipped(&guest("echo"));
    let asked = json!({"CodeSigningConfigArn": config});
    let made = host.try_create("f", &unsigned, asked).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert!(made.json().get("SigningJobArn").is_none());
    let signed = desk.signed(&unsigned, &ours, &[]);
    let tampered = update(&host, "f", &with_file(&signed, "more.txt")).await;
    assert_eq!(tampered.error().0, "InvalidCodeSignatureException");
    let updated = update(&host, "f", &signed).await.json();
    assert_eq!(updated["SigningProfileVersionArn"], ours.arn);
    // Code that was deployed is not looked at again, and code without a configuration not at all.
    host.settled("f").await;
    assert_eq!(
        host.lambda("DELETE", &of_function("f"), &Value::Null)
            .await
            .status,
        204
    );
    let updated = update(&host, "f", &with_file(&signed, "more.txt")).await;
    assert_eq!(updated.status, 200, "{}", updated.text());
    assert!(updated.json().get("SigningJobArn").is_none());
}

#[tokio::test]
async fn what_was_revoked_or_has_expired_is_refused() {
    let desk = Desk::new();
    let ours = desk.profile("ours", "ed25519");
    let package = zipped(&guest("echo"));
    let signed = desk.signed(&package, &ours, &["--valid-days", "1"]);
    let document = {
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&signed)).expect("a zip");
        let entry = archive
            .by_name("META-INF/lamina-signature.json")
            .expect("signed");
        serde_json::from_reader::<_, Value>(entry).expect("JSON")
    };
    assert!(document["expiresAt"].is_string(), "{document}");
    let revoked = format!("{}revoked_at = 2026-01-01T00:00:00Z\n", ours.block);
    let job = format!("{}revoked_jobs = [{}]\n", ours.block, document["job"]);
    let gone = String::new();
    for (block, accepted) in [
        (&ours.block, true),
        (&revoked, false),
        (&job, false),
        (&gone, false),
    ] {
        let host = Lamina::configured(block);
        let config = configure(&host, &[&ours.arn], "Enforce").await;
        let asked = json!({"CodeSigningConfigArn": config});
        let made = host.try_create("f", &signed, asked).await;
        assert_eq!(
            made.status.as_u16(),
            if accepted { 201 } else { 400 },
            "{block}"
        );
        if !accepted {
            assert_eq!(made.error(), refusal("f"));
        }
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told from start to end")]
async fn a_configuration_lives_as_long_as_no_function_has_it() {
    let host = Lamina::start();
    let request = json!({
        "AllowedPublishers": {"SigningProfileVersionArns": [FAKE]}, "Tags": {"k": "v"},
    });
    let made = host.lambda("POST", CONFIGS, &request).await;
    assert_eq!(made.status, 201);
    let made = made.json()["CodeSigningConfig"].clone();
    let id = made["CodeSigningConfigId"].as_str().expect("an id");
    let digits = id.strip_prefix("csc-").expect("its prefix");
    assert!(
        digits.len() == 17 && digits.bytes().all(|it| it.is_ascii_hexdigit()),
        "{id}"
    );
    let arn = format!("arn:aws:lambda:us-east-1:000000000000:code-signing-config:{id}");
    let modified = made["LastModified"].as_str().expect("a date");
    assert!(
        modified.len() == 28 && modified.ends_with("+0000"),
        "{modified}"
    );
    assert_eq!(
        made,
        json!({
            "CodeSigningConfigArn": arn, "CodeSigningConfigId": id, "LastModified": modified,
            "AllowedPublishers": {"SigningProfileVersionArns": [FAKE]},
            "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Warn"},
        })
    );
    let path = format!("{CONFIGS}/{arn}");
    let change = json!({"Description": "d", "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Enforce"}});
    let changed = host.lambda("PUT", &path, &change).await;
    assert_eq!(changed.status, 200);
    let got = host.lambda("GET", &path, &Value::Null).await;
    assert_eq!(got.json(), changed.json());
    let config = &got.json()["CodeSigningConfig"];
    assert_eq!(config["Description"], "d");
    assert_eq!(config["AllowedPublishers"], made["AllowedPublishers"]);
    assert_eq!(
        config["CodeSigningPolicies"]["UntrustedArtifactOnDeployment"],
        "Enforce"
    );

    host.create("f", &guest("echo"), json!({})).await;
    let none = host.lambda("GET", &of_function("f"), &Value::Null).await;
    assert_eq!((none.status.as_u16(), none.json()), (200, json!({})));
    let revision = host.settled("f").await["RevisionId"].clone();
    let put = host
        .lambda(
            "PUT",
            &of_function("f"),
            &json!({"CodeSigningConfigArn": arn}),
        )
        .await;
    let has = json!({"CodeSigningConfigArn": arn, "FunctionName": "f"});
    assert_eq!((put.status.as_u16(), put.json()), (200, has.clone()));
    assert_eq!(host.settled("f").await["RevisionId"], revision);
    let by_arn = of_function("arn:aws:lambda:us-east-1:000000000000:function:f");
    assert_eq!(host.lambda("GET", &by_arn, &Value::Null).await.json(), has);
    let users = format!("{path}/functions");
    let listed = host.lambda("GET", &users, &Value::Null).await.json();
    let function = "arn:aws:lambda:us-east-1:000000000000:function:f";
    assert_eq!(listed, json!({"FunctionArns": [function]}));
    let kept = host.lambda("DELETE", &path, &Value::Null).await;
    assert_eq!(
        (kept.status.as_u16(), kept.error().0.as_str()),
        (409, "ResourceConflictException")
    );

    let dir = host.kill();
    let host = Lamina::in_dir(dir, "");
    assert_eq!(
        host.lambda("GET", &of_function("f"), &Value::Null)
            .await
            .json(),
        has
    );
    // Its function gone, nothing holds it any more.
    let gone = host
        .lambda("DELETE", &format!("{FUNCTIONS}/f"), &Value::Null)
        .await;
    assert_eq!(gone.status, 204);
    let listed = host.lambda("GET", &users, &Value::Null).await.json();
    assert_eq!(listed, json!({"FunctionArns": []}));
    assert_eq!(host.lambda("DELETE", &path, &Value::Null).await.status, 204);
    let again = host.lambda("DELETE", &path, &Value::Null).await;
    assert_eq!(again.status, 404);
}

#[tokio::test]
async fn what_is_missing_is_told_in_awss_words() {
    let host = Lamina::start();
    let arn = "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-0123456789abcdef0";
    let path = format!("{CONFIGS}/{arn}");
    let text = format!("The Lambda code signing configuration {arn} can not be found.");
    let users = format!("{path}/functions");
    for (method, path) in [
        ("GET", &path),
        ("PUT", &path),
        ("DELETE", &path),
        ("GET", &users),
    ] {
        let missing = host.lambda(method, path, &json!({})).await;
        assert_eq!(missing.status, 404);
        assert_eq!(
            missing.header("x-amzn-errortype"),
            "ResourceNotFoundException"
        );
        assert_eq!(missing.json(), json!({"Message": text}), "{method} {path}");
    }
    let text = format!(
        "The code signing configuration cannot be found. Check that the provided configuration is \
         not deleted: {arn}."
    );
    let body = json!({"Type": "User", "Message": text});
    let asked = json!({"CodeSigningConfigArn": arn});
    // The configuration is looked for before the function.
    let put = host.lambda("PUT", &of_function("none"), &asked).await;
    assert_eq!((put.status.as_u16(), put.json()), (404, body.clone()));
    assert_eq!(
        put.header("x-amzn-errortype"),
        "CodeSigningConfigNotFoundException"
    );
    let made = host.try_create("f", &zipped(&guest("echo")), asked).await;
    assert_eq!((made.status.as_u16(), made.json()), (404, body));
    let config = configure(&host, &[FAKE], "Warn").await;
    let text = "Function not found: arn:aws:lambda:us-east-1:000000000000:function:none";
    let asked = json!({"CodeSigningConfigArn": config});
    for (method, body) in [
        ("PUT", &asked),
        ("GET", &Value::Null),
        ("DELETE", &Value::Null),
    ] {
        let missing = host.lambda(method, &of_function("none"), body).await;
        let expected = ("ResourceNotFoundException".into(), text.into());
        assert_eq!(
            (missing.status.as_u16(), missing.error()),
            (404, expected),
            "{method}"
        );
    }
    let elsewhere = arn.replace("000000000000", "111111111111");
    let other = host
        .lambda("GET", &format!("{CONFIGS}/{elsewhere}"), &Value::Null)
        .await;
    assert_eq!(other.status, 404);
}

#[tokio::test]
async fn listings_come_in_pages() {
    let host = Lamina::start();
    let mut arns = Vec::new();
    for _ in 0..3 {
        arns.push(configure(&host, &[FAKE], "Warn").await);
    }
    arns.sort();
    let mut found = Vec::new();
    let mut marker = String::new();
    for expected in [2, 1] {
        let path = format!("{CONFIGS}?MaxItems=2{marker}");
        let page = host.lambda("GET", &path, &Value::Null).await.json();
        let items = page["CodeSigningConfigs"].as_array().expect("a list");
        assert_eq!(items.len(), expected);
        let arn = |it: &Value| it["CodeSigningConfigArn"].as_str().map(str::to_owned);
        found.extend(items.iter().filter_map(arn));
        marker = page["NextMarker"]
            .as_str()
            .map_or(String::new(), |it| format!("&Marker={it}"));
    }
    assert_eq!((found, marker.as_str()), (arns.clone(), ""));
    for name in ["a", "b", "c"] {
        host.create(
            name,
            &guest("echo"),
            json!({"CodeSigningConfigArn": arns[0]}),
        )
        .await;
    }
    let path = format!("{CONFIGS}/{}/functions?MaxItems=2", arns[0]);
    let page = host.lambda("GET", &path, &Value::Null).await.json();
    let arn = |name: &str| format!("arn:aws:lambda:us-east-1:000000000000:function:{name}");
    assert_eq!(page["FunctionArns"], json!([arn("a"), arn("b")]));
    let next = page["NextMarker"].as_str().expect("there is more");
    let page = host
        .lambda("GET", &format!("{path}&Marker={next}"), &Value::Null)
        .await;
    assert_eq!(page.json(), json!({"FunctionArns": [arn("c")]}));
    let other = format!("{CONFIGS}/{}/functions", arns[1]);
    let page = host.lambda("GET", &other, &Value::Null).await;
    assert_eq!(page.json(), json!({"FunctionArns": []}));
}

#[tokio::test]
async fn a_configuration_is_not_deleted_behind_a_functions_back() {
    let host = std::sync::Arc::new(Lamina::start());
    host.create("f", &guest("echo"), json!({})).await;
    for _ in 0..20 {
        let config = configure(&host, &[FAKE], "Warn").await;
        let put = tokio::spawn({
            let (host, asked) = (host.clone(), json!({"CodeSigningConfigArn": config}));
            async move { host.lambda("PUT", &of_function("f"), &asked).await.status }
        });
        let delete = tokio::spawn({
            let (host, path) = (host.clone(), format!("{CONFIGS}/{config}"));
            async move { host.lambda("DELETE", &path, &Value::Null).await.status }
        });
        let (put, delete) = (put.await.expect("it ends"), delete.await.expect("it ends"));
        let has = host
            .lambda("GET", &of_function("f"), &Value::Null)
            .await
            .json();
        let outcome = (put.as_u16(), delete.as_u16());
        match outcome {
            (200, 409) => assert_eq!(has["CodeSigningConfigArn"], config),
            (404, 204) => assert_ne!(has["CodeSigningConfigArn"], config),
            _ => panic!("{outcome:?}"),
        }
    }
}

#[tokio::test]
async fn nonsense_is_refused() {
    let host = Lamina::start();
    let publishers =
        |arns: Value| json!({"AllowedPublishers": {"SigningProfileVersionArns": arns}});
    let mut policy = publishers(json!([FAKE]));
    policy["CodeSigningPolicies"] = json!({"UntrustedArtifactOnDeployment": "Maybe"});
    let mut long = publishers(json!([FAKE]));
    long["Description"] = "d".repeat(257).into();
    let mut tags = publishers(json!([FAKE]));
    tags["Tags"] = (0..51)
        .map(|it| (it.to_string(), json!("")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let cases = [
        (json!({}), "ValidationException", "allowedPublishers"),
        (
            publishers(json!([])),
            "ValidationException",
            "length greater than or equal to 1",
        ),
        (
            publishers(json!(vec![FAKE; 21])),
            "ValidationException",
            "length less than or equal to 20",
        ),
        (
            publishers(json!(["nobody"])),
            "ValidationException",
            "pattern",
        ),
        (publishers(json!("x")), "SerializationException", ""),
        (policy, "ValidationException", "[Warn, Enforce]"),
        (long, "ValidationException", "256"),
        (
            tags,
            "InvalidParameterValueException",
            "Number of tags exceeds resource tag limit.",
        ),
    ];
    for (body, name, text) in cases {
        let refused = host.lambda("POST", CONFIGS, &body).await;
        let (found, message) = refused.error();
        assert_eq!(
            (refused.status.as_u16(), found.as_str()),
            (400, name),
            "{body}: {message}"
        );
        assert!(message.contains(text), "{body}: {message}");
    }
    for arn in [
        "csc-1",
        "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-%2F",
    ] {
        let refused = host
            .lambda("GET", &format!("{CONFIGS}/{arn}"), &Value::Null)
            .await;
        assert_eq!(
            refused.error().0,
            "ValidationException",
            "{arn}: {}",
            refused.text()
        );
    }
    assert_eq!(
        host.lambda("GET", CONFIGS, &Value::Null).await.json()["CodeSigningConfigs"],
        json!([])
    );
}

#[test]
fn keys_are_made_for_their_owners_alone() {
    let desk = Desk::new();
    let profile = desk.profile("ours", "ecdsa-p256");
    let mode = std::fs::metadata(&profile.key)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&profile.key).expect("text");
    assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{text}");
    let twice = sign(&["keygen", "--out"], &[&profile.key]);
    assert_eq!(twice.status.code(), Some(3));
    let told = String::from_utf8_lossy(&twice.stderr);
    assert!(told.contains("nothing was written"), "{told}");
    assert_eq!(std::fs::read_to_string(&profile.key).expect("text"), text);
    let out = desk.path("out.zip");
    let package = desk.path("p");
    std::fs::write(&package, "not a zip").expect("it is written");
    let cases = [
        (profile.arn.as_str(), &profile.key, "Could not unzip"),
        (
            "arn:aws:signer:x",
            &profile.key,
            "is not the ARN of a signing profile's version",
        ),
        (profile.arn.as_str(), &package, "PKCS#8"),
    ];
    for (arn, key, expected) in cases {
        let paths = [&package, Path::new("--key"), key, Path::new("--out"), &out];
        let refused = sign(&["--profile", arn], &paths);
        let told = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(3), "{told}");
        assert!(told.contains(expected) && !out.exists(), "{told}");
    }
}

#[test]
fn a_host_does_not_start_with_a_profile_it_cannot_use() {
    let desk = Desk::new();
    let config = desk.path("lamina.toml");
    let data = desk.path("data");
    let profile = desk.profile("ours", "ed25519");
    let foreign = profile.block.replace("\"ed25519\"", "\"ecdsa-p256\"");
    for (text, expected) in [
        (
            format!("{}{}", profile.block, profile.block),
            "there is another one",
        ),
        (foreign, "it is not a public key of ecdsa-p256"),
        (
            format!("{}revoked = true\n", profile.block),
            "unknown field `revoked`",
        ),
    ] {
        std::fs::write(&config, text).expect("it is written");
        let mut command = Command::new(program());
        command
            .args(["start", "--listen", "127.0.0.1:0", "--config"])
            .arg(&config);
        let output = command
            .arg("--data-dir")
            .arg(&data)
            .output()
            .expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{told}");
        assert!(told.contains(expected), "{told}");
    }
}
