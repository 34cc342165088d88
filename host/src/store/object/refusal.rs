//! What an S3 server says when it says no: a small XML document. It is read here, before the library
//! would read all of it, and kept word for word.

use http::HeaderMap;
use http::response::Parts;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Deserialize;

use super::Error;

/// S3's documents have some hundred bytes.
const BYTES_MAX: usize = 16_384;
/// The header in which AWS's JSON services, Lambda among them, name an error. S3 has it in the XML.
const LAMBDA_HEADER: &str = "x-amzn-errortype";

/// The members of S3's document that say why.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    code: String,
    #[serde(default)]
    message: String,
}

/// Reads an answer that is not the object.
pub(super) async fn read(parts: &Parts, body: Incoming) -> Error {
    if let Some(name) = lambda_error(&parts.headers) {
        return Error::IsLambda(name);
    }
    let document = match Limited::new(body, BYTES_MAX).collect().await {
        Ok(read) => read.to_bytes(),
        Err(error) => return Error::NotS3(format!("{}, and {error}", parts.status)),
    };
    parse(&document).unwrap_or_else(|| Error::NotS3(parts.status.to_string()))
}

fn lambda_error(headers: &HeaderMap) -> Option<String> {
    let name = headers.get(LAMBDA_HEADER)?;
    Some(String::from_utf8_lossy(name.as_bytes()).into_owned())
}

fn parse(document: &[u8]) -> Option<Error> {
    let text = String::from_utf8_lossy(document);
    let Document { code, message } = quick_xml::de::from_str(&text).ok()?;
    (!code.is_empty()).then_some(Error::Refused { code, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_message_are_kept_word_for_word() {
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
            let error = parse(document.as_bytes()).expect(document);
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn what_is_not_s3s_is_not_taken_for_it() {
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
