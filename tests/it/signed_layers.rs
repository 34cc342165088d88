//! Layers of functions with a code signing configuration: verified at creation, code update and
//! layer change.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{ApiResponse, Lamina, guest, zipped};
use crate::signing::{CONFIGS, Desk, Profile, configure, of_function, refusal, update, with_file};

const FUNCTIONS: &str = "/2015-03-31/functions";
const LAYERS: &str = "/2018-10-31/layers";

/// Layer zip with one file.
fn files(content: &str) -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("data.txt", options).expect("in memory");
    zip.write_all(content.as_bytes()).expect("in memory");
    zip.finish().expect("in memory").into_inner()
}

/// Publishes a layer and returns its version.
async fn publish(host: &Lamina, name: &str, zip: &[u8]) -> Value {
    let request = json!({"Content": {"ZipFile": STANDARD.encode(zip)}});
    let path = format!("{LAYERS}/{name}/versions");
    let made = host.lambda("POST", &path, &request).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()
}

fn arn(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:000000000000:layer:{name}:1")
}

async fn attach(host: &Lamina, layers: &[&str]) -> ApiResponse {
    host.settled("f").await;
    let layers: Vec<String> = layers.iter().map(|name| arn(name)).collect();
    let path = format!("{FUNCTIONS}/f/configuration");
    host.lambda("PUT", &path, &json!({"Layers": layers})).await
}

/// Two profiles, a host that trusts them, and its layers: `ours` and `theirs`, signed; `none`,
/// unsigned; and
/// `changed`, modified after signing.
struct Stage {
    desk: Desk,
    ours: Profile,
    theirs: Profile,
    host: Lamina,
    package: Vec<u8>,
}

impl Stage {
    async fn set() -> Self {
        let desk = Desk::new();
        let ours = desk.profile("ours", "ed25519");
        let theirs = desk.profile("theirs", "ecdsa-p256");
        let host = Lamina::configured(&format!("{}{}", ours.block, theirs.block));
        for (name, profile) in [("ours", &ours), ("theirs", &theirs)] {
            let signed = desk.signed(&files(name), profile, &[]);
            publish(&host, name, &signed).await;
        }
        publish(&host, "none", &files("none")).await;
        let signed = desk.signed(&files("changed"), &ours, &[]);
        publish(&host, "changed", &with_file(&signed, "more.txt")).await;
        let package = desk.signed(&zipped(&guest("echo")), &ours, &[]);
        Self {
            desk,
            ours,
            theirs,
            host,
            package,
        }
    }

    async fn create(&self, config: &str, layers: &[&str]) -> ApiResponse {
        let layers: Vec<String> = layers.iter().map(|name| arn(name)).collect();
        let more = json!({"CodeSigningConfigArn": config, "Layers": layers});
        self.host.try_create("f", &self.package, more).await
    }
}

#[tokio::test]
async fn enforced_signing_refuses_unsigned_layers() {
    let stage = Stage::set().await;
    let (host, ours) = (&stage.host, &stage.ours);
    let config = configure(host, &[&ours.arn], "Enforce").await;
    for (layers, refused) in [
        (&["none"][..], "none"),
        (&["theirs"], "theirs"),
        (&["ours", "none"], "none"),
    ] {
        let made = stage.create(&config, layers).await;
        assert_eq!(
            (made.status.as_u16(), made.error()),
            (400, refusal(&arn(refused)))
        );
    }
    let made = stage.create(&config, &["changed"]).await;
    assert_eq!(made.error().0, "InvalidCodeSignatureException");
    assert!(made.error().1.contains(&arn("changed")), "{}", made.text());

    let made = stage.create(&config, &["ours"]).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let layers = made.json()["Layers"].clone();
    assert_eq!(layers[0]["SigningProfileVersionArn"], ours.arn);
    for refused in [
        attach(host, &["none"]).await,
        attach(host, &["ours", "theirs"]).await,
    ] {
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert_eq!(refused.error().0, "CodeVerificationFailedException");
    }
    let shown = host.settled("f").await;
    assert_eq!(shown["Layers"], layers, "it is as it was");
    // Updates that do not touch layers do not verify them.
    let path = format!("{FUNCTIONS}/f/configuration");
    let changed = host.lambda("PUT", &path, &json!({"Timeout": 9})).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(attach(host, &[]).await.status, 200);
    assert_eq!(attach(host, &["ours"]).await.status, 200);
    host.settled("f").await;
    assert_eq!(
        host.invoke("f", &json!({"x": 1})).await.text(),
        r#"{"x":1}"#
    );
}

#[tokio::test]
async fn code_update_verifies_attached_layers() {
    let stage = Stage::set().await;
    let (host, ours, theirs) = (&stage.host, &stage.ours, &stage.theirs);
    let config = configure(host, &[&ours.arn], "Enforce").await;
    let made = stage.create(&config, &["ours"]).await;
    assert_eq!(made.status, 201, "{}", made.text());
    // A deleted layer is verified while it is attached.
    let path = format!("{LAYERS}/ours/versions/1");
    assert_eq!(host.lambda("DELETE", &path, &Value::Null).await.status, 204);
    assert_eq!(update(host, "f", &stage.package).await.status, 200);

    let allow = async |profiles: &[&str]| {
        let publishers = json!({"AllowedPublishers": {"SigningProfileVersionArns": profiles}});
        let path = format!("{CONFIGS}/{config}");
        assert_eq!(host.lambda("PUT", &path, &publishers).await.status, 200);
    };
    allow(&[&theirs.arn]).await;
    let code = stage.desk.signed(&zipped(&guest("echo")), theirs, &[]);
    let refused = update(host, "f", &code).await;
    assert_eq!(
        (refused.status.as_u16(), refused.error()),
        (400, refusal(&arn("ours")))
    );
    allow(&[&theirs.arn, &ours.arn]).await;
    assert_eq!(update(host, "f", &code).await.status, 200);
}

#[tokio::test]
async fn warn_policy_accepts_unsigned_but_not_changed_layers() {
    let stage = Stage::set().await;
    let host = &stage.host;
    let config = configure(host, &[&stage.ours.arn], "Warn").await;
    let made = stage.create(&config, &["changed"]).await;
    assert_eq!(made.error().0, "InvalidCodeSignatureException");
    let made = stage.create(&config, &["none", "theirs"]).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let shown = host.settled("f").await["Layers"].clone();
    assert!(shown[0].get("SigningJobArn").is_none(), "{shown}");
    assert_eq!(shown[1]["SigningProfileVersionArn"], stage.theirs.arn);
    let changed = attach(host, &["none", "changed"]).await;
    assert_eq!(changed.status, 400);
    assert_eq!(changed.error().0, "InvalidCodeSignatureException");
    // Without a configuration, nothing is verified.
    let path = of_function("f");
    assert_eq!(host.lambda("DELETE", &path, &Value::Null).await.status, 204);
    assert_eq!(attach(host, &["changed"]).await.status, 200);
}

#[tokio::test]
async fn layer_version_shows_signer() {
    let stage = Stage::set().await;
    let host = &stage.host;
    let content = async |name: &str| {
        let path = format!("{LAYERS}/{name}/versions/1");
        host.lambda("GET", &path, &Value::Null).await.json()["Content"].clone()
    };
    let ours = content("ours").await;
    assert_eq!(ours["SigningProfileVersionArn"], stage.ours.arn);
    let job = ours["SigningJobArn"].as_str().unwrap_or_default();
    let jobs = "arn:aws:signer:us-east-1:000000000000:/signing-jobs/";
    assert!(job.starts_with(jobs), "{job}");
    let made = stage.desk.signed(&files("more"), &stage.theirs, &[]);
    let made = publish(host, "more", &made).await;
    let profile = &made["Content"]["SigningProfileVersionArn"];
    assert_eq!(*profile, stage.theirs.arn);
    // Neither has a valid signature.
    for name in ["none", "changed"] {
        let shown = content(name).await;
        assert!(shown["CodeSha256"].is_string(), "{shown}");
        let members = ["SigningProfileVersionArn", "SigningJobArn"];
        assert!(members.iter().all(|it| shown.get(it).is_none()), "{shown}");
    }
}
