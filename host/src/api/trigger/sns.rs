//! Messages of SNS to an HTTP subscription: notifications become the event that SNS gives to functions, and subscriptions
//! of the trigger's topics are confirmed.

use std::time::Duration;

use http::request::Parts;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::certificate::Version;
use super::{Delivery, Refused, Triggers};
use crate::api::Front;
use crate::clock::Timestamp;
use crate::config::Trigger;
use crate::outbound::aws::{self, Service};
use crate::payload::Document;
use crate::payload::json::Value;

/// Age of a message from which on it may be a replay. SNS repeats deliveries over HTTP for one hour; the rest is for
/// clocks that differ.
const AGE_MAX: Duration = Duration::from_secs(2 * 3_600);
/// Largest values of the members that the host itself uses.
const MEMBER_BYTES_MAX: usize = 2_048;

/// Message whose members are known to be strings.
#[derive(Clone, Copy, Debug)]
struct Message<'a>(Value<'a>);

/// Type of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Notification,
    SubscriptionConfirmation,
    UnsubscribeConfirmation,
}

impl Kind {
    const ALL: [(&'static str, Self); 3] = [
        ("Notification", Self::Notification),
        ("SubscriptionConfirmation", Self::SubscriptionConfirmation),
        ("UnsubscribeConfirmation", Self::UnsubscribeConfirmation),
    ];

    /// Signed members, in the order of the signature.
    fn signed(self) -> &'static [&'static str] {
        match self {
            Self::Notification => &[
                "Message",
                "MessageId",
                "Subject",
                "Timestamp",
                "TopicArn",
                "Type",
            ],
            Self::SubscriptionConfirmation | Self::UnsubscribeConfirmation => &[
                "Message",
                "MessageId",
                "SubscribeURL",
                "Timestamp",
                "Token",
                "TopicArn",
                "Type",
            ],
        }
    }
}

impl<'a> Message<'a> {
    fn member(self, name: &str) -> Option<Value<'a>> {
        self.0.member(name).filter(|it| !it.is_null())
    }

    /// String of a member that a message must have.
    fn text(self, name: &str) -> Result<String, Refused> {
        let text = self.member(name).and_then(Value::text);
        let text = text.and_then(|it| it.decode().ok());
        let malformed = || {
            let text = format!("the body is not a message of SNS: {name:?} is no string");
            Refused::malformed(text)
        };
        Ok(text.ok_or_else(malformed)?.into_owned())
    }

    /// String of a member that the host uses.
    fn short(self, name: &str) -> Result<String, Refused> {
        let text = self.text(name)?;
        match text.len() <= MEMBER_BYTES_MAX {
            true => Ok(text),
            false => Err(Refused::malformed(format!(
                "{name:?} is longer than {MEMBER_BYTES_MAX} bytes"
            ))),
        }
    }

    fn kind(self) -> Result<Kind, Refused> {
        let kind = self.text("Type")?;
        let known = Kind::ALL.into_iter().find(|(name, _)| *name == kind);
        let malformed = || Refused::malformed("the body is not a message of SNS: unknown \"Type\"");
        Ok(known.ok_or_else(malformed)?.1)
    }

    /// Text that SNS signs.
    fn signed_text(self, kind: Kind) -> Result<String, Refused> {
        let mut signed = String::new();
        for name in kind.signed() {
            // The only member that may be missing.
            if *name == "Subject" && self.member(name).is_none() {
                continue;
            }
            signed.push_str(&format!("{name}\n{}\n", self.text(name)?));
        }
        Ok(signed)
    }

    /// Refuses replays.
    fn require_recent(self, now: Timestamp) -> Result<(), Refused> {
        let sent: jiff::Timestamp = self
            .short("Timestamp")?
            .parse()
            .map_err(|_| Refused::malformed("\"Timestamp\" is no time"))?;
        let apart = sent.duration_since(now.utc()).unsigned_abs();
        match apart <= AGE_MAX {
            true => Ok(()),
            false => Err(Refused::forbidden(format!(
                "the message is of {sent}, more than {} s from now",
                AGE_MAX.as_secs()
            ))),
        }
    }

    /// Event of a notification, as SNS gives it to functions.
    fn event(self, parts: &Parts) -> Result<Document, Refused> {
        let raw = |name: &str| self.member(name).map_or("null", Value::raw);
        let subscription = match self.subscription(parts) {
            Some(arn) => json!(arn).to_string(),
            None => "null".to_owned(),
        };
        let attributes = self.member("MessageAttributes").map_or("{}", Value::raw);
        let event = format!(
            "{{\"Records\":[{{\"EventSource\":\"aws:sns\",\"EventVersion\":\"1.0\",\
             \"EventSubscriptionArn\":{subscription},\"Sns\":{{\"Type\":\"Notification\",\"MessageId\":{},\
             \"TopicArn\":{},\"Subject\":{},\"Message\":{},\"Timestamp\":{},\"SignatureVersion\":{},\"Signature\":{},\
             \"SigningCertUrl\":{},\"UnsubscribeUrl\":{},\"MessageAttributes\":{attributes}}}}}]}}",
            raw("MessageId"),
            raw("TopicArn"),
            raw("Subject"),
            raw("Message"),
            raw("Timestamp"),
            raw("SignatureVersion"),
            raw("Signature"),
            raw("SigningCertURL"),
            raw("UnsubscribeURL"),
        );
        let event = Document::parse(event.into());
        event.map_err(|error| Refused::malformed(error.to_string()))
    }

    /// ARN of the subscription: from SNS's header, else from the link that ends it.
    fn subscription(self, parts: &Parts) -> Option<String> {
        let header = parts.headers.get("x-amz-sns-subscription-arn");
        let header = header.and_then(|it| it.to_str().ok()).map(str::to_owned);
        header.or_else(|| {
            let link = self.text("UnsubscribeURL").ok()?;
            let arn = link.split("SubscriptionArn=").nth(1)?.split('&').next()?;
            Some(arn.to_owned())
        })
    }
}

impl Front {
    /// Takes a message; `None` if it is not for the function.
    pub(super) async fn take_sns(
        &self,
        trigger: &Trigger,
        parts: &Parts,
        body: &Document,
    ) -> Result<Option<Delivery>, Refused> {
        if parts.headers.contains_key("x-amz-sns-rawdelivery") {
            let text = "messages of raw delivery are not signed: set RawMessageDelivery of the subscription to false";
            return Err(Refused::forbidden(text));
        }
        let message = Message(body.root());
        let (kind, topic) = (message.kind()?, message.short("TopicArn")?);
        trigger.require_source(&topic)?;
        message.require_recent(self.clock.now())?;
        self.require_signed(message, kind, &topic).await?;
        match kind {
            Kind::Notification => Ok(Some(Delivery {
                event: message.event(parts)?,
                source_arn: topic,
            })),
            Kind::SubscriptionConfirmation => {
                self.confirm(&topic, &message.short("Token")?).await?;
                Ok(None)
            }
            Kind::UnsubscribeConfirmation => {
                tracing::warn!(trigger = trigger.name, topic, "a subscription was ended");
                Ok(None)
            }
        }
    }

    async fn require_signed(
        &self,
        message: Message<'_>,
        kind: Kind,
        topic: &str,
    ) -> Result<(), Refused> {
        let version = Version::parse(&message.short("SignatureVersion")?);
        let version = version
            .ok_or_else(|| Refused::malformed("\"SignatureVersion\" is neither \"1\" nor \"2\""))?;
        let signed = message.signed_text(kind)?;
        let signature = message.short("Signature")?;
        let url = message.short("SigningCertURL")?;
        let Triggers {
            certificates, aws, ..
        } = &self.triggers;
        let certificate = certificates.get(&url, region(topic), aws).await?;
        certificate
            .verify(version, signed.as_bytes(), &signature)
            .map_err(|error| Refused::forbidden(error.to_string()))
    }

    /// Confirms a subscription at the endpoint of the topic's region; `SubscribeURL` is not followed.
    async fn confirm(&self, topic: &str, token: &str) -> Result<(), Refused> {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let query = format!(
            "/?Action=ConfirmSubscription&Version=2010-03-31&TopicArn={}&Token={}",
            encode(topic),
            encode(token)
        );
        let aws = &self.triggers.aws;
        let confirmed = aws.get(Service::Sns, region(topic), &query).await;
        confirmed.map_err(|error| {
            let text = format!("the subscription could not be confirmed: {error}");
            match error {
                aws::Error::Refused { status, .. } if status.is_client_error() => {
                    Refused::forbidden(text)
                }
                _ => Refused::unavailable(text),
            }
        })?;
        tracing::info!(topic, "a subscription was confirmed");
        Ok(())
    }
}

/// Region of a topic, whose ARN the configuration has checked.
fn region(topic: &str) -> &str {
    topic.split(':').nth(3).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::post("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    const NOTIFICATION: &str = r#"{"Type":"Notification","MessageId":"m","TopicArn":"t","Message":"a\nb","Timestamp":"2026-11-30T19:00:00.000Z","SignatureVersion":"1","Signature":"s","SigningCertURL":"c","UnsubscribeURL":"https://sns/?Action=Unsubscribe&SubscriptionArn=t:1&x=y"}"#;

    #[test]
    fn notification_has_the_shape_of_an_event_of_functions() {
        let document = Document::parse(NOTIFICATION.into()).unwrap();
        let message = Message(document.root());
        let event = message.event(&parts(&[])).unwrap();
        assert_eq!(
            event.as_str(),
            r#"{"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","EventSubscriptionArn":"t:1","Sns":{"Type":"Notification","MessageId":"m","TopicArn":"t","Subject":null,"Message":"a\nb","Timestamp":"2026-11-30T19:00:00.000Z","SignatureVersion":"1","Signature":"s","SigningCertUrl":"c","UnsubscribeUrl":"https://sns/?Action=Unsubscribe&SubscriptionArn=t:1&x=y","MessageAttributes":{}}}]}"#
        );
        let headed = message.event(&parts(&[("x-amz-sns-subscription-arn", "t:2")]));
        assert!(
            headed
                .unwrap()
                .as_str()
                .contains(r#"SubscriptionArn":"t:2""#)
        );
    }

    #[test]
    fn signed_text_has_the_subject_only_where_there_is_one() {
        let document = Document::parse(NOTIFICATION.into()).unwrap();
        let message = Message(document.root());
        let text = message.signed_text(Kind::Notification).unwrap();
        assert_eq!(
            text,
            "Message\na\nb\nMessageId\nm\nTimestamp\n2026-11-30T19:00:00.000Z\nTopicArn\nt\nType\nNotification\n"
        );
        let with = NOTIFICATION.replace(r#""Message":"#, r#""Subject":"s","Message":"#);
        let document = Document::parse(with.into()).unwrap();
        let text = Message(document.root()).signed_text(Kind::Notification);
        assert!(text.unwrap().contains("\nSubject\ns\nTimestamp\n"));
        let confirmation = message.signed_text(Kind::SubscriptionConfirmation);
        assert!(confirmation.unwrap_err().text.contains("SubscribeURL"));
    }

    #[test]
    fn message_of_two_hours_ago_is_refused() {
        let document = Document::parse(NOTIFICATION.into()).unwrap();
        let message = Message(document.root());
        let at = |text: &str| {
            let time: jiff::Timestamp = text.parse().unwrap();
            Timestamp::from_millis(u64::try_from(time.as_millisecond()).unwrap())
        };
        assert!(message.require_recent(at("2026-11-30T21:00:00Z")).is_ok());
        assert!(message.require_recent(at("2026-11-30T17:00:00Z")).is_ok());
        assert!(message.require_recent(at("2026-11-30T21:00:01Z")).is_err());
        assert!(message.require_recent(at("2026-11-30T16:59:59Z")).is_err());
    }
}
