//! Blueprints of this program, which are the repository's examples: its tests build, deploy and call them.

/// Files that a new function begins with.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Blueprint {
    pub(in crate::cli) name: &'static str,
    pub(in crate::cli) about: &'static str,
    /// Path and content.
    pub(super) files: &'static [(&'static str, &'static str)],
}

macro_rules! blueprint {
    ($name:literal, $dir:literal, $about:literal, [$($path:literal),* $(,)?]) => {
        Blueprint {
            name: $name,
            about: $about,
            files: &[
                $(($path, include_str!(concat!("../../../../examples/", $dir, "/", $path)))),*
            ],
        }
    };
}

/// All blueprints, the default one first.
pub(in crate::cli) const BLUEPRINTS: [Blueprint; 14] = [
    blueprint!(
        "hello",
        "hello",
        "Typed event and typed response",
        ["Cargo.toml", "event.json", "lamina.toml", "src/lib.rs"]
    ),
    blueprint!(
        "http-api",
        "http-api",
        "JSON API behind a function URL, with a router",
        [
            "Cargo.toml",
            "event.json",
            "events/get-item.expected.json",
            "events/get-item.json",
            "lamina.toml",
            "src/lib.rs",
        ]
    ),
    blueprint!(
        "http",
        "http",
        "wasi:http component, which other hosts run too",
        ["Cargo.toml", "event.json", "lamina.toml", "src/lib.rs"]
    ),
    blueprint!(
        "streaming",
        "streaming",
        "Response that is sent while it is written",
        ["Cargo.toml", "event.json", "lamina.toml", "src/lib.rs"]
    ),
    blueprint!(
        "https",
        "proxy",
        "Outgoing HTTPS requests, bodies streamed",
        ["Cargo.toml", "event.json", "lamina.toml", "src/lib.rs"]
    ),
    blueprint!(
        "sqs",
        "sqs-consumer",
        "Messages of an SQS queue, with partial batch failures",
        [
            "Cargo.toml",
            "event.json",
            "events/order.expected.json",
            "events/order.json",
            "lamina.toml",
            "src/lib.rs",
        ]
    ),
    blueprint!(
        "kinesis",
        "stream",
        "Records of a Kinesis stream",
        ["Cargo.toml", "event.json", "lamina.toml", "src/lib.rs"]
    ),
    blueprint!(
        "dynamodb",
        "table",
        "Changes of a DynamoDB table",
        ["Cargo.toml", "event.json", "lamina.toml", "src/lib.rs"]
    ),
    blueprint!(
        "s3",
        "s3-consumer",
        "Notifications of an S3 bucket",
        [
            "Cargo.toml",
            "event.json",
            "events/upload.expected.json",
            "events/upload.json",
            "lamina.toml",
            "src/lib.rs",
        ]
    ),
    blueprint!(
        "schedule",
        "schedule",
        "Job that a schedule runs",
        [
            "Cargo.toml",
            "event.json",
            "events/midnight.expected.json",
            "events/midnight.json",
            "lamina.toml",
            "src/lib.rs",
        ]
    ),
    blueprint!(
        "counter",
        "counter",
        "State between invocations, files in /tmp",
        ["Cargo.toml", "event.json", "lamina.toml", "src/lib.rs"]
    ),
    blueprint!(
        "custom-runtime",
        "custom-runtime",
        "Custom runtime with its own event loop, like lambda_runtime",
        ["Cargo.toml", "event.json", "lamina.toml", "src/main.rs"]
    ),
    blueprint!(
        "command",
        "command",
        "Plain program: event on stdin, response on stdout",
        ["Cargo.toml", "event.json", "lamina.toml", "src/main.rs"]
    ),
    blueprint!(
        "python",
        "python",
        "Python, unchanged code of AWS Lambda",
        [
            "app.py",
            "event.json",
            "events/german.expected.json",
            "events/german.json",
            "greetings.json",
            "lamina.toml",
        ]
    ),
];

impl Blueprint {
    /// Content of a file.
    pub(super) fn file(&self, path: &str) -> Option<&'static str> {
        let found = self.files.iter().find(|(it, _)| *it == path);
        found.map(|(_, content)| *content)
    }
}
