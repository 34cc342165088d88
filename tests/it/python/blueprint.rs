//! Blueprint for Python: made, deployed and called as a user would.

use super::host;
use crate::projects::{command, ran};

#[tokio::test(flavor = "multi_thread")]
async fn python_blueprint_is_deployed_and_called() {
    let host = host().await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let endpoint = host.endpoint();
    for arguments in [
        &["new", "mine", "--blueprint", "python"][..],
        &["deploy", "mine", "--endpoint-url", &endpoint],
    ] {
        let (code, _, notes) = ran(&mut command(dir.path(), arguments));
        assert_eq!(code, Some(0), "{notes}");
    }
    let invoke = [
        "invoke",
        "mine",
        "-f",
        "mine/event.json",
        "--endpoint-url",
        &endpoint,
    ];
    let (code, told, notes) = ran(&mut command(dir.path(), &invoke));
    assert_eq!(
        (code, told.as_str()),
        (Some(0), "{\"message\": \"Hallo, Ada!\"}\n"),
        "{notes}"
    );
}
