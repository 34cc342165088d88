//! Projects with a `lamina.toml`, components and packages of any language: `lamina deploy`, `build`, `delete`, `logs`
//! and `dev` as a user types them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Lamina, guest, program, zipped};

mod dev;
mod triggers;

/// Directory of a project whose component is built already.
pub struct Project(TempDir);

impl Project {
    /// Project with the guest `hostile` as `app.wasm`.
    pub fn new(manifest: &str) -> Self {
        let made = Self(tempfile::tempdir().expect("a temporary directory"));
        made.write("app.wasm", guest("hostile"));
        made.write("lamina.toml", manifest);
        made
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it is in the project")).expect("it is made");
        std::fs::write(path, content).expect("it is written");
    }
}

/// The program in a directory, without the configuration of the developer's machine.
pub fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).current_dir(dir).env("HOME", dir);
    for name in [
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_ENDPOINT_URL_LAMBDA",
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "LAMINA_ENDPOINT_URL",
        "LAMINA_LISTEN",
    ] {
        command.env_remove(name);
    }
    command
}

/// Exit code, stdout and stderr.
pub fn ran(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

/// Runs a command against a host, in a directory; returns stdout and stderr.
fn lamina(host: &Lamina, dir: &Path, arguments: &[&str]) -> (String, String) {
    let mut command = command(dir, arguments);
    let (code, told, notes) = ran(command.env("LAMINA_LISTEN", host.address.to_string()));
    assert_eq!(code, Some(0), "{arguments:?}: {notes}");
    (told, notes)
}

async fn configuration(host: &Lamina, name: &str) -> Value {
    let path = format!("/2015-03-31/functions/{name}/configuration");
    host.lambda("GET", &path, &Value::Null).await.json()
}

const MANIFEST: &str = "name = \"f\"\ndescription = \"first\"\nmemory = 256\ntimeout = 7\nurl = \"iam\"\n\
                        assets = [\"prices.json\", \"pages/\"]\nlayers = [\"data:1\"]\n\
                        [environment]\nGREETING = \"hi\"\n[build]\nartifact = \"app.wasm\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn manifest_is_the_configuration_of_the_function() {
    let host = Lamina::start();
    let project = Project::new(MANIFEST);
    project.write("prices.json", "{\"tea\":3}");
    project.write("pages/de/index.html", "Hallo");
    project.write("opt/data.txt", "of the layer");
    lamina(&host, project.path(), &["layer", "publish", "data", "opt"]);
    let (told, notes) = lamina(&host, project.path(), &["deploy"]);
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(
        notes.contains("f: built in ") && notes.contains(" s, deployed in "),
        "{notes}"
    );
    assert!(notes.trim_end().ends_with("(new)"), "{notes}");
    let shown = configuration(&host, "f").await;
    assert_eq!(
        (
            &shown["MemorySize"],
            &shown["Timeout"],
            &shown["Description"]
        ),
        (&json!(256), &json!(7), &json!("first"))
    );
    for (path, content) in [
        ("/var/task/prices.json", "{\"tea\":3}"),
        ("/var/task/pages/de/index.html", "Hallo"),
        ("/opt/data.txt", "of the layer"),
    ] {
        let read = host.invoke("f", &json!({"do": "read", "path": path})).await;
        assert_eq!(read.json(), content, "{path}");
    }
    let (_, notes) = lamina(&host, project.path(), &["deploy"]);
    assert!(notes.contains("unchanged on the host"), "{notes}");
    // Keys that the manifest lost have their defaults again.
    project.write(
        "lamina.toml",
        "name = \"f\"\n[build]\nartifact = \"app.wasm\"\n",
    );
    lamina(&host, project.path(), &["deploy", "--env", "KEY=V=W"]);
    let shown = configuration(&host, "f").await;
    assert_eq!(shown["Environment"]["Variables"], json!({"KEY": "V=W"}));
    assert_eq!(
        (&shown["MemorySize"], &shown["Timeout"]),
        (&json!(128), &json!(3))
    );
    assert!(
        shown["Layers"].as_array().is_none_or(Vec::is_empty),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn component_and_package_are_deployed_without_a_project() {
    let host = Lamina::start();
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("one.wasm"), guest("echo")).expect("it is written");
    std::fs::write(dir.path().join("two.zip"), zipped(&guest("echo"))).expect("it is written");
    std::fs::write(dir.path().join("three.txt"), "text").expect("it is written");
    let options = ["deploy", "one.wasm", "--memory", "192", "--env", "KEY=V"];
    let (told, _) = lamina(&host, dir.path(), &options);
    assert!(told.ends_with(":function:one\n"), "{told}");
    lamina(
        &host,
        dir.path(),
        &["deploy", "two.zip", "--name", "second"],
    );
    assert_eq!(configuration(&host, "one").await["MemorySize"], 192);
    for name in ["one", "second"] {
        let (told, _) = lamina(&host, dir.path(), &["invoke", name, "-d", "7"]);
        assert_eq!(told, "7\n");
    }
    let endpoint = host.endpoint();
    let refused = ["deploy", "three.txt", "--endpoint-url", &endpoint];
    let (code, _, notes) = ran(&mut command(dir.path(), &refused));
    assert_eq!(code, Some(3));
    assert!(notes.contains("neither a component nor a zip"), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn build_command_makes_the_artifact() {
    let host = Lamina::start();
    let manifest = |command: &str| {
        format!("name = \"f\"\n[build]\ncommand = \"{command}\"\nartifact = \"out/f.wasm\"\n")
    };
    let project = Project::new(&manifest(
        "mkdir -p out && cp app.wasm out/f.wasm && echo made",
    ));
    let (told, notes) = lamina(&host, project.path(), &["deploy"]);
    // Output of the command is no result.
    assert!(
        !told.contains("made") && notes.contains("made"),
        "{told}{notes}"
    );
    let (code, told, _) = ran(&mut command(project.path(), &["build"]));
    assert_eq!((code, told.as_str()), (Some(0), "./out/f.wasm\n"));
    project.write("lamina.toml", manifest("exit 3"));
    let (code, _, notes) = ran(&mut command(project.path(), &["build"]));
    assert_eq!(code, Some(3));
    assert!(notes.contains("`exit 3` failed"), "{notes}");
    let mut list = command(
        project.path(),
        &["list", "--endpoint-url", &host.endpoint()],
    );
    assert!(ran(&mut list).1.contains("f "));
}

#[tokio::test(flavor = "multi_thread")]
async fn project_has_several_functions() {
    let host = Lamina::start();
    let function =
        |name: &str| format!("[[functions]]\nname = \"{name}\"\nbuild.artifact = \"app.wasm\"\n");
    let manifest = format!("memory = 192\n{}{}", function("one"), function("two"));
    let project = Project::new(&manifest);
    let (told, _) = lamina(&host, project.path(), &["deploy", "--function", "two"]);
    assert_eq!(told.lines().count(), 1);
    assert!(told.trim_end().ends_with(":two"), "{told}");
    let (told, _) = lamina(&host, project.path(), &["deploy"]);
    assert_eq!(told.lines().count(), 2);
    assert_eq!(configuration(&host, "one").await["MemorySize"], 192);
    let wrong = ["deploy", "--function", "three"];
    let (code, _, notes) = ran(&mut command(project.path(), &wrong));
    assert_eq!(code, Some(3));
    assert!(notes.contains("no function three"), "{notes}");
}

#[test]
fn crate_of_lambda_runtime_gets_a_hint() {
    let project = Project::new("");
    let package = |name: &str, more: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{more}")
    };
    let more = "[dependencies]\nlambda_runtime = { path = \"runtime\" }\n[workspace]\n";
    project.write("Cargo.toml", package("f", more));
    project.write(
        "src/main.rs",
        "fn main() { compile_error!(\"it needs sockets\") }",
    );
    project.write("runtime/Cargo.toml", package("lambda_runtime", ""));
    project.write("runtime/src/lib.rs", "");
    let mut build = command(project.path(), &["build"]);
    let (code, _, notes) = ran(build.env("HOME", std::env::var_os("HOME").unwrap_or_default()));
    assert_eq!(code, Some(3), "{notes}");
    assert!(
        notes.contains("lambda_runtime") && notes.contains("lamina_sdk::main"),
        "{notes}"
    );
}

#[test]
fn broken_manifest_is_refused_with_line_and_column() {
    let project = Project::new("name = \"f\"\nmemory = \"much\"\n");
    for verb in ["deploy", "build", "dev"] {
        let (code, _, notes) = ran(&mut command(project.path(), &[verb]));
        assert_eq!(code, Some(3));
        assert!(notes.contains("line 2, column 10"), "{verb}: {notes}");
        assert!(notes.contains("lamina.toml"), "{verb}: {notes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deploy_signs_for_enforced_code_signing() {
    use crate::signing::{Desk, configure, of_function};
    let desk = Desk::new();
    let ours = desk.profile("ours", "ed25519");
    let host = Lamina::configured(&ours.block);
    let project = Project::new("name = \"f\"\n[build]\nartifact = \"app.wasm\"\n");
    lamina(&host, project.path(), &["deploy"]);
    let config = configure(&host, &[&ours.arn], "Enforce").await;
    let attached = json!({"CodeSigningConfigArn": config});
    let put = host.lambda("PUT", &of_function("f"), &attached).await;
    assert_eq!(put.status, 200, "{}", put.text());
    // Other code, unsigned.
    project.write("app.wasm", guest("echo"));
    let endpoint = host.endpoint();
    let unsigned = ["deploy", "--endpoint-url", &endpoint];
    let (code, _, notes) = ran(&mut command(project.path(), &unsigned));
    assert_eq!(code, Some(3));
    assert!(notes.contains("CodeVerificationFailedException"), "{notes}");
    let key = ours.key.to_str().expect("UTF-8");
    let signed = ["deploy", "--sign-key", key, "--sign-profile", &ours.arn];
    lamina(&host, project.path(), &signed);
    let shown = configuration(&host, "f").await;
    assert_eq!(shown["SigningProfileVersionArn"], ours.arn);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_function_is_gone() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (_, notes) = lamina(&host, dir.path(), &["delete", "f"]);
    assert_eq!(notes, "f is deleted\n");
    let endpoint = host.endpoint();
    let again = ["delete", "f", "--endpoint-url", &endpoint];
    let (code, _, notes) = ran(&mut command(dir.path(), &again));
    assert_eq!(code, Some(3));
    assert!(notes.contains("Function not found"), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_have_times_and_a_beginning() {
    let host = Lamina::start();
    host.create("f", &guest("echo"), json!({})).await;
    host.invoke("f", &json!({})).await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (told, _) = lamina(&host, dir.path(), &["logs", "f", "--since", "1h"]);
    let line = told.lines().last().expect("a line");
    let (time, rest) = line.split_once(' ').expect("a time");
    let digits = |it: char| if it.is_ascii_digit() { '0' } else { it };
    let form: String = time.chars().map(digits).collect();
    assert_eq!(form, "0000-00-00T00:00:00.000Z");
    assert!(rest.starts_with("REPORT RequestId: "), "{line}");
    let (told, notes) = lamina(
        &host,
        dir.path(),
        &["logs", "f", "--since", "2100-01-01T00:00:00Z"],
    );
    assert_eq!(
        (told.as_str(), notes.as_str()),
        ("", "f has no log events since then\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn profile_has_keys_and_region() {
    let keys =
        "region = \"eu-west-3\"\n[[keys]]\naccess_key_id = \"AK\"\nsecret_access_key = \"secret\"";
    let host = Lamina::with(keys, "");
    let home = Project::new("");
    let profile = "[mine]\naws_access_key_id = AK\naws_secret_access_key = secret\n";
    home.write(".aws/credentials", profile);
    home.write(".aws/config", "[profile mine]\nregion = eu-west-3\n");
    let listen = host.address.to_string();
    let mut by_variable = command(home.path(), &["list"]);
    by_variable
        .env("LAMINA_LISTEN", &listen)
        .env("AWS_PROFILE", "mine");
    assert_eq!(ran(&mut by_variable).0, Some(0));
    let mut by_option = command(home.path(), &["list", "--profile", "mine"]);
    by_option
        .env("LAMINA_LISTEN", &listen)
        .env("AWS_ACCESS_KEY_ID", "other");
    assert_eq!(ran(&mut by_option).0, Some(0));
    let mut none = command(home.path(), &["list", "--profile", "none"]);
    let (code, _, notes) = ran(none.env("LAMINA_LISTEN", &listen));
    assert_eq!(code, Some(3));
    assert!(
        notes.contains("The config profile (none) could not be found"),
        "{notes}"
    );
    let mut unsigned = command(home.path(), &["list"]);
    assert_eq!(ran(unsigned.env("LAMINA_LISTEN", &listen)).0, Some(3));
}

#[test]
fn schema_describes_every_key() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (code, told, _) = ran(&mut command(dir.path(), &["schema"]));
    assert_eq!(code, Some(0));
    let schema: Value = serde_json::from_str(&told).expect("it is JSON");
    let keys = schema["properties"].as_object().expect("an object");
    for key in [
        "memory",
        "environment",
        "assets",
        "layers",
        "functions",
        "build",
        "host",
    ] {
        assert!(keys.contains_key(key), "{key}");
    }
    assert!(
        keys.values().all(|key| key["description"].is_string()),
        "{told}"
    );
    assert_eq!(schema["additionalProperties"], false);
}
