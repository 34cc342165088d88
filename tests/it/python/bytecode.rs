//! Compiled files: made when a function is deployed, and imported in place of sources.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::packages::Package;
use super::{call, create, create_zip, host};
use crate::layers::zip_of;

/// Imports a module, and says which files were compiled for it.
const SOURCE: &str = r#"
import sys

compiled = []
sys.addaudithook(lambda event, arguments: event == "compile" and compiled.append(str(arguments[1])))


def lambda_handler(event, context):
    __import__(event["module"])
    return [it for it in compiled if it.startswith(("/var/task", "/opt"))]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn modules_of_the_package_are_compiled_when_deployed() {
    let host = host().await;
    let package = zip_of(&[
        ("lambda_function.py", SOURCE),
        ("plain.py", "VALUE = 1\n"),
        ("package/__init__.py", "from . import inner\n"),
        ("package/inner.py", "VALUE = 2\n"),
        // Left to the import, whose warning shows in the log as on AWS.
        ("warning.py", "VALUE = '\\d'\n"),
        ("broken.py", "def\n"),
    ]);
    create_zip(&host, "f", &package, json!({})).await;
    for module in ["plain", "package"] {
        let compiled = call(&host, "f", json!({"module": module})).await;
        assert_eq!(compiled, json!([]), "{module}");
    }
    let compiled = call(&host, "f", json!({"module": "warning"})).await;
    assert_eq!(compiled, json!(["/var/task/warning.py"]));
    let failed = host.invoke("f", &json!({"module": "broken"})).await;
    assert_eq!(failed.json()["errorType"], "SyntaxError");
    // New code is compiled anew.
    let update = zip_of(&[("lambda_function.py", SOURCE), ("plain.py", "VALUE = 3\n")]);
    let code = json!({"ZipFile": STANDARD.encode(update)});
    let updated = host
        .lambda("PUT", "/2015-03-31/functions/f/code", &code)
        .await;
    assert_eq!(updated.status, 200, "{}", updated.text());
    host.settled("f").await;
    let compiled = call(&host, "f", json!({"module": "plain"})).await;
    assert_eq!(compiled, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn compiled_files_show_the_paths_and_lines_of_their_sources() {
    let host = host().await;
    let inner = "def fail():\n    raise ValueError('x')\n";
    let source = "import inner\ndef lambda_handler(event, context):\n    inner.fail()\n";
    let package = zip_of(&[("lambda_function.py", source), ("inner.py", inner)]);
    create_zip(&host, "f", &package, json!({})).await;
    let failed = host.invoke("f", &json!({})).await.json();
    let expected = json!([
        "  File \"/var/task/lambda_function.py\", line 3, in lambda_handler\n    inner.fail()\n",
        "  File \"/var/task/inner.py\", line 2, in fail\n    raise ValueError('x')\n",
    ]);
    assert_eq!(failed["stackTrace"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_compiled_too() {
    let host = host().await;
    let layer = zip_of(&[("python/shared.py", "VALUE = 4\n")]);
    let layer = crate::layers::publish(&host, "shared", &layer, json!({})).await;
    let arn = layer.json()["LayerVersionArn"].clone();
    create(&host, "f", SOURCE, json!({"Layers": [arn]})).await;
    let compiled = call(&host, "f", json!({"module": "shared"})).await;
    assert_eq!(compiled, json!([]));
}

/// Says which of its modules were there before, and from where it has them.
const SDK: &str = r#"
import sys
import time

before = {name for name in sys.modules if name in ("boto3", "botocore.client", "urllib3")}
started = time.perf_counter()
import boto3
import botocore.client
import urllib3
seconds = time.perf_counter() - started


def lambda_handler(event, context):
    clients = [boto3.client(name, region_name="eu-west-1").meta.endpoint_url for name in ("s3", "sqs")]
    # `import` of the package itself is what counts; the time is for eyes.
    print(f"imported in {seconds * 1e3:.3f} ms")
    return {"before": sorted(before), "files": [boto3.__file__, urllib3.__file__], "clients": clients}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn boto3_is_built_in_and_imported() {
    let host = host().await;
    create(&host, "f", SDK, json!({})).await;
    let expected = json!({
        "before": ["boto3", "botocore.client", "urllib3"],
        "files": ["/python/site-packages/boto3/__init__.py", "/python/site-packages/urllib3/__init__.py"],
        "clients": ["https://s3.eu-west-1.amazonaws.com", "https://sqs.eu-west-1.amazonaws.com"],
    });
    assert_eq!(call(&host, "f", json!({})).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_of_the_function_replace_those_that_are_built_in() {
    let host = host().await;
    // In the handler, as the time of an init is short on a busy machine.
    let source = "def lambda_handler(event, context):\n    import boto3, botocore.httpsession, urllib3\n    \
                  return [boto3.__file__, urllib3.__file__, botocore.httpsession.PoolManager.__module__]\n";
    let result = Package::new(source, &["urllib3"])
        .called(&host, "f", Value::Null)
        .await;
    let expected = json!([
        "/python/site-packages/boto3/__init__.py",
        "/var/task/urllib3/__init__.py",
        "urllib3.poolmanager",
    ]);
    assert_eq!(result, expected);
}
