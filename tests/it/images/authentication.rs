//! Logins: Basic at Debian's registry, and tokens from a service that the registry names.

use serde_json::{Value, json};

use super::layout::Image;
use super::lying::{Answer, Liar, honest};
use super::registry::{LOGIN, Registry};
use super::{create, ended};
use crate::harness::{Lamina, guest};

#[tokio::test(flavor = "multi_thread")]
async fn closed_registry_is_read_with_the_login_of_the_configuration() {
    let registry = Registry::closed().await;
    let (user, password) = LOGIN;
    let uri = registry.image("f:1");
    Image::component(guest("echo")).push(&uri, &["--dest-creds", &format!("{user}:{password}")]);
    let host = Lamina::with(&registry.settings(), "");
    let refused = create(&host, "f", &uri, Value::Null).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.error().1.contains("does not have permission"),
        "{}",
        refused.text()
    );
    let wrong = registry.settings_with_login().replace("secret", "guess");
    let host = Lamina::with(&wrong, "");
    assert_eq!(create(&host, "f", &uri, Value::Null).await.status, 400);
    let host = Lamina::with(&registry.settings_with_login(), "");
    assert_eq!(create(&host, "f", &uri, Value::Null).await.status, 201);
    host.settled("f").await;
    assert_eq!(host.invoke("f", &json!(1)).await.json(), json!(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn login_of_dockers_configuration_is_used() {
    let registry = Registry::closed().await;
    let (user, password) = LOGIN;
    let uri = registry.image("f:1");
    let credentials = format!("{user}:{password}");
    Image::component(guest("echo")).push(&uri, &["--dest-creds", &credentials]);
    use base64::Engine;
    let auth = base64::engine::general_purpose::STANDARD.encode(credentials);
    let auths = json!({"auths": {registry.host.clone(): {"auth": auth}}});
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("config.json");
    std::fs::write(&path, auths.to_string()).expect("a file");
    let docker = format!(
        "[images]\ndocker_config = \"{}\"\n{}",
        path.display(),
        registry.settings()
    );
    let host = Lamina::with(&docker, "");
    assert_eq!(create(&host, "f", &uri, Value::Null).await.status, 201);
    host.settled("f").await;
}

/// A registry that asks for tokens of a service, which `realm` names.
async fn asking(realm: String) -> Liar {
    let image = Image::component(guest("echo"));
    Liar::start(move |path, authorization| match authorization {
        Some("Bearer good") => honest(&image, path),
        _ => {
            let text =
                format!("Bearer realm=\"{realm}\",service=\"r\",scope=\"repository:f:pull\"");
            Answer::Whole(401, vec![("www-authenticate", text)], Vec::new())
        }
    })
    .await
}

/// A token service with this answer.
async fn service(answer: &'static str) -> Liar {
    Liar::start(move |_, _| Answer::Whole(200, Vec::new(), answer.into())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn token_of_the_named_service_is_used() {
    for answer in [
        r#"{"token": "good"}"#,
        r#"{"access_token": "good", "expires_in": 60}"#,
    ] {
        let service = service(answer).await;
        let registry = asking(format!("http://{}/token", service.host)).await;
        let login = "username = \"u\"\npassword = \"p\"\n";
        let of_service = format!("[[images.registries]]\nhost = \"{}\"\n", service.host);
        let host = Lamina::with(&format!("{}{login}{of_service}", registry.settings()), "");
        let made = create(&host, "f", &registry.image(), Value::Null).await;
        assert_eq!(made.status, 201, "{}", made.text());
        host.settled("f").await;
        let (path, authorization) = service.seen()[0].clone();
        assert_eq!(path, "/token?scope=repository%3Af%3Apull&service=r");
        assert_eq!(authorization.as_deref(), Some("Basic dTpw"));
        // One token serves all requests of a pull.
        assert_eq!(service.seen().len(), 2, "{:?}", service.seen());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn service_without_a_token_or_at_a_private_address_is_refused() {
    let wrong = service("<html>").await;
    let registry = asking(format!("http://{}/token", wrong.host)).await;
    let of_service = format!("[[images.registries]]\nhost = \"{}\"\n", wrong.host);
    let host = Lamina::with(&format!("{}{of_service}", registry.settings()), "");
    let refused = create(&host, "f", &registry.image(), Value::Null)
        .await
        .error()
        .1;
    assert!(refused.contains("sent no token"), "{refused}");
    let host = Lamina::with(&registry.settings(), "");
    let refused = create(&host, "f", &registry.image(), Value::Null)
        .await
        .error()
        .1;
    assert!(refused.contains("is not a public address"), "{refused}");
    let bad = service(r#"{"token": "bad"}"#).await;
    let registry = asking(format!("http://{}/token", bad.host)).await;
    let of_service = format!("[[images.registries]]\nhost = \"{}\"\n", bad.host);
    let host = Lamina::with(&format!("{}{of_service}", registry.settings()), "");
    let refused = create(&host, "f", &registry.image(), Value::Null)
        .await
        .error()
        .1;
    assert!(refused.contains("does not have permission"), "{refused}");
    assert_eq!(ended_or_missing(&host).await, Value::Null);
}

async fn ended_or_missing(host: &Lamina) -> Value {
    let path = "/2015-03-31/functions/f";
    let shown = host.lambda("GET", path, &Value::Null).await;
    match shown.status.as_u16() {
        404 => Value::Null,
        _ => ended(host, "f").await,
    }
}
