//! A strict reader of HTTP/1 (RFC 9112), which takes nothing that two readers could understand differently.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Uri};

use super::Seen;

/// Fields of a request that hyper reads.
const HEADERS_MAX: usize = 100;
/// Digits of a length and of a chunk's size, and the longest line of a framing header.
const LENGTH_DIGITS_MAX: usize = 19;
const CHUNK_DIGITS_MAX: usize = 16;
const FRAMING_LINE_BYTES_MAX: usize = 64;
/// Fields after a body that hyper reads, and their bytes.
const TRAILERS_MAX: usize = 100;
const TRAILERS_BYTES_MAX: usize = 16 << 10;
/// Bytes that hyper reads beside the data of all chunks of a body.
const CHUNK_EXTENSIONS_BYTES_MAX: usize = 16 << 10;

/// Requests on a connection, up to the first that is none.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) seen: Vec<Seen>,
    /// The head that follows is none of a request; else nothing follows, or not all of it.
    pub(super) is_refused: bool,
}

/// End of the requests in some bytes.
enum Stop {
    /// No bytes, or the beginning of a request, follow.
    End,
    /// Bytes that are no HTTP/1 follow.
    Refused,
}

struct Head {
    seen: Seen,
    is_kept: bool,
    framing: Framing,
}

enum Framing {
    Length(usize),
    Chunked,
}

pub(super) fn read(input: &[u8]) -> Read {
    let (mut rest, mut seen) = (input, Vec::new());
    loop {
        while let Some(after) = rest.strip_prefix(b"\r\n") {
            rest = after;
        }
        let begun = rest;
        let head = match head(&mut rest) {
            Ok(head) => head,
            Err(stop) => {
                // hyper awaits the end of a head before it looks at it.
                let is_whole = begun.windows(4).any(|it| it == b"\r\n\r\n");
                let is_refused = is_whole && matches!(stop, Stop::Refused);
                return Read { seen, is_refused };
            }
        };
        let body = match head.framing {
            Framing::Length(bytes) => exact(&mut rest, bytes).map(Bytes::copy_from_slice),
            Framing::Chunked => chunks(&mut rest).map(Bytes::from),
        };
        let is_over = body.is_err() || !head.is_kept;
        seen.push(Seen {
            body: body.ok(),
            ..head.seen
        });
        if is_over {
            return Read {
                seen,
                is_refused: false,
            };
        }
    }
}

/// A line without its CRLF. A line feed alone ends none, and neither CR nor LF is in one.
fn line<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Stop> {
    let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let end = end.ok_or(Stop::End)?;
    match &rest[end..] {
        [b'\r'] => Err(Stop::End),
        [b'\r', b'\n', after @ ..] => {
            let line = &rest[..end];
            *rest = after;
            Ok(line)
        }
        _ => Err(Stop::Refused),
    }
}

fn head(rest: &mut &[u8]) -> Result<Head, Stop> {
    let first = line(rest)?;
    let parts: Vec<&[u8]> = first.split(|byte| *byte == b' ').collect();
    let [method, target, version] = parts.as_slice() else {
        return Err(Stop::Refused);
    };
    let method = Method::from_bytes(method).map_err(|_| Stop::Refused)?;
    let uri = Uri::try_from(*target).map_err(|_| Stop::Refused)?;
    let is_1_1 = match *version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ => return Err(Stop::Refused),
    };
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    loop {
        let field = line(rest)?;
        if field.is_empty() {
            break;
        }
        let (name, value) = self::field(field).ok_or(Stop::Refused)?;
        let is_framing =
            name == http::header::TRANSFER_ENCODING || name == http::header::CONTENT_LENGTH;
        if is_framing && field.len() >= FRAMING_LINE_BYTES_MAX {
            return Err(Stop::Refused);
        }
        headers.push((name, value));
    }
    if headers.len() > HEADERS_MAX {
        return Err(Stop::Refused);
    }
    let is_kept = is_kept(&method, is_1_1, &headers);
    let framing = framing(is_1_1, &headers).ok_or(Stop::Refused)?;
    Ok(Head {
        seen: Seen {
            method,
            uri,
            headers: headers.into_iter().collect(),
            body: None,
        },
        is_kept,
        framing,
    })
}

fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    let value = trimmed(&line[colon + 1..]);
    Some((name, HeaderValue::from_bytes(value).ok()?))
}

fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn is_kept(method: &Method, is_1_1: bool, headers: &[(HeaderName, HeaderValue)]) -> bool {
    let options = headers
        .iter()
        .filter(|(name, _)| *name == http::header::CONNECTION);
    let options = options.filter_map(|(_, value)| value.to_str().ok());
    let options: Vec<String> = options
        .flat_map(|value| value.split(','))
        .map(|option| option.trim().to_ascii_lowercase())
        .collect();
    let has = |option: &str| options.iter().any(|it| it == option);
    method != Method::CONNECT && !has("close") && (is_1_1 || has("keep-alive"))
}

/// Framing of the body, which is declared once, or not at all.
fn framing(is_1_1: bool, headers: &[(HeaderName, HeaderValue)]) -> Option<Framing> {
    let declared = headers.iter().filter(|(name, _)| {
        *name == http::header::TRANSFER_ENCODING || *name == http::header::CONTENT_LENGTH
    });
    let declared: Vec<_> = declared.collect();
    match declared.as_slice() {
        [] => Some(Framing::Length(0)),
        [(name, value)] if *name == http::header::CONTENT_LENGTH => {
            length_of(value.as_bytes()).map(Framing::Length)
        }
        [(_, value)] if is_1_1 && value.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            Some(Framing::Chunked)
        }
        _ => None,
    }
}

fn length_of(value: &[u8]) -> Option<usize> {
    let is_number =
        (1..=LENGTH_DIGITS_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| is_number)?;
    text.parse().ok()
}

fn exact<'a>(rest: &mut &'a [u8], bytes: usize) -> Result<&'a [u8], Stop> {
    let (part, after) = rest.split_at_checked(bytes).ok_or(Stop::End)?;
    *rest = after;
    Ok(part)
}

fn chunks(rest: &mut &[u8]) -> Result<Vec<u8>, Stop> {
    let (mut body, mut extensions) = (Vec::new(), 0);
    loop {
        let size = line(rest)?;
        let end = size
            .iter()
            .position(|byte| *byte == b';')
            .unwrap_or(size.len());
        extensions += size.len() - end;
        let digits = &size[..end];
        let is_hex = (1..=CHUNK_DIGITS_MAX).contains(&digits.len())
            && digits.iter().all(u8::is_ascii_hexdigit);
        let digits = std::str::from_utf8(digits).ok().filter(|_| is_hex);
        let bytes = digits.and_then(|it| usize::from_str_radix(it, 16).ok());
        let bytes = bytes.ok_or(Stop::Refused)?;
        if extensions > CHUNK_EXTENSIONS_BYTES_MAX {
            return Err(Stop::Refused);
        }
        if bytes == 0 {
            break;
        }
        body.extend_from_slice(exact(rest, bytes)?);
        if !line(rest)?.is_empty() {
            return Err(Stop::Refused);
        }
    }
    let begun = rest.len();
    for _ in 0..=TRAILERS_MAX {
        let trailer = line(rest)?;
        if begun - rest.len() >= TRAILERS_BYTES_MAX {
            return Err(Stop::Refused);
        }
        if trailer.is_empty() {
            return Ok(body);
        }
        field(trailer).ok_or(Stop::Refused)?;
    }
    Err(Stop::Refused)
}
