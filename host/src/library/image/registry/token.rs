//! Authorization of a session: Basic with the login, or a Bearer token from the service that the registry names.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{Error, Message, Session, address};
use crate::library::image::challenge::Challenge;

/// Size of a token service's answer.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Session {
    /// Value of `Authorization` for a challenge; `None` where it needs a login and there is none.
    pub(super) async fn authorize(
        &self,
        challenge: Challenge,
    ) -> Result<Option<HeaderValue>, Error> {
        let login = self.registries.0.credentials.find(&self.reference.registry);
        let basic = login.and_then(|it| it.basic());
        match challenge {
            Challenge::Basic => Ok(basic),
            Challenge::Bearer {
                realm,
                service,
                scope,
            } => {
                let url = self.token_url(&realm, service, scope)?;
                self.token(url, basic).await.map(Some)
            }
        }
    }

    fn token_url(
        &self,
        realm: &str,
        service: Option<String>,
        scope: Option<String>,
    ) -> Result<String, Error> {
        let unsafe_realm =
            |problem: &str| self.failed(&format!("its token service: {problem}"), false);
        address::require_safe(realm).map_err(unsafe_realm)?;
        let repository = &self.reference.repository;
        let own = || format!("repository:{repository}:{}", self.actions);
        let scope = scope.unwrap_or_else(own);
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut url = realm.split('#').next().unwrap_or_default().to_owned();
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(&format!("scope={}", encoded(&scope)));
        if let Some(service) = service {
            url.push_str(&format!("&service={}", encoded(&service)));
        }
        Ok(url)
    }

    async fn token(&self, url: String, basic: Option<HeaderValue>) -> Result<HeaderValue, Error> {
        let message = Message {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        let response = self.follow(message, basic).await?;
        if response.status() != StatusCode::OK {
            return Err(match response.status() {
                // Token services answer so for repositories that the user may not see.
                StatusCode::NOT_FOUND => self.refused(StatusCode::UNAUTHORIZED),
                status => self.refused(status),
            });
        }
        let answer = self.document(response, ANSWER_BYTES_MAX).await?;
        let no_token = || self.failed("its token service sent no token", false);
        let answer: Answer = serde_json::from_slice(&answer).map_err(|_| no_token())?;
        let token = answer.token.or(answer.access_token).ok_or_else(no_token)?;
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| no_token())?;
        value.set_sensitive(true);
        Ok(value)
    }
}
