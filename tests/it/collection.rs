//! Collection soon after deletions of versions and layers.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Lamina, guest, zipped};
use crate::layers::publish;

/// Waits for a number of packages on disk.
pub async fn require_packages(host: &Lamina, expected: usize) {
    let packages = host.dir.path().join("data/packages");
    let count = || std::fs::read_dir(&packages).expect("it is there").count();
    // Collections are 10 s apart; one per hour would not be seen here.
    for _ in 0..6_000 {
        if count() == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} packages, not {expected}", count());
}

#[tokio::test]
async fn deleted_version_and_layer_are_collected_soon() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({"Publish": true}))
        .await;
    let update = json!({"ZipFile": base64(&zipped(&guest("hostile")))});
    let path = "/2015-03-31/functions/f/code";
    assert_eq!(host.lambda("PUT", path, &update).await.status, 200);
    host.settled("f").await;
    let made = publish(&host, "l", &zipped(b"file"), json!({})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    require_packages(&host, 3).await;
    for (path, left) in [
        ("/2015-03-31/functions/f?Qualifier=1", 2),
        ("/2018-10-31/layers/l/versions/1", 1),
    ] {
        let deleted = host.lambda("DELETE", path, &Value::Null).await;
        assert_eq!(deleted.status, 204, "{}", deleted.text());
        require_packages(&host, left).await;
    }
    assert_eq!(host.invoke("f", &json!({"do": "echo"})).await.status, 200);
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
