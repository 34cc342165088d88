//! Queues of asynchronous invocation, for operators: what `lamina queue` calls. On a host with keys, callers need
//! `lamina:GetQueue`, `lamina:PurgeQueue` or `lamina:RedriveQueue` on the function, and `lamina:ListQueues` on `*`.

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::access::Demand;
use super::facts::NoKeys;
use super::{Front, HttpResponse, json as document};
use crate::events;
use crate::invoke::Target;
use crate::names::FunctionRef;

/// List of all queues; the name of a function follows for one.
const PATH: &str = "/_lamina/queues";

/// Events of one response.
const EVENTS_MAX: usize = 1_000;
const EVENTS_DEFAULT: usize = 20;

/// True for the path of a queue, or of all.
pub(super) fn is_path(path: &str) -> bool {
    let rest = path.strip_prefix(PATH);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A refusal of these pages.
pub(super) fn refused(text: String) -> HttpResponse {
    Refused(StatusCode::FORBIDDEN, text).into_response()
}

/// A request that is refused.
struct Refused(StatusCode, String);

/// A request of an operator.
enum Asked {
    All,
    Events(Target, usize),
    Purge(Target),
    /// Out of this dead-letter queue.
    Redrive(Target, String),
}

impl Front {
    pub(super) async fn serve_queues(&self, parts: &Parts) -> HttpResponse {
        match self.answer_queues(parts).await {
            Ok(reply) => reply,
            Err(refused) => refused.into_response(),
        }
    }

    async fn answer_queues(&self, parts: &Parts) -> Result<HttpResponse, Refused> {
        let asked = Asked::of(parts)?;
        self.may_ask(&asked, parts)?;
        let body = match asked {
            Asked::All => {
                let all = self.events.depths().into_iter();
                let all = all.map(|(name, depth)| json!({"Function": name, "Events": depth}));
                json!({"Queues": all.collect::<Vec<_>>()})
            }
            Asked::Events(target, limit) => {
                let events = self.events.list(&target, limit).await.map_err(failed)?;
                json!({"Events": events})
            }
            Asked::Purge(target) => {
                let deleted = self.events.purge(&target).await.map_err(failed)?;
                json!({"Deleted": deleted})
            }
            Asked::Redrive(target, from) => {
                let moved = self.events.redrive(&target, &from).await;
                let moved =
                    moved.map_err(|error| Refused(StatusCode::BAD_GATEWAY, error.to_string()))?;
                json!({"Moved": moved})
            }
        };
        Ok(document(StatusCode::OK, body.to_string()))
    }

    fn may_ask(&self, asked: &Asked, parts: &Parts) -> Result<(), Refused> {
        let Some(access) = self.access(parts) else {
            return Ok(());
        };
        let unsigned =
            |error: super::rest::sigv4::Error| Refused(StatusCode::FORBIDDEN, error.to_string());
        let signed = access.parse(parts, "lambda").map_err(unsigned)?;
        let caller = signed.check(&Bytes::new()).map_err(unsigned)?;
        let home = self.control.home();
        if caller.owns(&home.account) {
            return Ok(());
        }
        let (action, target) = match asked {
            Asked::All => ("lamina:ListQueues", None),
            Asked::Events(target, _) => ("lamina:GetQueue", Some(target)),
            Asked::Purge(target) => ("lamina:PurgeQueue", Some(target)),
            Asked::Redrive(target, _) => ("lamina:RedriveQueue", Some(target)),
        };
        let resource = target.map(|it| home.arn_at(&it.name, it.qualifier.as_ref()));
        let demand = Demand::new(action, resource.unwrap_or_else(|| "*".into()));
        let context = self.context(&caller.principal, parts, None, &NoKeys);
        let permitted = self.permit(&caller, &demand, &context);
        permitted.map_err(|denied| Refused(StatusCode::FORBIDDEN, denied.text))
    }
}

impl Refused {
    fn into_response(self) -> HttpResponse {
        let Self(status, message) = self;
        document(status, json!({"message": message}).to_string())
    }
}

impl Asked {
    fn of(parts: &Parts) -> Result<Self, Refused> {
        let bad = |text: &str| Refused(StatusCode::BAD_REQUEST, text.to_owned());
        let rest = parts.uri.path().strip_prefix(PATH).unwrap_or_default();
        let segment = rest.trim_start_matches('/');
        let target = match segment {
            "" => None,
            segment => {
                let name = percent_decode_str(segment).decode_utf8();
                let name = name.map_err(|_| bad("the name is not UTF-8"))?;
                let named = FunctionRef::parse(&name).map_err(|error| bad(&error.to_string()))?;
                Some(Target {
                    name: named.name,
                    qualifier: named.qualifier,
                })
            }
        };
        let value = |name: &str| {
            let query = parts.uri.query().unwrap_or_default().split('&');
            let mut values = query.filter_map(|it| it.strip_prefix(name)?.strip_prefix('='));
            let value = percent_decode_str(values.next()?).decode_utf8().ok()?;
            Some(value.into_owned())
        };
        match (&parts.method, target) {
            (&Method::GET, None) => Ok(Self::All),
            (&Method::GET, Some(target)) => {
                let limit = match value("limit") {
                    Some(text) => text.parse().map_err(|_| bad("limit is not a number"))?,
                    None => EVENTS_DEFAULT,
                };
                Ok(Self::Events(target, limit.min(EVENTS_MAX)))
            }
            (&Method::DELETE, Some(target)) => Ok(Self::Purge(target)),
            (&Method::POST, Some(target)) => match value("from") {
                Some(from) => Ok(Self::Redrive(target, from)),
                None => Err(bad("from, the ARN of a queue, is missing")),
            },
            _ => {
                let text = "GET lists, DELETE purges and POST redrives the queue of a function";
                Err(Refused(StatusCode::METHOD_NOT_ALLOWED, text.into()))
            }
        }
    }
}

fn failed(error: events::Error) -> Refused {
    tracing::error!(%error, "a queue could not be read or changed");
    Refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}
