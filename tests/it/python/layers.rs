//! Layers of Python functions: packages at `/opt/python`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{call, create, create_zip, host};
use crate::harness::Lamina;
use crate::layers::zip_of;

async fn publish(host: &Lamina, name: &str, files: &[(&str, &str)]) -> Value {
    let content = STANDARD.encode(zip_of(files));
    let request = json!({"Content": {"ZipFile": content}});
    let path = format!("/2018-10-31/layers/{name}/versions");
    let made = host.lambda("POST", &path, &request).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["LayerVersionArn"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_of_layers_are_found_in_awss_order() {
    let host = host().await;
    let site = "python/lib/python3.12/site-packages";
    let layers = [
        publish(
            &host,
            "one",
            &[
                ("python/shared/__init__.py", "NAME = 'layer'\n"),
                ("python/both.py", "NAME = 'python'\n"),
                ("python/replaced.py", "NAME = 'first'\n"),
            ],
        )
        .await,
        publish(
            &host,
            "two",
            &[
                (&format!("{site}/both.py"), "NAME = 'site-packages'\n"),
                ("python/replaced.py", "NAME = 'second'\n"),
                ("data.txt", "of the layer"),
            ],
        )
        .await,
    ];
    let source = "import shared, both, replaced, own\n\
                  def lambda_handler(event, context):\n    \
                  return [shared.NAME, both.NAME, replaced.NAME, own.NAME, open('/opt/data.txt').read()]\n";
    let files = [
        ("lambda_function.py", source),
        ("own.py", "NAME = 'function'\n"),
    ];
    let more = json!({"Runtime": "python3.12", "Layers": layers});
    create_zip(&host, "f", &zip_of(&files), more).await;
    let expected = json!([
        "layer",
        "site-packages",
        "second",
        "function",
        "of the layer"
    ]);
    assert_eq!(call(&host, "f", json!({})).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn function_comes_before_its_layers() {
    let host = host().await;
    let layer = publish(&host, "one", &[("python/settings.py", "NAME = 'layer'\n")]).await;
    let source = "import settings\ndef lambda_handler(event, context):\n    return settings.NAME\n";
    create(&host, "f", source, json!({"Layers": [layer]})).await;
    assert_eq!(call(&host, "f", json!({})).await, "layer");
    let files = [
        ("lambda_function.py", source),
        ("settings.py", "NAME = 'function'\n"),
    ];
    let more = json!({"Layers": [layer]});
    create_zip(&host, "g", &zip_of(&files), more).await;
    assert_eq!(call(&host, "g", json!({})).await, "function");
}
