//! Requests as a stream brings them: whole, and byte by byte.

use super::*;

/// The place of the first byte that is refused, which is the same however the bytes come.
fn refused(text: &str) -> Option<usize> {
    let whole = Requests::default().read(text.as_bytes()).err();
    let mut requests = Requests::default();
    let mut bytes = text.as_bytes().chunks(1).enumerate();
    let one_by_one = bytes.find_map(|(at, byte)| requests.read(byte).err().map(|_| at));
    assert_eq!(whole, one_by_one, "{text:?}");
    whole
}

#[test]
fn unambiguous_requests_pass() {
    let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    for text in [
        get.repeat(3),
        format!("\r\n{get}\r\n\r\n{get}"),
        "PUT / HTTP/1.1\r\nContent-Length:  11 \r\n\r\na\nb\n\nc\nd\ne\n".to_owned() + get,
        "PUT / HTTP/1.1\r\ncontent-length: 0\r\n\r\n".to_owned() + get,
        "PUT / HTTP/1.1\r\ntransfer-encoding:CHUNKED\r\n\r\n3;a=\"b\"\r\n\n\n\n\r\n00a\r\n0123456789\r\n0\r\nx: y\r\n\r\n"
            .to_owned()
            + get,
        format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n{get}", "y".repeat(1_000)),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\n\n\n".to_owned(),
    ] {
        assert_eq!(refused(&text), None, "{text:?}");
    }
}

#[test]
fn ambiguous_request_is_refused_at_its_first_ambiguous_byte() {
    let long = "0".repeat(100);
    for (good, bad) in [
        ("GET / HTTP/1.1", "\n"),
        ("GET / HTTP/1.1\r\nhost: a", "\n"),
        ("GET / HTTP/1.1\r\nhost: a\r\n", "\n"),
        ("\r\n", "\n"),
        (
            "GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r",
            "\n",
        ),
        (
            "GET / HTTP/1.1\r\ncontent-length: 1\r\nTransfer-Encoding: chunked\r",
            "\n",
        ),
        (
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\nContent-Length: 1\r",
            "\n",
        ),
        (
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r",
            "\n",
        ),
        (
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked, chunked\r",
            "\n",
        ),
        ("GET / HTTP/1.1\r\ntransfer-encoding: identity\r", "\n"),
        ("GET / HTTP/1.1\r\ntransfer-encoding:\r", "\n"),
        ("GET / HTTP/1.1\r\ncontent-length: 1, 1\r", "\n"),
        ("GET / HTTP/1.1\r\ncontent-length: +1\r", "\n"),
        ("GET / HTTP/1.1\r\ncontent-length: \r", "\n"),
        ("GET / HTTP/1.1\r\ncontent-length: 0x1\r", "\n"),
        (
            "GET / HTTP/1.1\r\ncontent-length: 18446744073709551617\r",
            "\n",
        ),
        (&format!("GET / HTTP/1.1\r\ncontent-length: {long}\r"), "\n"),
    ] {
        let text = format!("{good}{bad}GET / HTTP/1.1\r\n\r\n");
        assert_eq!(refused(&text), Some(good.len()), "{text:?}");
    }
    let chunked = "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    for (good, bad) in [
        ("", "\r\n"),
        ("0", "x1\r\n"),
        ("", "+1\r\n"),
        ("", "-1\r\n"),
        ("", " 1\r\n"),
        ("", ";a\r\n"),
        ("1", " \r\n"),
        ("1", "\n"),
        ("1;a", "\n"),
        ("1\r", "a"),
        ("0000000000000000", "1\r\n"),
        ("1\r\na", "a\r\n"),
        ("1\r\na", "\n"),
        ("1\r\na\r", "a"),
        ("0\r\nx: y", "\n"),
        ("0\r\n", "\n"),
    ] {
        let text = format!("{chunked}{good}{bad}\r\n");
        let expected = chunked.len() + good.len();
        assert_eq!(refused(&text), Some(expected), "{text:?}");
    }
}
