//! Packages of npm that people bring in their zips, from the tests' own tools, and requests to servers.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{create_zip, host, with_egress};
use crate::harness::{Lamina, log_of, root};
use crate::moto::Moto;

/// A handler with packages of the tests' tools.
fn package(source: &str, packages: &[&str]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("index.mjs", options).expect("in memory");
    zip.write_all(source.as_bytes()).expect("in memory");
    let modules = root().join(".tools/node/node_modules");
    for name in packages {
        let mut files = Vec::new();
        collect(&modules.join(name), &mut files);
        for path in files {
            let below = path.strip_prefix(&modules).expect("it is below");
            let name = format!("node_modules/{}", below.display());
            zip.start_file(name, options).expect("in memory");
            let content = fs::read(&path).expect("it can be read");
            zip.write_all(&content).expect("in memory");
        }
    }
    zip.finish().expect("in memory").into_inner()
}

fn collect(dir: &Path, into: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(dir).unwrap_or_else(|_| panic!("{}: run tests/run", dir.display()));
    for entry in entries {
        let path = entry.expect("an entry").path();
        let extension = path.extension().and_then(|it| it.to_str());
        // Of date-fns, other languages and a second copy for functional style stay behind.
        let text = path.to_string_lossy();
        let locale = text.split_once("date-fns/locale/").map(|(_, it)| it);
        let is_other = locale.is_some_and(|it| !it.starts_with("en-US") && !it.starts_with("_lib"));
        if is_other || text.ends_with("date-fns/fp") {
            continue;
        }
        if path.is_dir() {
            collect(&path, into);
        } else if matches!(extension, Some("js" | "mjs" | "cjs" | "json")) {
            into.push(path);
        }
    }
}

async fn called(host: &Lamina, name: &str, package: &[u8], event: Value) -> Value {
    create_zip(host, name, package, json!({"MemorySize": 512})).await;
    let answer = host.invoke(name, &event).await;
    let failed = !answer.header("x-amz-function-error").is_empty();
    assert!(!failed, "{name}: {} {}", answer.text(), log_of(&answer));
    answer.json()
}

const POPULAR: &str = r#"
export const handler = async () => {
  const { default: _ } = await import('lodash');
  const { v4, v5, validate } = await import('uuid');
  const { addDays, format } = await import('date-fns');
  const { z } = await import('zod');
  const order = z.object({ id: z.number().int(), name: z.string().min(1), tags: z.array(z.string()).default([]) });
  const bad = order.safeParse({ id: 1.5 });
  return {
    lodash: [_.chunk([1, 2, 3], 2), _.get({ a: [{ b: 1 }] }, 'a[0].b'), _.camelCase('some text')],
    uuid: [validate(v4()), v5('name', v5.URL)],
    dates: format(addDays(new Date(2026, 10, 30), 2), 'yyyy-MM-dd EEEE'),
    zod: [order.parse({ id: 1, name: 'x' }), bad.success, bad.error.issues.map((it) => it.path.join('.'))],
  };
};
"#;

#[tokio::test(flavor = "multi_thread")]
async fn popular_packages_run() {
    let host = host().await;
    let package = package(POPULAR, &["lodash", "uuid", "date-fns", "zod"]);
    let expected = json!({
        "lodash": [[[1, 2], [3]], 1, "someText"],
        "uuid": [true, "736a440e-497c-50ed-bf48-70cf957f00ff"],
        "dates": "2026-12-02 Wednesday",
        "zod": [{"id": 1, "name": "x", "tags": []}, false, ["id", "name"]],
    });
    assert_eq!(called(&host, "f", &package, json!({})).await, expected);
}

const REQUESTS: &str = r#"
import http from 'node:http';
const got = (url) => new Promise((resolve, reject) => {
  http.get(url, (response) => {
    let text = '';
    response.on('data', (it) => (text += it)).on('end', () => resolve([response.statusCode, text.length > 0]));
  }).on('error', reject);
});
export const handler = async ({ endpoint }) => {
  const put = await fetch(`${endpoint}/bucket`, { method: 'PUT' });
  const headers = { 'x-amz-acl': 'public-read' };
  const sent = await fetch(`${endpoint}/bucket/key`, { method: 'PUT', body: 'x'.repeat(100_000), headers });
  const text = await (await fetch(`${endpoint}/bucket/key`)).text();
  const missing = await fetch(`${endpoint}/bucket/none`);
  let refused;
  try { await fetch('http://127.0.0.1:1/'); } catch (error) { refused = error.name; }
  return { put: put.status, sent: sent.ok, length: text.length, missing: missing.status, get: await got(`${endpoint}/bucket`), refused };
};
"#;

#[tokio::test(flavor = "multi_thread")]
async fn fetch_and_http_reach_servers() {
    let (host, moto) = (with_egress().await, Moto::start().await);
    let package = package(REQUESTS, &[]);
    let event = json!({"endpoint": moto.endpoint});
    let result = called(&host, "f", &package, event).await;
    let expected = json!({
        "put": 200, "sent": true, "length": 100_000, "missing": 404, "get": [200, true], "refused": "TypeError",
    });
    assert_eq!(result, expected);
}
