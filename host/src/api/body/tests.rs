//! Bodies that come in pieces, too slowly, too large, or too many at once.

use std::convert::Infallible;

use futures_util::stream::{self, StreamExt};
use http_body::Frame;
use http_body_util::{Full, StreamBody};

use super::*;

fn bodies(bytes_max: usize) -> Bodies {
    Bodies::new(Config {
        bytes_max,
        wait_max: Duration::from_millis(50),
        silence_max: Duration::from_millis(500),
        time: Duration::from_millis(500),
        bytes_per_second_min: 1 << 20,
    })
}

/// A body whose size is not told.
fn pieces(
    pieces: impl Iterator<Item = Bytes> + Send,
) -> impl http_body::Body<Data = Bytes, Error = Infallible> + Send {
    StreamBody::new(stream::iter(pieces.map(Frame::data).map(Ok)))
}

#[tokio::test]
async fn one_piece_is_kept_as_it_is() {
    let piece = Bytes::from_static(b"whole");
    let body = bodies(100).read(Full::new(piece.clone()), 5).await.unwrap();
    assert_eq!(body.bytes.as_ptr(), piece.as_ptr());
    assert_eq!(body.room.bytes(), 5);
    let none = bodies(100).read(Full::<Bytes>::default(), 5).await.unwrap();
    assert_eq!(none.bytes, "");
}

#[tokio::test]
async fn many_pieces_take_little_more_than_their_bytes() {
    let bodies = bodies(1 << 20);
    let sent = std::iter::repeat_n(Bytes::from_static(b"x"), 100_000);
    let body = bodies.read(pieces(sent), 100_000).await.unwrap();
    assert_eq!(body.bytes, vec![b'x'; 100_000]);
    assert!((100_000..=200_000).contains(&body.room.bytes()));
    drop(body);
    assert_eq!(bodies.room.available_permits(), 1 << 20);
}

#[tokio::test]
async fn a_body_that_is_too_large_takes_nothing() {
    let bodies = bodies(100);
    let sent = std::iter::repeat_n(Bytes::from_static(b"xx"), 6);
    let refused = bodies.read(pieces(sent), 10).await.unwrap_err();
    assert_eq!(refused, Error::TooLarge(10));
    let refused = bodies
        .read(Full::from("12345678901"), 10)
        .await
        .unwrap_err();
    assert_eq!(refused, Error::TooLarge(10));
    assert_eq!(bodies.room.available_permits(), 100);
}

#[tokio::test]
async fn a_drip_ends() {
    let bodies = bodies(1 << 20);
    let drops = stream::repeat(Bytes::from_static(b"x")).then(async |drop| {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok::<_, Infallible>(Frame::data(drop))
    });
    let reading = bodies.read(StreamBody::new(Box::pin(drops)), 1 << 20);
    let read = timeout(Duration::from_secs(20), reading).await;
    assert_eq!(read.expect("it ends").unwrap_err(), Error::Ended);
    assert_eq!(bodies.room.available_permits(), 1 << 20);
}

#[tokio::test]
async fn all_bodies_together_are_bounded() {
    let bodies = bodies(1_000);
    let sent = || Full::from(vec![b'x'; 800]);
    let first = bodies.read(sent(), 1_000).await.unwrap();
    assert_eq!(bodies.read(sent(), 1_000).await.unwrap_err(), Error::Busy);
    let in_pieces = std::iter::repeat_n(Bytes::from_static(b"xx"), 400);
    let in_pieces = bodies.read(pieces(in_pieces), 1_000).await;
    assert_eq!(in_pieces.unwrap_err(), Error::Busy);
    let (second, ()) = tokio::join!(bodies.read(sent(), 1_000), async { drop(first) });
    assert_eq!(second.unwrap().bytes.len(), 800);
    assert_eq!(bodies.room.available_permits(), 1_000);
}
