//! Registries that lie, hang, redirect or answer in other words: each is a clear error, and nothing is half made.

use std::convert::Infallible;
use std::fs;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::layout::{INDEX, Image, MANIFEST, Part, TAR, layer};
use super::{create, ended};
use crate::harness::{Lamina, guest};

/// An answer of a registry.
pub enum Answer {
    /// Status, headers and body.
    Whole(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// None, ever.
    Silence,
    /// A head, and a body that never ends.
    Hang,
}

/// A registry that a test answers for.
pub struct Liar {
    pub host: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// Path of a request, and its credentials.
pub type Seen = (String, Option<String>);

type Body = UnsyncBoxBody<Bytes, Infallible>;

impl Liar {
    /// Starts a registry that answers to a path and an `Authorization`.
    pub async fn start(
        answer: impl Fn(&str, Option<&str>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let host = listener.local_addr().expect("it is bound").to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (noted, answer) = (seen.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (noted, answer) = (noted.clone(), answer.clone());
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    let path = request.uri().to_string();
                    let header = request.headers().get("authorization");
                    let authorization = header.map(|it| it.to_str().expect("text").to_owned());
                    let answer = answer(&path, authorization.as_deref());
                    noted
                        .lock()
                        .expect("no test failed")
                        .push((path, authorization));
                    respond(answer)
                });
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { host, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test failed").clone()
    }

    pub fn settings(&self) -> String {
        format!(
            "[images]\ntimeout_seconds = 2\n[[images.registries]]\nhost = \"{}\"\n",
            self.host
        )
    }

    pub fn image(&self) -> String {
        format!("{}/f:1", self.host)
    }
}

async fn respond(answer: Answer) -> Result<Response<Body>, Infallible> {
    Ok(match answer {
        Answer::Whole(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response
                .body(Full::new(Bytes::from(body)).boxed_unsync())
                .expect("a response")
        }
        Answer::Silence => std::future::pending().await,
        Answer::Hang => {
            let body = futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>();
            let response = Response::builder().header("content-type", MANIFEST);
            response
                .body(StreamBody::new(body).boxed_unsync())
                .expect("a response")
        }
    })
}

/// Content with its media type.
pub fn found(part: &Part) -> Answer {
    Answer::Whole(
        200,
        vec![("content-type", part.kind.clone())],
        part.bytes.clone(),
    )
}

pub fn missing() -> Answer {
    Answer::Whole(404, Vec::new(), b"{}".to_vec())
}

/// The answer of an honest registry of one image.
pub fn honest(image: &Image, path: &str) -> Answer {
    if path.contains("/manifests/") {
        return found(&image.manifest);
    }
    let part = image.parts.iter().find(|it| path.ends_with(&it.digest()));
    part.map_or_else(missing, found)
}

fn echo() -> Image {
    Image::component(guest("echo"))
}

/// Requires that nothing of an image is left in a host's directory.
fn require_nothing_left(host: Lamina) {
    let dir = host.kill();
    for name in ["packages", "trees"] {
        let left = fs::read_dir(dir.path().join("data").join(name)).expect("a directory");
        let left: Vec<_> = left
            .filter_map(Result::ok)
            .map(|it| it.file_name())
            .collect();
        assert!(left.is_empty(), "{name} has {left:?}");
    }
}

/// Creates a function of a registry's image: its refusal must have this text.
async fn require_refusal(
    answer: impl Fn(&str, Option<&str>) -> Answer + Send + Sync + 'static,
    expected: &str,
) {
    let liar = Liar::start(answer).await;
    let host = Lamina::with(&liar.settings(), "");
    let refused = create(&host, "f", &liar.image(), Value::Null).await;
    let (name, text) = refused.error();
    assert_eq!(
        (refused.status.as_u16(), &*name),
        (400, "InvalidParameterValueException"),
        "{text}"
    );
    assert!(text.contains(expected), "{text}");
    let path = "/2015-03-31/functions/f";
    assert_eq!(host.lambda("GET", path, &Value::Null).await.status, 404);
    require_nothing_left(host);
}

/// Creates a function of a registry's image: it must fail with this code and text.
async fn require_failure(
    answer: impl Fn(&str, Option<&str>) -> Answer + Send + Sync + 'static,
    code: &str,
    expected: &str,
) {
    let liar = Liar::start(answer).await;
    let host = Lamina::with(&liar.settings(), "");
    let made = create(&host, "f", &liar.image(), Value::Null).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let failed = ended(&host, "f").await;
    assert_eq!(
        (&failed["State"], &failed["StateReasonCode"]),
        (&json!("Failed"), &json!(code)),
        "{failed}"
    );
    let text = failed["StateReason"].as_str().unwrap_or_default();
    assert!(text.contains(expected), "{text}");
    let invoked = host.invoke("f", &json!({})).await;
    assert_ne!(invoked.status, 200, "{}", invoked.text());
    require_nothing_left(host);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_not_the_manifests_fails_the_function() {
    let image = echo();
    let wasm = image.parts[1].clone();
    let with = |bytes: Vec<u8>| {
        let (image, digest) = (image.clone(), wasm.digest());
        move |path: &str, _: Option<&str>| match path.ends_with(&digest) {
            true => Answer::Whole(200, Vec::new(), bytes.clone()),
            false => honest(&image, path),
        }
    };
    let mut other = wasm.bytes.clone();
    let last = other.len() - 1;
    other[last] ^= 1;
    require_failure(
        with(other),
        "InvalidImage",
        "another digest than its manifest says",
    )
    .await;
    let longer = [&*wasm.bytes, b"x"].concat();
    require_failure(
        with(longer),
        "InvalidImage",
        "longer than the manifest says",
    )
    .await;
    let shorter = wasm.bytes[..last].to_vec();
    require_failure(with(shorter), "InternalError", "ended early").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_with_another_digest_is_refused() {
    let (image, other) = (echo(), Image::component(guest("noexport")));
    let claimed = other.manifest.digest();
    let first = image.clone();
    let lies = move |path: &str, _: Option<&str>| match honest(&first, path) {
        Answer::Whole(status, mut headers, body) => {
            headers.push(("docker-content-digest", claimed.clone()));
            Answer::Whole(status, headers, body)
        }
        answer => answer,
    };
    require_refusal(lies, "another digest than the registry says").await;
    // The tag leads to an image whose digest leads to another one.
    let lies = move |path: &str, _: Option<&str>| match path.contains("manifests/sha256:") {
        true => found(&other.manifest),
        false => honest(&image, path),
    };
    require_failure(lies, "InvalidImage", "another digest").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_that_is_no_manifest_is_refused() {
    let html = |_: &str, _: Option<&str>| {
        let kind = vec![("content-type", "text/html; charset=utf-8".to_owned())];
        Answer::Whole(200, kind, b"<html>Sign in</html>".to_vec())
    };
    require_refusal(html, "text/html").await;
    let cases = [
        ("<html>", "is not one of an image"),
        ("{\"schemaVersion\": 1}", "schema version"),
        ("{\"schemaVersion\": 2}", "neither layers nor images"),
    ];
    for (body, expected) in cases {
        let lies = move |_: &str, _: Option<&str>| found(&Part::new(MANIFEST, body));
        require_refusal(lies, expected).await;
    }
    require_refusal(
        |_: &str, _: Option<&str>| missing(),
        "does not exist. Provide a valid source image.",
    )
    .await;
    let failing = |_: &str, _: Option<&str>| Answer::Whole(500, Vec::new(), Vec::new());
    require_refusal(failing, "answered with status 500").await;
    let long = |_: &str, _: Option<&str>| found(&Part::new(MANIFEST, vec![b' '; 5 << 20]));
    require_refusal(long, "longer than it may be").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registry_that_hangs_is_given_up() {
    require_refusal(|_: &str, _: Option<&str>| Answer::Silence, "within 2 s").await;
    require_refusal(|_: &str, _: Option<&str>| Answer::Hang, "within 2 s").await;
    let image = echo();
    let hangs = move |path: &str, _: Option<&str>| match path.contains("/blobs/") {
        true => Answer::Hang,
        false => honest(&image, path),
    };
    require_failure(hangs, "InternalError", "did not send the image within 2 s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn image_that_is_gone_or_closed_has_its_reason_code() {
    for (status, code) in [(404, "ImageDeleted"), (403, "ImageAccessDenied")] {
        let image = echo();
        let lies = move |path: &str, _: Option<&str>| match path.contains("/manifests/1") {
            true => honest(&image, path),
            false => Answer::Whole(status, Vec::new(), Vec::new()),
        };
        require_failure(lies, code, "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_media_types_and_platforms_are_refused_by_name() {
    let zstd = Part::new("application/vnd.oci.image.layer.v1.tar+zstd", "x");
    let image = Image::new(Part::new(MANIFEST, "{}"), vec![zstd]);
    require_refusal(
        move |path: &str, _: Option<&str>| honest(&image, path),
        "tar+zstd",
    )
    .await;
    let mut only = echo().manifest.descriptor();
    only["platform"] = json!({"os": "windows", "architecture": "arm"});
    let index = Part::new(
        INDEX,
        json!({"schemaVersion": 2, "manifests": [only]}).to_string(),
    );
    require_refusal(move |_: &str, _: Option<&str>| found(&index), "windows/arm").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn index_leads_to_its_image_for_webassembly() {
    let (image, native) = (echo(), Image::files(vec![layer(&[])], &json!({})));
    let mut platforms = [native.manifest.descriptor(), image.manifest.descriptor()];
    platforms[0]["platform"] = json!({"os": "linux", "architecture": "amd64"});
    platforms[1]["platform"] = json!({"os": "wasi", "architecture": "wasm"});
    let index = Part::new(
        INDEX,
        json!({"schemaVersion": 2, "manifests": platforms}).to_string(),
    );
    let digest = image.manifest.digest();
    let liar = Liar::start(move |path, _| match path.contains("/manifests/1") {
        true => found(&index),
        false => honest(&image, path),
    })
    .await;
    let host = Lamina::with(&liar.settings(), "");
    assert_eq!(
        create(&host, "f", &liar.image(), Value::Null).await.status,
        201
    );
    host.settled("f").await;
    let code = super::code(&host, "f").await;
    assert_eq!(
        code["ResolvedImageUri"],
        format!("{}/f@{digest}", liar.host)
    );
    assert_eq!(host.invoke("f", &json!(1)).await.json(), json!(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirect_to_storage_takes_no_credentials_along() {
    let image = echo();
    let same = image.clone();
    let storage = Liar::start(move |path, _| honest(&same, path)).await;
    let to = storage.host.clone();
    let registry = Liar::start(move |path, authorization| {
        if authorization.is_none() {
            let challenge = vec![("www-authenticate", "Basic realm=\"r\"".to_owned())];
            return Answer::Whole(401, challenge, Vec::new());
        }
        match path.contains("/blobs/") {
            true => Answer::Whole(
                307,
                vec![("location", format!("http://{to}{path}"))],
                Vec::new(),
            ),
            false => honest(&image, path),
        }
    })
    .await;
    let login = "username = \"u\"\npassword = \"p\"\n";
    let both = format!(
        "{}{login}[[images.registries]]\nhost = \"{}\"\n",
        registry.settings(),
        storage.host
    );
    let host = Lamina::with(&both, "");
    create(&host, "f", &registry.image(), Value::Null).await;
    host.settled("f").await;
    let seen = storage.seen();
    assert!(
        !seen.is_empty() && seen.iter().all(|(_, it)| it.is_none()),
        "{seen:?}"
    );
    // Storage at an address that is neither public nor in the configuration.
    let alone = format!("{}{login}", registry.settings());
    let host = Lamina::with(&alone, "");
    create(&host, "f", &registry.image(), Value::Null).await;
    let failed = ended(&host, "f").await;
    let text = failed["StateReason"].as_str().unwrap_or_default();
    assert!(text.contains("is not a public address"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirect_without_end_or_to_plain_http_is_refused() {
    let to = |location: &'static str| {
        move |_: &str, _: Option<&str>| {
            Answer::Whole(307, vec![("location", location.to_owned())], Vec::new())
        }
    };
    require_refusal(to("/v2/f/manifests/1"), "redirects without end").await;
    require_refusal(to("http://192.0.2.1/x"), "another machine for plain HTTP").await;
    require_refusal(to("file:///etc/passwd"), "no URL").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_layer_fails_the_function() {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..9].copy_from_slice(b"../../evl");
    header.set_size(0);
    header.set_cksum();
    let up = header.as_bytes().to_vec();
    for (tar, expected) in [
        (up, "leads out of the image"),
        (b"<html>".repeat(200), "damaged"),
    ] {
        let image = Image::files(vec![tar], &json!({}));
        assert_eq!(image.parts[1].kind, TAR);
        let answer = move |path: &str, _: Option<&str>| honest(&image, path);
        require_failure(answer, "InvalidImage", expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn image_over_its_limit_is_refused() {
    let image = echo();
    let liar = Liar::start(move |path, _| honest(&image, path)).await;
    let settings = format!(
        "[images]\nimage_bytes = 1000\n[[images.registries]]\nhost = \"{}\"\n",
        liar.host
    );
    let host = Lamina::with(&settings, "");
    create(&host, "f", &liar.image(), Value::Null).await;
    let failed = ended(&host, "f").await;
    let text = failed["StateReason"].as_str().unwrap_or_default();
    assert!(text.contains("larger than 1000 bytes"), "{failed}");
    assert!(
        liar.seen()
            .iter()
            .all(|(path, _)| !path.contains("/blobs/"))
    );
}
