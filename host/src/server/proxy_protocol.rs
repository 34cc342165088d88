//! PROXY protocol, versions 1 and 2: the head that a proxy sends before the bytes of a connection, with the address of
//! its client.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// First bytes of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// First bytes of version 1.
const PREFIX: &[u8] = b"PROXY ";
/// Longest head of version 1, with its line end.
const LINE_BYTES_MAX: usize = 107;
/// Longest part of version 2 after its 16 fixed bytes: addresses, and values that proxies add.
const REST_BYTES_MAX: usize = 4 << 10;

/// Head of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Head {
    /// The connection is the proxy's own, as of a health check.
    Own,
    /// The bytes are of a client whose address the proxy does not know.
    Unknown,
    /// The bytes are of the client with this address.
    Client(IpAddr),
}

/// Reads the head of a connection. Callers bound the time.
///
/// # Errors
/// If the connection breaks, or does not begin with such a head.
pub(super) async fn head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Head> {
    // Both versions have as many bytes at least; the bytes after the head belong to the connection.
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE {
        return version_2(stream).await;
    }
    if !start.starts_with(PREFIX) {
        return Err(malformed());
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE_BYTES_MAX {
            return Err(malformed());
        }
        line.push(stream.read_u8().await?);
    }
    let line = std::str::from_utf8(&line).ok();
    line.and_then(version_1).ok_or_else(malformed)
}

/// Head in `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`.
fn version_1(line: &str) -> Option<Head> {
    let mut words = line.strip_suffix("\r\n")?.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(Head::Unknown);
    }
    let [source, destination, source_port, destination_port] = [(); 4].map(|()| words.next());
    let ports = [source_port, destination_port].map(|port| port?.parse::<u16>().ok());
    let addresses = match family {
        "TCP4" => [source, destination].map(|it| it?.parse::<Ipv4Addr>().ok().map(IpAddr::V4)),
        "TCP6" => [source, destination].map(|it| it?.parse::<Ipv6Addr>().ok().map(IpAddr::V6)),
        _ => return None,
    };
    let is_whole = ports.iter().all(Option::is_some) && words.next().is_none();
    let [Some(source), Some(_)] = addresses else {
        return None;
    };
    is_whole.then_some(Head::Client(source))
}

async fn version_2(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Head> {
    let mut fixed = [0; 4];
    stream.read_exact(&mut fixed).await?;
    let [command, family, high, low] = fixed;
    let size = usize::from(u16::from_be_bytes([high, low]));
    if size > REST_BYTES_MAX {
        return Err(malformed());
    }
    let mut rest = vec![0; size];
    stream.read_exact(&mut rest).await?;
    match (command, family) {
        // LOCAL: addresses are to be ignored.
        (0x20, _) => Ok(Head::Own),
        // Streams over IPv4 and IPv6.
        (0x21, 0x11) if size >= 12 => {
            let source: [u8; 4] = rest[..4].try_into().expect("it has 12 bytes");
            Ok(Head::Client(IpAddr::from(source)))
        }
        (0x21, 0x21) if size >= 36 => {
            let source: [u8; 16] = rest[..16].try_into().expect("it has 36 bytes");
            Ok(Head::Client(IpAddr::from(source)))
        }
        // Other transports, whose addresses mean nothing here.
        (0x21, family) if !matches!(family, 0x11 | 0x21) => Ok(Head::Unknown),
        _ => Err(malformed()),
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no head of the PROXY protocol")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Head, and the bytes after it.
    async fn read(bytes: &[u8]) -> Option<(Head, Vec<u8>)> {
        let mut stream = bytes;
        let head = head(&mut stream).await.ok()?;
        Some((head, stream.to_vec()))
    }

    fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let size = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &size, rest].concat()
    }

    #[tokio::test]
    async fn head_names_client_and_ends_before_request() {
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        let of_v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 4, 1, 187];
        let IpAddr::V6(source) = v6 else {
            unreachable!()
        };
        let of_v6 = [&source.octets()[..], &[0; 20]].concat();
        let with_values = [&of_v4[..], &[4, 0, 1, 0]].concat();
        for (head, expected) in [
            (
                b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n".to_vec(),
                Head::Client(v4),
            ),
            (
                b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n".to_vec(),
                Head::Client(v6),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), Head::Unknown),
            (
                b"PROXY UNKNOWN ffff:f...f:ffff 1 2\r\n".to_vec(),
                Head::Unknown,
            ),
            (version_2(0x21, 0x11, &of_v4), Head::Client(v4)),
            (version_2(0x21, 0x11, &with_values), Head::Client(v4)),
            (version_2(0x21, 0x21, &of_v6), Head::Client(v6)),
            (version_2(0x20, 0x11, &of_v4), Head::Own),
            (version_2(0x20, 0, &[]), Head::Own),
            (version_2(0x21, 0x31, &[0; 216]), Head::Unknown),
        ] {
            let found = read(&[&head[..], b"GET /"].concat()).await;
            assert_eq!(found, Some((expected, b"GET /".to_vec())), "{head:?}");
        }
    }

    #[tokio::test]
    async fn malformed_head_is_refused() {
        for head in [
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 ::1 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 99999 1\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n".to_vec(),
            b"PROXY TCP9 192.0.2.1 198.51.100.1 1 2\r\n".to_vec(),
            [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat(),
            version_2(0x21, 0x11, &[0; 11]),
            version_2(0x21, 0x21, &[0; 35]),
            version_2(0x11, 0x11, &[0; 12]),
            version_2(0x22, 0x11, &[0; 12]),
            version_2(0x20, 0, &[0; 5_000]),
            SIGNATURE.to_vec(),
            b"PROXY".to_vec(),
        ] {
            assert_eq!(read(&head).await, None, "{head:?}");
        }
    }
}
