//! Large requests do not block a worker.

use std::net::IpAddr;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn large_request_does_not_block_worker() {
    let request = Request::get("/").extension(Ends {
        peer: IpAddr::from([127, 0, 0, 1]),
        own: None,
    });
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let (done, other) = std::sync::mpsc::channel();
    let long = tokio::spawn(async move {
        // Wakes on this same thread, the only one.
        tokio::spawn(async move { done.send("answered").unwrap() });
        at_length(&parts, LARGE_BYTES + 1, || {
            other.recv_timeout(std::time::Duration::from_secs(20))
        })
    });
    assert_eq!(long.await.unwrap(), Ok("answered"));
}
