//! Large requests do not keep a thread from the others.

use std::net::IpAddr;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_takes_long_lets_others_go_on() {
    let request = Request::get("/").extension(Peer(IpAddr::from([127, 0, 0, 1])));
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let (done, other) = std::sync::mpsc::channel();
    let long = tokio::spawn(async move {
        // It is woken on this same thread, the only one there is.
        tokio::spawn(async move { done.send("answered").unwrap() });
        at_length(&parts, LARGE_BYTES + 1, || {
            other.recv_timeout(std::time::Duration::from_secs(20))
        })
    });
    assert_eq!(long.await.unwrap(), Ok("answered"));
}
