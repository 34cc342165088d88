//! Bodies in pieces, too slow, too large, or too many at once.

use std::convert::Infallible;

use futures_util::stream::{self, StreamExt};
use http_body::Frame;
use http_body_util::{Full, StreamBody};

use super::*;

fn bodies(bytes_max: usize) -> Bodies {
    Bodies::new(Config {
        bytes_max,
        small_bytes_max: 0,
        wait_max: Duration::from_millis(50),
        silence_max: Duration::from_millis(500),
        time: Duration::from_millis(500),
        bytes_per_second_min: 1 << 20,
        streams_max: 4,
    })
}

/// Body of unknown size.
fn pieces(
    pieces: impl Iterator<Item = Bytes> + Send,
) -> impl http_body::Body<Data = Bytes, Error = Infallible> + Send {
    StreamBody::new(stream::iter(pieces.map(Frame::data).map(Ok)))
}

#[tokio::test]
async fn single_piece_is_not_copied() {
    let piece = Bytes::from_static(b"whole");
    let body = bodies(100)
        .read(Full::new(piece.clone()), 5, &From::UNSHARED)
        .await
        .unwrap();
    assert_eq!(body.bytes.as_ptr(), piece.as_ptr());
    assert_eq!(body.room.large.bytes(), 5);
    let none = bodies(100)
        .read(Full::<Bytes>::default(), 5, &From::UNSHARED)
        .await
        .unwrap();
    assert_eq!(none.bytes, "");
}

#[tokio::test]
async fn many_pieces_take_bounded_memory() {
    let bodies = bodies(1 << 20);
    let sent = std::iter::repeat_n(Bytes::from_static(b"x"), 100_000);
    let body = bodies
        .read(pieces(sent), 100_000, &From::UNSHARED)
        .await
        .unwrap();
    assert_eq!(body.bytes, vec![b'x'; 100_000]);
    assert!((100_000..=200_000).contains(&body.room.large.bytes()));
    drop(body);
    assert_eq!(bodies.large.all.available_permits(), 1 << 20);
}

#[tokio::test]
async fn body_over_limit_takes_no_memory() {
    let bodies = bodies(100);
    let sent = std::iter::repeat_n(Bytes::from_static(b"xx"), 6);
    let refused = bodies
        .read(pieces(sent), 10, &From::UNSHARED)
        .await
        .unwrap_err();
    assert_eq!(refused, Error::TooLarge(10));
    let refused = bodies
        .read(Full::from("12345678901"), 10, &From::UNSHARED)
        .await
        .unwrap_err();
    assert_eq!(refused, Error::TooLarge(10));
    assert_eq!(bodies.large.all.available_permits(), 100);
}

#[tokio::test]
async fn trickled_body_times_out() {
    let bodies = bodies(1 << 20);
    let drops = stream::repeat(Bytes::from_static(b"x")).then(async |drop| {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok::<_, Infallible>(Frame::data(drop))
    });
    let reading = bodies.read(StreamBody::new(Box::pin(drops)), 1 << 20, &From::UNSHARED);
    let read = timeout(Duration::from_secs(20), reading).await;
    assert_eq!(read.expect("it ends").unwrap_err(), Error::Ended);
    assert_eq!(bodies.large.all.available_permits(), 1 << 20);
}

#[tokio::test]
async fn memory_of_all_bodies_is_limited() {
    let bodies = bodies(1_000);
    let sent = || Full::from(vec![b'x'; 800]);
    let first = bodies.read(sent(), 1_000, &From::UNSHARED).await.unwrap();
    assert_eq!(
        bodies
            .read(sent(), 1_000, &From::UNSHARED)
            .await
            .unwrap_err(),
        Error::Busy
    );
    let in_pieces = std::iter::repeat_n(Bytes::from_static(b"xx"), 400);
    let in_pieces = bodies.read(pieces(in_pieces), 1_000, &From::UNSHARED).await;
    assert_eq!(in_pieces.unwrap_err(), Error::Busy);
    let (second, ()) = tokio::join!(bodies.read(sent(), 1_000, &From::UNSHARED), async {
        drop(first)
    });
    assert_eq!(second.unwrap().bytes.len(), 800);
    assert_eq!(bodies.large.all.available_permits(), 1_000);
}

fn of_peer(last: u8) -> From {
    From {
        sender: Sender::Peer([192, 0, 2, last].into()),
        is_signed: false,
    }
}

#[tokio::test]
async fn small_body_does_not_wait_for_large_ones() {
    let bodies = Bodies::new(Config {
        small_bytes_max: 100 << 10,
        ..bodies(200 << 10).config
    });
    let sent = |kib: usize| Full::from(vec![b'x'; kib << 10]);
    let large = bodies.read(sent(200), 1 << 20, &From::UNSHARED).await;
    let large = large.unwrap();
    let waiting = bodies.read(sent(200), 1 << 20, &From::UNSHARED);
    let small = bodies.read(sent(60), 1 << 20, &From::UNSHARED);
    let (waiting, small) = tokio::join!(waiting, small);
    assert_eq!(waiting.unwrap_err(), Error::Busy);
    assert_eq!(small.unwrap().bytes.len(), 60 << 10);
    drop(large);
}

#[tokio::test]
async fn growing_body_leaves_pool_of_small_ones() {
    let bodies = Bodies::new(Config {
        small_bytes_max: 200 << 10,
        ..bodies(1 << 20).config
    });
    let sent = std::iter::repeat_n(Bytes::from(vec![b'x'; 1 << 10]), 200);
    let body = bodies
        .read(pieces(sent), 1 << 20, &of_peer(1))
        .await
        .unwrap();
    assert_eq!(body.bytes.len(), 200 << 10);
    assert_eq!(bodies.small.all.available_permits(), 200 << 10);
    assert!(body.room.large.bytes() >= 200 << 10);
}

#[tokio::test]
async fn sender_holds_at_most_half() {
    let bodies = bodies(100 << 10);
    let sent = || Full::from(vec![b'x'; 40 << 10]);
    let first = bodies.read(sent(), 1 << 20, &of_peer(1)).await.unwrap();
    let second = bodies.read(sent(), 1 << 20, &of_peer(1)).await;
    assert_eq!(second.unwrap_err(), Error::Busy);
    assert!(bodies.read(sent(), 1 << 20, &of_peer(2)).await.is_ok());
    drop(first);
    assert!(bodies.read(sent(), 1 << 20, &of_peer(1)).await.is_ok());
}

#[tokio::test]
async fn signed_body_is_hashed_incrementally() {
    let from = From {
        is_signed: true,
        ..From::UNSHARED
    };
    let sent = std::iter::repeat_n(Bytes::from_static(b"ab"), 3);
    let body = bodies(100).read(pieces(sent), 100, &from).await.unwrap();
    let expected = digest::digest(&digest::SHA256, b"ababab");
    assert_eq!(body.digest.unwrap().as_ref(), expected.as_ref());
}

#[tokio::test]
async fn sender_streams_half_of_all_bodies_at_once() {
    let bodies = bodies(100);
    let stream = |last: u8, bytes_max: u64| {
        let streaming = Streaming {
            sender: Sender::Peer([127, 0, 0, last].into()),
            bytes_max,
            silence_max: Duration::from_secs(1),
            is_read_ahead: false,
        };
        bodies.stream(Full::new(Bytes::from("four")), streaming)
    };
    let (mut first, second) = (stream(1, 4).unwrap(), stream(1, 4).unwrap());
    assert_eq!(stream(1, 4).unwrap_err(), Error::Busy);
    assert!(stream(2, 4).is_ok());
    // Its end, while the function still holds it.
    while first.frame().await.is_some() {}
    let third = stream(1, 4).unwrap();
    assert_eq!(stream(1, 4).unwrap_err(), Error::Busy);
    drop(second);
    assert_eq!(stream(1, 3).unwrap_err(), Error::TooLarge(3));
    assert!(stream(1, 4).is_ok());
    drop((first, third));
}
