//! Code signing end to end: the program signs, the host verifies. Configurations are in
//! `code_signing_configs`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{ApiResponse, Lamina, guest, program, zipped};

pub const CONFIGS: &str = "/2020-04-22/code-signing-configs";
const FUNCTIONS: &str = "/2015-03-31/functions";

/// Directory with a test's keys and packages.
pub struct Desk(TempDir);

/// Key file, profile ARN and the block for `lamina.toml`.
pub struct Profile {
    pub key: PathBuf,
    pub arn: String,
    pub block: String,
}

impl Desk {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn profile(&self, name: &str, algorithm: &str) -> Profile {
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

    /// Signs a package.
    pub fn signed(&self, package: &[u8], profile: &Profile, more: &[&str]) -> Vec<u8> {
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

/// Adds a file to a zip.
pub fn with_file(package: &[u8], name: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new_append(std::io::Cursor::new(package.to_vec()));
    let archive = archive.as_mut().expect("a zip");
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file(name, options).expect("in memory");
    let finished = std::mem::replace(archive, zip::ZipWriter::new(std::io::Cursor::default()));
    finished.finish().expect("in memory").into_inner()
}

pub async fn configure(host: &Lamina, profiles: &[&str], policy: &str) -> String {
    let request = json!({
        "AllowedPublishers": {"SigningProfileVersionArns": profiles},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": policy},
    });
    let made = host.lambda("POST", CONFIGS, &request).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let arn = &made.json()["CodeSigningConfig"]["CodeSigningConfigArn"];
    arn.as_str().expect("an ARN").to_owned()
}

pub async fn update(host: &Lamina, name: &str, package: &[u8]) -> ApiResponse {
    host.settled(name).await;
    let code = json!({"ZipFile": STANDARD.encode(package)});
    host.lambda("PUT", &format!("{FUNCTIONS}/{name}/code"), &code)
        .await
}

pub fn of_function(name: &str) -> String {
    format!("/2020-06-30/functions/{name}/code-signing-config")
}

pub fn refusal(subject: &str) -> (String, String) {
    let text = format!(
        "Lambda cannot deploy the function. The function or layer might be signed using a \
         signature that the client is not configured to accept. Check the provided signature for \
         {subject}."
    );
    ("CodeVerificationFailedException".into(), text)
}

#[tokio::test]
async fn enforced_signing_refuses_unsigned_code() {
    let component = guest("echo");
    for algorithm in ["ed25519", "ecdsa-p256"] {
        let desk = Desk::new();
        let ours = desk.profile("ours", algorithm);
        let theirs = desk.profile("theirs", "ed25519");
        let host = Lamina::configured(&format!("{}{}", ours.block, theirs.block));
        let config = configure(&host, &[&ours.arn], "Enforce").await;
        let asked = json!({"CodeSigningConfigArn": config});
        let unsigned = zipped(&component);
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
        // Signing a bare component wraps it in a zip.
        let again = update(&host, "f", &desk.signed(&component, &ours, &[])).await;
        assert_eq!(again.status, 200, "{}", again.text());
        assert_ne!(again.json()["SigningJobArn"], shown["SigningJobArn"]);
    }
}

#[tokio::test]
async fn warn_policy_accepts_unsigned_but_not_changed_code() {
    let desk = Desk::new();
    let ours = desk.profile("ours", "ed25519");
    let unsigned = zipped(&guest("echo"));
    let host = Lamina::configured(&ours.block);
    let config = configure(&host, &[&ours.arn], "Warn").await;
    let asked = json!({"CodeSigningConfigArn": config});
    let made = host.try_create("f", &unsigned, asked).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert!(made.json().get("SigningJobArn").is_none());
    let signed = desk.signed(&unsigned, &ours, &[]);
    let tampered = update(&host, "f", &with_file(&signed, "more.txt")).await;
    assert_eq!(tampered.error().0, "InvalidCodeSignatureException");
    let updated = update(&host, "f", &signed).await.json();
    assert_eq!(updated["SigningProfileVersionArn"], ours.arn);
    // Deployed code is not verified again, and code without a configuration never.
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
async fn revoked_or_expired_signature_is_refused() {
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

#[test]
fn generated_key_file_is_private() {
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
fn invalid_signing_profile_stops_start() {
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
