//! Function URLs: the host name, the function or alias behind it, authorization and cross-origin rules.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::record::{Page, decode, encode};
use super::{Control, Error, kind};
use crate::clock::Timestamp;
use crate::invoke::Target;
use crate::invoke::snapshot::{Cors, UrlRoute};
use crate::names::{AliasName, FunctionName, Qualifier};
use crate::store::{Expect, Key, Revision, Write};

mod error;

pub use error::UrlError;

/// The kind of the records of this resource. Their ids are `function/alias`, the alias empty where
/// The stored record of a function URL.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UrlRecord {
    /// The first label of its host name.
    pub id: String,
    /// The function.
    pub function: FunctionName,
    /// The alias, if it leads to one.
    pub alias: Option<AliasName>,
    /// The `AuthType`.
    pub auth: Auth,
    /// The cross-origin rules, where there are any.
    pub cors: Option<CorsRecord>,
    /// `InvokeMode`, if a request set it. Create and Update echo it only then; Get and List show the
    /// effective mode.
    pub invoke_mode: Option<InvokeMode>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub modified: Timestamp,
}

/// The `AuthType` of a function URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Auth {
    /// Requests need no signature.
    None,
    /// Requests must be signed.
    AwsIam,
}

/// The `InvokeMode` of a function URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum InvokeMode {
    /// The response is sent when the function is done.
    Buffered,
    /// The response is sent as the function writes it.
    ResponseStream,
}

/// The cross-origin rules as they were given. A member that was not given is not shown either.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CorsRecord {
    /// See [`Cors::allow_origins`].
    pub allow_origins: Option<Vec<String>>,
    /// See [`Cors::allow_methods`].
    pub allow_methods: Option<Vec<String>>,
    /// See [`Cors::allow_headers`].
    pub allow_headers: Option<Vec<String>>,
    /// See [`Cors::expose_headers`].
    pub expose_headers: Option<Vec<String>>,
    /// See [`Cors::allow_credentials`].
    pub allow_credentials: Option<bool>,
    /// See [`Cors::max_age_seconds`].
    pub max_age_seconds: Option<u32>,
}

/// Changes of a function URL; `None` keeps a member.
#[derive(Clone, Debug, Default)]
pub struct UrlPatch {
    /// See [`UrlRecord::auth`].
    pub auth: Option<Auth>,
    /// See [`UrlRecord::cors`].
    pub cors: Option<CorsRecord>,
    /// See [`UrlRecord::invoke_mode`].
    pub invoke_mode: Option<InvokeMode>,
}

impl UrlRecord {
    /// Its route in the data plane.
    pub(super) fn route(&self) -> (Arc<str>, UrlRoute) {
        let qualifier = self.alias.clone().map(Qualifier::Alias);
        let route = UrlRoute {
            target: Target {
                name: self.function.clone(),
                qualifier,
            },
            signed: self.auth == Auth::AwsIam,
            streams: self.invoke_mode == Some(InvokeMode::ResponseStream),
            cors: self.cors.as_ref().map(|cors| Arc::new(cors.rules())),
        };
        (self.id.as_str().into(), route)
    }
}

impl CorsRecord {
    fn rules(&self) -> Cors {
        Cors {
            allow_origins: self.allow_origins.clone().unwrap_or_default(),
            allow_methods: self.allow_methods.clone().unwrap_or_default(),
            allow_headers: self.allow_headers.clone().unwrap_or_default(),
            expose_headers: self.expose_headers.clone().unwrap_or_default(),
            allow_credentials: self.allow_credentials.unwrap_or_default(),
            max_age_seconds: self.max_age_seconds.unwrap_or_default(),
        }
    }
}

impl Control {
    /// Makes a function URL.
    ///
    /// # Errors
    /// Where there is no such function, or it has a URL for this alias.
    pub async fn create_url(
        &self,
        function: &FunctionName,
        alias: Option<AliasName>,
        auth: Auth,
        patch: UrlPatch,
    ) -> Result<UrlRecord, Error> {
        self.require_target(function, alias.as_ref()).await?;
        let now = self.0.clock.now();
        let record = UrlRecord {
            id: self.new_url_id(),
            function: function.clone(),
            alias,
            auth,
            cors: patch.cors,
            invoke_mode: patch.invoke_mode,
            created: now,
            modified: now,
        };
        self.write_below(function, || async {
            self.require_target(function, record.alias.as_ref()).await?;
            if self
                .load_url(function, record.alias.as_ref())
                .await?
                .is_some()
            {
                let qualifier = record.alias.clone().map(Qualifier::Alias);
                let arn = self.home().arn_at(function, qualifier.as_ref());
                return Err(UrlError::AlreadyExists(arn).into());
            }
            Ok((vec![put(&record, Expect::Absent)], ()))
        })
        .await?;
        Ok(record)
    }

    /// The function URL for this alias.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn url(
        &self,
        function: &FunctionName,
        alias: Option<&AliasName>,
    ) -> Result<UrlRecord, Error> {
        Ok(self.existing_url(function, alias).await?.0)
    }

    /// The function URLs of a function.
    ///
    /// # Errors
    /// Where there is no such function.
    pub async fn urls(
        &self,
        function: &FunctionName,
        marker: Option<&str>,
        limit: usize,
    ) -> Result<Page<UrlRecord>, Error> {
        self.require_target(function, None).await?;
        self.page(kind::URL, &format!("{function}/"), marker, limit)
            .await
    }

    /// Changes a function URL.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn update_url(
        &self,
        function: &FunctionName,
        alias: Option<&AliasName>,
        patch: UrlPatch,
    ) -> Result<UrlRecord, Error> {
        self.require_target(function, alias).await?;
        let record = self
            .write_below(function, || async {
                let (mut record, read_at) = self.existing_url(function, alias).await?;
                record.auth = patch.auth.unwrap_or(record.auth);
                record.cors = patch.cors.clone().or(record.cors);
                record.invoke_mode = patch.invoke_mode.or(record.invoke_mode);
                record.modified = self.0.clock.now();
                Ok((vec![put(&record, Expect::Revision(read_at))], record))
            })
            .await?;
        Ok(record)
    }

    /// Deletes a function URL.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn delete_url(
        &self,
        function: &FunctionName,
        alias: Option<&AliasName>,
    ) -> Result<(), Error> {
        let (record, read_at) = self.existing_url(function, alias).await?;
        let expect = Expect::Revision(read_at);
        let key = key(&record);
        self.commit(vec![Write::Delete { key, expect }]).await?;
        Ok(())
    }

    async fn existing_url(
        &self,
        function: &FunctionName,
        alias: Option<&AliasName>,
    ) -> Result<(UrlRecord, Revision), Error> {
        let found = self.load_url(function, alias).await?;
        Ok(found.ok_or(UrlError::NotFound)?)
    }

    async fn load_url(
        &self,
        function: &FunctionName,
        alias: Option<&AliasName>,
    ) -> Result<Option<(UrlRecord, Revision)>, Error> {
        let id = format!("{function}/{}", alias_text(alias));
        let found = self
            .0
            .records
            .get(&Key {
                kind: kind::URL,
                id,
            })
            .await?;
        found
            .map(|record| Ok((decode(&record)?, record.revision)))
            .transpose()
    }

    /// AWS reports a missing alias in the words of a missing function.
    async fn require_target(
        &self,
        name: &FunctionName,
        alias: Option<&AliasName>,
    ) -> Result<(), Error> {
        self.load(name).await?.ok_or(UrlError::FunctionMissing)?;
        if let Some(alias) = alias {
            self.load_alias(name, alias)
                .await?
                .ok_or(UrlError::FunctionMissing)?;
        }
        Ok(())
    }

    /// 32 lower-case letters and digits, as in AWS.
    fn new_url_id(&self) -> String {
        let symbols = b"abcdefghijklmnopqrstuvwxyz234567";
        let random = self.0.clock.random::<32>();
        random
            .iter()
            .map(|byte| char::from(symbols[usize::from(byte % 32)]))
            .collect()
    }
}

fn put(record: &UrlRecord, expect: Expect) -> Write {
    Write::Put {
        key: key(record),
        value: encode(record),
        expect,
    }
}

fn key(record: &UrlRecord) -> Key {
    let alias = alias_text(record.alias.as_ref());
    Key {
        kind: kind::URL,
        id: format!("{}/{alias}", record.function),
    }
}

fn alias_text(alias: Option<&AliasName>) -> &str {
    alias.map_or("", AliasName::as_str)
}
