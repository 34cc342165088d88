//! Messages of SNS signed by hand, and a server in place of SNS with the certificate.

use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{Timestamp, ToSpan};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{TOPIC, allow, deliver, host, next_event};
use crate::moto::Moto;
use crate::sqs_source::Queue;

const CERTIFICATE: &str = include_str!("certificate.pem");
const CERTIFICATE_URL: &str =
    "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123.pem";

/// Server in place of SNS, with the request lines that it got.
struct Sns {
    endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Sns {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let all = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let line = head.lines().next().unwrap_or_default().to_owned();
                all.lock().expect("no reader panics").push(line);
                let length = CERTIFICATE.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{CERTIFICATE}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self {
            endpoint: format!("http://{address}"),
            asked,
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no server panics").clone()
    }
}

fn message(kind: &str, at: Timestamp) -> Value {
    json!({"Type": kind, "MessageId": "m-1", "TopicArn": TOPIC, "Message": "hello",
        "Timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string(), "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE_URL, "UnsubscribeURL": "https://sns.us-east-1.amazonaws.com/"})
}

/// Signs a message as SNS does.
fn sign(mut message: Value) -> Value {
    let is_notification = message["Type"] == "Notification";
    let members: &[&str] = match is_notification {
        true => &[
            "Message",
            "MessageId",
            "Subject",
            "Timestamp",
            "TopicArn",
            "Type",
        ],
        false => &[
            "Message",
            "MessageId",
            "SubscribeURL",
            "Timestamp",
            "Token",
            "TopicArn",
            "Type",
        ],
    };
    let text: String = members
        .iter()
        .filter_map(|name| Some(format!("{name}\n{}\n", message[name].as_str()?)))
        .collect();
    let key = PrivatePkcs8KeyDer::from_pem_slice(include_bytes!("key.pem")).expect("a key");
    let key = KeyPair::from_pkcs8(key.secret_pkcs8_der()).expect("an RSA key");
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signature,
    )
    .expect("it signs");
    message["Signature"] = STANDARD.encode(signature).into();
    message
}

fn with(mut message: Value, member: &str, value: &str) -> Value {
    message[member] = value.into();
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn only_recent_messages_that_sns_signed_are_delivered() {
    let (moto, sns) = (Moto::start().await, Sns::start().await);
    let queue = Queue::new(&moto, "q").await;
    let settings = format!(
        "egress = \"any\"\n[aws]\nendpoint = \"{}\"\nendpoint_sns = \"{}\"\naccess_key_id = \"x\"\n\
         secret_access_key = \"x\"",
        moto.endpoint, sns.endpoint
    );
    let host = host(&settings, &queue).await;
    allow(&host, "sns.amazonaws.com", TOPIC, "123456789012");
    let now = Timestamp::now();
    let good = || message("Notification", now);
    let elsewhere = "https://evil.example/SimpleNotificationService-0123.pem";
    let other = "arn:aws:sns:us-east-1:123456789012:other";
    let (old, new) = (now - 3.hours(), now + 3.hours());
    for (body, expected) in [
        (
            sign(with(good(), "SigningCertURL", elsewhere)),
            "not a certificate",
        ),
        (sign(with(good(), "TopicArn", other)), "source_arns"),
        (sign(message("Notification", old)), "from now"),
        (sign(message("Notification", new)), "from now"),
    ] {
        let (status, text) = deliver(&host, "orders", &[], &body).await;
        assert!(status == 403 && text.contains(expected), "{status}: {text}");
    }
    // Nothing has made the host ask anyone.
    assert_eq!(sns.asked(), [""; 0]);
    for body in [
        with(sign(good()), "Message", "changed"),
        with(sign(good()), "Subject", "added"),
        with(good(), "Signature", "AAAA"),
        with(sign(good()), "SignatureVersion", "1"),
    ] {
        let (status, text) = deliver(&host, "orders", &[], &body).await;
        assert!(
            status == 403 && text.contains("signature"),
            "{status}: {text}"
        );
    }
    let raw = [("x-amz-sns-rawdelivery", "true")];
    let (status, text) = deliver(&host, "orders", &raw, &json!({})).await;
    assert!(
        status == 403 && text.contains("RawMessageDelivery"),
        "{text}"
    );
    for body in [
        json!({}),
        json!([]),
        with(good(), "SignatureVersion", "3"),
        good(),
    ] {
        let (status, text) = deliver(&host, "orders", &[], &body).await;
        assert_eq!(status, 400, "{text}");
    }
    let subscription = [("x-amz-sns-subscription-arn", "arn:s")];
    let body = sign(with(good(), "Subject", "s"));
    let (status, text) = deliver(&host, "orders", &subscription, &body).await;
    assert_eq!(status, 200, "{text}");
    let event = next_event(&queue).await;
    assert_eq!(event["Records"][0]["Sns"]["Subject"], "s", "{event}");
    assert_eq!(event["Records"][0]["EventSubscriptionArn"], "arn:s");
    // The certificate is fetched once.
    assert_eq!(sns.asked().len(), 1, "{:?}", sns.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn subscription_is_confirmed_at_sns_and_nowhere_else() {
    let (moto, sns) = (Moto::start().await, Sns::start().await);
    let queue = Queue::new(&moto, "q").await;
    let settings = format!("[aws]\nendpoint_sns = \"{}\"", sns.endpoint);
    let host = host(&settings, &queue).await;
    let mut confirmation = message("SubscriptionConfirmation", Timestamp::now());
    confirmation["Token"] = "t&1".into();
    confirmation["SubscribeURL"] = "https://evil.example/?Action=ConfirmSubscription".into();
    let forged = with(sign(confirmation.clone()), "Token", "t2");
    let (status, text) = deliver(&host, "orders", &[], &forged).await;
    assert_eq!(status, 403, "{text}");
    let (status, text) = deliver(&host, "orders", &[], &sign(confirmation)).await;
    assert_eq!(status, 200, "{text}");
    let asked = sns.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(
        asked[0].contains("SimpleNotificationService-0123.pem"),
        "{asked:?}"
    );
    let topic = TOPIC.replace(':', "%3A").replace('-', "%2D");
    let expected = format!(
        "GET /?Action=ConfirmSubscription&Version=2010-03-31&TopicArn={topic}&Token=t%261 HTTP/1.1"
    );
    assert_eq!(asked[1], expected);
}
