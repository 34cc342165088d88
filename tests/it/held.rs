//! Host memory held by requests.

use crate::harness::Lamina;
use crate::signed::Signed;

/// Peak resident memory of the host in KiB.
fn peak_kib(host: &Lamina) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.pid()));
    let status = status.expect("the host runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("VmHWM is a number")
}

#[tokio::test]
async fn body_of_unknown_members_uses_bounded_memory() {
    const BYTES: usize = 16 << 20;
    let policy = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}"#;
    let host = Lamina::configured(&format!(
        "[[keys]]\naccess_key_id = \"nobody\"\nsecret_access_key = \"nobody\"\nname = \"nobody\"\npolicy = '{policy}'\n\
         [[keys]]\naccess_key_id = \"owner\"\nsecret_access_key = \"owner\"\n"
    ));
    let values = r#"{"":0},"#.repeat(BYTES / 7);
    let before = peak_kib(&host);
    for (key, expected) in [("nobody", 403), ("owner", 400)] {
        for member in ["Tags", "Layers", "Code", "made up"] {
            let body = format!(r#"{{"FunctionName":"f","{member}":[{values}0]}}"#);
            let who = Signed { host: &host, key };
            let answer = who
                .send("lambda", "POST", "/2015-03-31/functions", &[], body)
                .await;
            assert_eq!(answer.status, expected, "{key} {member}: {}", answer.text());
        }
    }
    let grown = peak_kib(&host) - before;
    // A generic tree takes 83 times as much. A growing body is reallocated, and the allocator keeps
    // some memory.
    assert!(grown < 8 * (BYTES as u64 >> 10), "{grown} KiB");
}
