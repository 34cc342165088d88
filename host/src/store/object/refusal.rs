//! Error responses of an S3 server: a small XML document, read within bounds and kept verbatim.

use http::response::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Deserialize;

use super::Error;

/// S3's error documents have a few hundred bytes.
const BYTES_MAX: usize = 16_384;
/// Error header of AWS's JSON services such as Lambda; S3 uses the XML body.
const LAMBDA_HEADER: &str = "x-amzn-errortype";

/// S3's `Error` element.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    code: String,
    #[serde(default)]
    message: String,
}

/// Parses a response other than the object.
pub(super) async fn read(parts: &Parts, body: Incoming) -> Error {
    if let Some(name) = lambda_error(&parts.headers) {
        return Error::IsLambda(name);
    }
    let may_pass = may_pass(parts.status);
    let document = match Limited::new(body, BYTES_MAX).collect().await {
        Ok(read) => read.to_bytes(),
        Err(error) => {
            let problem = format!("{}, and {error}", parts.status);
            return Error::NotS3 { problem, may_pass };
        }
    };
    match parse(&document) {
        Some(Document { code, message }) => Error::Refused {
            code,
            message,
            may_pass,
        },
        None => Error::NotS3 {
            problem: parts.status.to_string(),
            may_pass,
        },
    }
}

/// True if a retry may succeed.
fn may_pass(status: StatusCode) -> bool {
    let asks_to_wait = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT];
    status.is_server_error() || asks_to_wait.contains(&status)
}

fn lambda_error(headers: &HeaderMap) -> Option<String> {
    let name = headers.get(LAMBDA_HEADER)?;
    Some(String::from_utf8_lossy(name.as_bytes()).into_owned())
}

fn parse(document: &[u8]) -> Option<Document> {
    let text = String::from_utf8_lossy(document);
    let document: Document = quick_xml::de::from_str(&text).ok()?;
    (!document.code.is_empty()).then_some(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_response_is_kept_verbatim() {
        let cases = [
            (
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>The \
                 specified key does not exist.</Message><Key>a</Key><RequestId>1</RequestId></Error>",
                "NoSuchKey: The specified key does not exist.",
            ),
            (
                "<Error><Message>a &lt;b&gt; &amp; c</Message><Code>X</Code></Error>",
                "X: a <b> & c",
            ),
            ("<Error><Code>AccessDenied</Code></Error>", "AccessDenied: "),
            (
                "<Error xmlns=\"urn:x\"><Code>X</Code><Message>y</Message><A><Code>z</Code></A></Error>",
                "X: y",
            ),
        ];
        for (document, expected) in cases {
            let Document { code, message } = parse(document.as_bytes()).expect(document);
            assert_eq!(format!("{code}: {message}"), expected);
        }
    }

    #[test]
    fn other_document_is_not_s3() {
        for document in [
            "",
            "no XML",
            "{\"Code\": \"X\"}",
            "<html><body>502</body></html>",
            "<Error><Code>X",
            "<Error><Code></Code></Error>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><Error><Code>&b;</Code></Error>",
        ] {
            assert!(parse(document.as_bytes()).is_none(), "{document}");
        }
        let deep = format!("<Error>{}", "<a>".repeat(BYTES_MAX / 3));
        assert!(parse(deep.as_bytes()).is_none());
        assert!(parse(b"\xff\xfe<Error>").is_none());
    }
}
