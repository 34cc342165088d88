//! Functions of container images: created, invoked and updated by AWS's clients, from Debian's registry.

use serde_json::{Value, json};

use crate::clients::{client, json_of};
use crate::harness::{ApiResponse, Lamina, ROLE, example, guest};

mod authentication;
mod layout;
mod lying;
mod push;
mod registry;

use layout::{Image, layer};
use registry::Registry;

const FUNCTIONS: &str = "/2015-03-31/functions";

/// Requests a function of an image.
async fn create(host: &Lamina, name: &str, uri: &str, more: Value) -> ApiResponse {
    let mut request = json!({
        "FunctionName": name, "Role": ROLE, "PackageType": "Image", "Code": {"ImageUri": uri},
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        request[name] = value.clone();
    }
    host.lambda("POST", FUNCTIONS, &request).await
}

/// State of a function once no change of it is in progress.
async fn ended(host: &Lamina, name: &str) -> Value {
    let path = format!("{FUNCTIONS}/{name}/configuration");
    for _ in 0..1_500 {
        let shown = host.lambda("GET", &path, &Value::Null).await.json();
        if shown["State"] != "Pending" && shown["LastUpdateStatus"] != "InProgress" {
            return shown;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{name} does not settle");
}

async fn code(host: &Lamina, name: &str) -> Value {
    let path = format!("{FUNCTIONS}/{name}");
    host.lambda("GET", &path, &Value::Null).await.json()["Code"].clone()
}

async fn update(host: &Lamina, name: &str, uri: &str) -> ApiResponse {
    let path = format!("{FUNCTIONS}/{name}/code");
    host.lambda("PUT", &path, &json!({"ImageUri": uri})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_cli_creates_invokes_and_updates_image_function() {
    let registry = Registry::start().await;
    let uri = registry.image("team/hello:v1");
    let image = Image::component(example("hello"));
    image.push(&uri, &[]);
    let host = Lamina::with(&registry.settings(), "");
    let aws = |arguments: &[&str]| {
        let mut aws = client("venv/bin/aws", &host);
        aws.arg("lambda").args(arguments);
        json_of(&mut aws)
    };
    let code = format!("ImageUri={uri}");
    let made = aws(&[
        "create-function",
        "--function-name",
        "f",
        "--package-type",
        "Image",
        "--role",
        ROLE,
        "--code",
        &code,
    ]);
    assert_eq!(
        (&made["PackageType"], &made["State"]),
        (&json!("Image"), &json!("Pending")),
        "{made}"
    );
    assert_eq!((made.get("Runtime"), made.get("Handler")), (None, None));
    let hex = image.manifest.digest().replace("sha256:", "");
    assert_eq!(
        (&made["CodeSha256"], &made["CodeSize"]),
        (&json!(hex), &json!(0))
    );
    aws(&["wait", "function-active-v2", "--function-name", "f"]);
    let shown = aws(&["get-function", "--function-name", "f"]);
    let resolved = format!("{}@sha256:{hex}", registry.image("team/hello"));
    let expected = json!({"RepositoryType": "ECR", "ImageUri": uri, "ResolvedImageUri": resolved});
    assert_eq!(shown["Code"], expected);
    let invoked = host.invoke("f", &json!({"name": "World"})).await;
    assert_eq!(invoked.status, 200, "{}", invoked.text());
    assert!(invoked.text().contains("World"), "{}", invoked.text());
    // Another program under another tag.
    let other = registry.image("team/hello:v2");
    Image::component(guest("echo")).push(&other, &[]);
    aws(&[
        "update-function-code",
        "--function-name",
        "f",
        "--image-uri",
        &other,
        "--publish",
    ]);
    aws(&["wait", "function-updated-v2", "--function-name", "f"]);
    let event = json!({"echoed": [1, 2]});
    assert_eq!(host.invoke("f", &event).await.json(), event);
    ended(&host, "f:1").await;
    assert_eq!(host.invoke("f:1", &event).await.json(), event);
}

#[tokio::test(flavor = "multi_thread")]
async fn moved_tag_changes_nothing_until_update() {
    let registry = Registry::start().await;
    let uri = registry.image("f:latest");
    Image::component(example("command")).push(&uri, &[]);
    let host = Lamina::with(&registry.settings(), "");
    create(&host, "f", &uri, Value::Null).await;
    host.settled("f").await;
    let before = code(&host, "f").await;
    let event = json!({"text": "a b c"});
    assert_eq!(host.invoke("f", &event).await.json(), json!({"words": 3}));
    Image::component(guest("echo")).push(&uri, &[]);
    // A new environment and a restart run the old image, too.
    let host = Lamina::in_dir_with(host.kill(), &registry.settings());
    assert_eq!(host.invoke("f", &event).await.json(), json!({"words": 3}));
    assert_eq!(code(&host, "f").await, before);
    assert_eq!(update(&host, "f", &uri).await.status, 200);
    host.settled("f").await;
    assert_eq!(host.invoke("f", &event).await.json(), event);
    assert_ne!(
        code(&host, "f").await["ResolvedImageUri"],
        before["ResolvedImageUri"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn image_runs_without_its_registry_after_it_was_pulled() {
    let registry = Registry::start().await;
    let settings = registry.settings();
    let uri = registry.image("f:1");
    Image::component(guest("echo")).push(&uri, &[]);
    let host = Lamina::with(&settings, "");
    create(&host, "f", &uri, Value::Null).await;
    host.settled("f").await;
    registry.stop();
    let host = Lamina::in_dir_with(host.kill(), &settings);
    assert_eq!(host.invoke("f", &json!(7)).await.json(), json!(7));
    let refused = create(&host, "g", &uri, Value::Null).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.error().1.contains("could not be read"),
        "{}",
        refused.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn image_of_files_is_the_root_of_its_function() {
    let registry = Registry::start().await;
    let program = guest("image");
    let base = layer(&[
        ("etc/greeting", b"base"),
        ("etc/removed", b"x"),
        ("srv/app.wasm", &program),
        ("srv/data", b"relative"),
        ("bin/app@", b"/srv/app.wasm"),
    ]);
    let top = layer(&[("etc/greeting", b"top"), ("etc/.wh.removed", b"")]);
    let config = json!({
        "Entrypoint": ["/bin/app", "--fast"], "Cmd": ["main"], "WorkingDir": "/srv",
        "Env": ["GREETING=hello", "AWS_REGION=mars"],
    });
    let uri = registry.image("files:1");
    Image::files(vec![base, top], &config).push(&uri, &[]);
    let host = Lamina::with(&registry.settings(), "");
    let made = create(&host, "f", &uri, Value::Null).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(
        ended(&host, "f").await["State"],
        "Active",
        "{}",
        ended(&host, "f").await
    );
    let event = json!({
        "read": ["/etc/greeting", "/etc/removed", "/srv/data", "/etc/passwd", "/../etc/greeting"],
        "write": "/etc/new",
    });
    let shown = host.invoke("f", &event).await.json();
    assert_eq!(
        shown["arguments"],
        json!(["/bin/app", "--fast", "main"]),
        "{shown}"
    );
    assert_eq!(
        (&shown["directory"], &shown["greeting"]),
        (&json!("/srv"), &json!("hello"))
    );
    assert_eq!(
        (&shown["handler"], &shown["written"]),
        (&json!("main"), &json!(false))
    );
    let read = &shown["read"];
    assert_eq!(
        (&read["/etc/greeting"], &read["/srv/data"]),
        (&json!("top"), &json!("relative"))
    );
    assert_eq!(
        (&read["/etc/removed"], &read["/etc/passwd"]),
        (&Value::Null, &Value::Null)
    );
    let tmp = host.invoke("f", &json!({"write": "/tmp/new"})).await.json();
    assert_eq!(tmp["written"], json!(true));
    // The function's own settings count over the image's.
    let path = format!("{FUNCTIONS}/f/configuration");
    let chosen =
        json!({"EntryPoint": ["/srv/app.wasm"], "Command": ["other"], "WorkingDirectory": "/etc"});
    let changed = json!({"ImageConfig": chosen});
    let changed = host.lambda("PUT", &path, &changed).await.json();
    assert_eq!(
        changed["ImageConfigResponse"],
        json!({"ImageConfig": chosen})
    );
    host.settled("f").await;
    let shown = host.invoke("f", &json!({})).await.json();
    assert_eq!(shown["arguments"], json!(["/srv/app.wasm", "other"]));
    assert_eq!(
        (&shown["directory"], &shown["handler"]),
        (&json!("/etc"), &json!("other"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_update_leaves_the_image_before() {
    let registry = Registry::start().await;
    let uri = registry.image("f:1");
    Image::component(guest("echo")).push(&uri, &[]);
    let host = Lamina::with(&registry.settings(), "");
    create(&host, "f", &uri, Value::Null).await;
    host.settled("f").await;
    let native = registry.image("f:native");
    let elf = layer(&[("app", b"\x7fELF and more")]);
    Image::files(vec![elf], &json!({"Entrypoint": ["/app"]})).push(&native, &[]);
    assert_eq!(update(&host, "f", &native).await.status, 200);
    let failed = ended(&host, "f").await;
    assert_eq!(
        (&failed["State"], &failed["LastUpdateStatus"]),
        (&json!("Active"), &json!("Failed"))
    );
    assert_eq!(
        failed["LastUpdateStatusReasonCode"], "InvalidImage",
        "{failed}"
    );
    let reason = failed["LastUpdateStatusReason"]
        .as_str()
        .unwrap_or_default();
    assert!(reason.contains("native executable"), "{reason}");
    assert_eq!(host.invoke("f", &json!(7)).await.json(), json!(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_the_other_package_type_are_refused() {
    let registry = Registry::start().await;
    let uri = registry.image("f:1");
    Image::component(guest("echo")).push(&uri, &[]);
    let host = Lamina::with(&registry.settings(), "");
    let packages = "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.";
    let layers = json!(["arn:aws:lambda:us-east-1:000000000000:layer:l:1"]);
    for more in [
        json!({"Handler": "h"}),
        json!({"Runtime": "provided.al2023"}),
        json!({"Layers": layers}),
    ] {
        let refused = create(&host, "f", &uri, more).await;
        assert_eq!(
            refused.error(),
            ("InvalidParameterValueException".into(), packages.into())
        );
    }
    let no_type = json!({"FunctionName": "f", "Role": ROLE, "Code": {"ImageUri": uri}});
    let refused = host.lambda("POST", FUNCTIONS, &no_type).await.error().1;
    assert!(
        refused.starts_with("Runtime and Handler are mandatory"),
        "{refused}"
    );
    create(&host, "f", &uri, Value::Null).await;
    host.settled("f").await;
    let put = |part: &'static str, body: Value| {
        let path = format!("{FUNCTIONS}/f/{part}");
        let host = &host;
        async move { host.lambda("PUT", &path, &body).await.error().1 }
    };
    assert_eq!(
        put("configuration", json!({"Handler": "h"})).await,
        packages
    );
    let refused = put("code", json!({"ZipFile": "UEs="})).await;
    assert_eq!(
        refused,
        "Please provide ImageUri when updating a function with packageType Image."
    );
    host.create("zip", &guest("echo"), Value::Null).await;
    let refused = update(&host, "zip", &uri).await.error().1;
    assert_eq!(
        refused,
        "Please don't provide ImageUri when updating a function with packageType Zip."
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn registry_that_is_not_configured_must_be_public() {
    let registry = Registry::start().await;
    let uri = registry.image("f:1");
    Image::component(guest("echo")).push(&uri, &[]);
    let host = Lamina::start();
    let refused = create(&host, "f", &uri, Value::Null).await;
    let (name, text) = refused.error();
    assert_eq!(name, "InvalidParameterValueException");
    assert!(text.contains("127.0.0.1 is not a public address"), "{text}");
    assert!(text.contains("[[images.registries]]"), "{text}");
    let named = create(
        &host,
        "f",
        &uri.replace("127.0.0.1", "localhost"),
        Value::Null,
    )
    .await;
    assert!(
        named.error().1.contains("is not a public address"),
        "{}",
        named.text()
    );
}
