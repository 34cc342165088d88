//! Publication: blobs and a manifest to a repository.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};

use super::{Error, Session, address};
use crate::library::image::{Descriptor, MEDIA_MANIFEST};
use crate::store::blob::Digest;

impl Session {
    /// Uploads a blob that the repository lacks.
    ///
    /// # Errors
    /// If the registry refuses it.
    pub async fn push_blob(&self, blob: Bytes) -> Result<(), Error> {
        let digest = Digest::of(&blob);
        let head = self.message(Method::HEAD, &format!("blobs/sha256:{digest}"));
        if self.send(head).await?.status() == StatusCode::OK {
            return Ok(());
        }
        let begin = self.message(Method::POST, "blobs/uploads/");
        let from = begin.url.clone();
        let begun = self.answered(begin, StatusCode::ACCEPTED).await?;
        let location = begun.headers().get(header::LOCATION);
        let location = location.and_then(|it| it.to_str().ok()).unwrap_or_default();
        let url = address::redirected(&from, location);
        let mut url = url.map_err(|problem| self.failed(problem, false))?;
        if !address::is_same_server(&from, &url) {
            return Err(self.failed("it wants the upload at another server", false));
        }
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(&format!("digest=sha256:{digest}"));
        let mut put = self.message(Method::PUT, "");
        put.url = url;
        let kind = HeaderValue::from_static("application/octet-stream");
        put.headers.insert(header::CONTENT_TYPE, kind);
        put.body = blob;
        self.answered(put, StatusCode::CREATED).await.map(drop)
    }

    /// Uploads an OCI manifest of these blobs under the reference's tag, and returns its digest.
    ///
    /// # Errors
    /// If the registry refuses it.
    pub async fn push_manifest(
        &self,
        config: &Descriptor,
        layers: &[Descriptor],
    ) -> Result<Digest, Error> {
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MEDIA_MANIFEST, "config": config, "layers": layers,
        });
        let body = Bytes::from(manifest.to_string());
        let digest = Digest::of(&body);
        let selector = self.reference.selector();
        let mut put = self.message(Method::PUT, &format!("manifests/{selector}"));
        let kind = HeaderValue::from_static(MEDIA_MANIFEST);
        put.headers.insert(header::CONTENT_TYPE, kind);
        put.body = body;
        self.answered(put, StatusCode::CREATED).await?;
        Ok(digest)
    }
}
