//! Packages that people bring in their zips, from the tests' own tools.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{create_zip, host, with_egress};
use crate::harness::{Lamina, log_of, root};
use crate::moto::Moto;

/// Files of a deployment package.
pub(super) struct Package(Vec<(String, Vec<u8>)>);

impl Package {
    /// A handler with the source of these packages and modules.
    pub(super) fn new(source: &str, packages: &[&str]) -> Self {
        Self::of(&site_packages(), source, packages)
    }

    fn of(site: &Path, source: &str, packages: &[&str]) -> Self {
        let mut package = Self(Vec::new());
        package.add("lambda_function.py", source);
        for name in packages {
            package.collect(site, &site.join(name));
        }
        package
    }

    pub(super) fn add(&mut self, name: &str, content: impl AsRef<[u8]>) {
        self.0.push((name.to_owned(), content.as_ref().to_vec()));
    }

    /// Native modules stay behind, and the data of AWS's services but those of the tests.
    fn collect(&mut self, site: &Path, path: &Path) {
        let below = path.strip_prefix(site).expect("it is below");
        let below = below.to_str().expect("UTF-8");
        let service = below.strip_prefix("botocore/data/");
        let is_other = service.is_some_and(|it| {
            !it.contains('.') && !["s3", "sqs"].iter().any(|known| it.starts_with(known))
        });
        if is_other || below.ends_with("__pycache__") || below.ends_with(".so") {
            return;
        }
        if path.is_dir() {
            let mut entries: Vec<PathBuf> = fs::read_dir(path)
                .expect("a package")
                .map(|it| it.expect("an entry").path())
                .collect();
            entries.sort();
            entries.iter().for_each(|it| self.collect(site, it));
        } else {
            let content = fs::read(path).unwrap_or_else(|error| panic!("{below}: {error}"));
            self.add(below, content);
        }
    }

    fn zipped(&self) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in &self.0 {
            zip.start_file(name.as_str(), zip::write::SimpleFileOptions::default())
                .expect("in memory");
            zip.write_all(content).expect("in memory");
        }
        zip.finish().expect("in memory").into_inner()
    }

    /// Result of the handler.
    pub(super) async fn called(&self, host: &Lamina, name: &str, event: Value) -> Value {
        create_zip(host, name, &self.zipped(), json!({})).await;
        let answer = host.invoke(name, &event).await;
        let failed = !answer.header("x-amz-function-error").is_empty();
        assert!(!failed, "{name}: {} {}", answer.text(), log_of(&answer));
        answer.json()
    }
}

/// Packages of the tests' tools.
fn site_packages() -> PathBuf {
    let lib = root().join(".tools/venv/lib");
    let mut versions = fs::read_dir(lib).expect("run tests/run");
    let version = versions.next().expect("a version").expect("an entry");
    version.path().join("site-packages")
}

/// Imports are in the handlers: on a busy machine they take longer than an init may.
const POPULAR: &str = r#"
def lambda_handler(event, context):
    import attr
    import click
    import dateutil.parser
    import flask
    import jinja2
    import typing_extensions
    import werkzeug.test
    import xmltodict
    import yaml

    app = flask.Flask(__name__)

    @app.get("/orders/<int:number>")
    def order(number):
        return {"number": number}

    @attr.s(auto_attribs=True)
    class Order:
        name: str
        amount: int = 1

    template = jinja2.Template("{% for it in items %}{{ it|upper }} {% endfor %}{{ '<b>'|escape }}")
    return {
        "jinja2": template.render(items=["a", "b"]),
        "yaml": yaml.safe_load(yaml.safe_dump({"a": [1, {"b": None}]})),
        "dateutil": dateutil.parser.parse("Nov 30 2026 11:52 UTC").isoformat(),
        "flask": werkzeug.test.Client(app).get("/orders/7").json,
        "attrs": attr.asdict(Order("x")),
        "xmltodict": xmltodict.parse("<a><b>1</b><b>2</b></a>"),
    }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn popular_packages_run() {
    let host = host().await;
    let packages = [
        "attr",
        "blinker",
        "click",
        "dateutil",
        "flask",
        "itsdangerous",
        "jinja2",
        "markupsafe",
        "six.py",
        "typing_extensions.py",
        "werkzeug",
        "xmltodict.py",
        "yaml",
    ];
    let result = Package::new(POPULAR, &packages)
        .called(&host, "f", json!({}))
        .await;
    let expected = json!({
        "jinja2": "A B &lt;b&gt;", "yaml": {"a": [1, {"b": null}]}, "dateutil": "2026-11-30T11:52:00+00:00",
        "flask": {"number": 7}, "attrs": {"name": "x", "amount": 1}, "xmltodict": {"a": {"b": ["1", "2"]}},
    });
    assert_eq!(result, expected);
}

const BOTO3: &str = r#"
def lambda_handler(event, context):
    import boto3

    options = {"endpoint_url": event["endpoint"], "verify": "authority.pem",
               "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    s3 = boto3.client("s3", **options)
    s3.create_bucket(Bucket="bucket")
    body = b"x" * 500_000
    s3.put_object(Bucket="bucket", Key="a/key", Body=body)
    same = s3.get_object(Bucket="bucket", Key="a/key")["Body"].read() == body
    with open("/tmp/file", "wb") as file:
        file.write(body)
    s3.upload_file("/tmp/file", "bucket", "uploaded")
    keys = [it["Key"] for it in s3.list_objects_v2(Bucket="bucket")["Contents"]]
    try:
        s3.head_object(Bucket="bucket", Key="none")
    except s3.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
    sqs = boto3.resource("sqs", **options)
    queue = sqs.create_queue(QueueName="q")
    queue.send_message(MessageBody="hello")
    messages = [it.body for it in queue.receive_messages()]
    return {"same": same, "keys": keys, "code": code, "messages": messages, "region": s3.meta.region_name}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn boto3_uses_services_over_https() {
    let (host, server) = (with_egress("any").await, super::tls::Certificates::new());
    let moto = Moto::encrypted(&server.path("server.pem"), &server.path("server.key")).await;
    let mut package = Package::new(BOTO3, &[]);
    package.add("authority.pem", server.authority());
    let event = json!({"endpoint": moto.endpoint});
    let result = package.called(&host, "f", event).await;
    let expected = json!({
        "same": true, "keys": ["a/key", "uploaded"], "code": "404", "messages": ["hello"], "region": "us-east-1",
    });
    assert_eq!(result, expected);
}

/// Imported by the handler: on a busy machine it takes longer than an init may.
const APP: &str = r#"
from typing import List

import pydantic
import requests
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

logger = Logger(service="orders")
app = APIGatewayHttpResolver()


class Order(pydantic.BaseModel):
    id: int
    tags: List[str] = []


@app.get("/orders/<number>")
def order(number):
    logger.info("asked", extra={"number": number})
    return Order(id=number, tags=["a"]).dict()


@logger.inject_lambda_context
def handle(event, context):
    if "rawPath" in event:
        return app.resolve(event, context)
    try:
        Order(id="x")
    except pydantic.ValidationError as error:
        problems = [it["loc"] for it in error.errors()]
    answer = requests.put(f"{event['endpoint']}/bucket", timeout=10)
    missing = requests.get(f"{event['endpoint']}/bucket/none", timeout=10)
    return {"problems": problems, "statuses": [answer.status_code, missing.status_code]}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn powertools_pydantic_and_requests_run() {
    let (host, moto) = (with_egress("any").await, Moto::start().await);
    let packages = [
        "aws_lambda_powertools",
        "certifi",
        "charset_normalizer",
        "idna",
        "pydantic",
        "requests",
        "typing_extensions.py",
    ];
    let source = "def lambda_handler(event, context):\n    import app\n    return app.handle(event, context)\n";
    let mut package = Package::of(&root().join(".tools/python"), source, &packages);
    package.add("app.py", APP);
    let event = json!({"endpoint": moto.endpoint});
    let result = package.called(&host, "f", event).await;
    let expected = json!({"problems": [["id"]], "statuses": [200, 404]});
    assert_eq!(result, expected);
    let event = json!({
        "version": "2.0", "rawPath": "/orders/7", "headers": {}, "cookies": [], "isBase64Encoded": false,
        "requestContext": {"stage": "$default", "http": {"method": "GET", "path": "/orders/7"}},
    });
    let answer = host.invoke("f", &event).await;
    let body = answer.json()["body"].as_str().map(str::to_owned);
    let body: Value = serde_json::from_str(&body.unwrap_or_default()).unwrap_or_else(|_| {
        panic!("{} {}", answer.text(), log_of(&answer));
    });
    assert_eq!(body, json!({"id": 7, "tags": ["a"]}));
    let log = log_of(&answer);
    let lines = log
        .lines()
        .filter_map(|it| serde_json::from_str::<Value>(it).ok());
    let own = lines.into_iter().find(|it| it["message"] == "asked");
    let own = own.unwrap_or_else(|| panic!("{log}"));
    assert_eq!(
        (&own["service"], &own["number"]),
        (&json!("orders"), &json!("7"))
    );
}
