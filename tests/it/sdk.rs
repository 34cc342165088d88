//! SDK as authors use it: default features, and compiler messages.

use std::process::Command;

use crate::harness::root;

/// Compiler output for a function with this source. It uses the examples' lock file.
fn compiled(name: &str, features: &str, source: &str) -> Result<(), String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let write = |path: &str, text: &str| {
        std::fs::write(dir.path().join(path), text).expect("it is written");
    };
    let sdk = root().join("sdk-guest");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         [lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\nanyhow = \"1.0\"\n\
         lamina-sdk = {{ path = {sdk:?}, features = [{features}] }}\n[workspace]\n"
    );
    write("Cargo.toml", &manifest);
    std::fs::create_dir(dir.path().join("src")).expect("it is made");
    write("src/lib.rs", source);
    let lock = root().join("examples/Cargo.lock");
    std::fs::copy(lock, dir.path().join("Cargo.lock")).expect("it is copied");
    let output = Command::new("cargo")
        .args(["check", "--quiet", "--target", "wasm32-wasip2"])
        .current_dir(dir.path())
        .env("CARGO_TARGET_DIR", root().join("examples/target"))
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or(said)
}

fn handler(returns: &str, body: &str) -> String {
    format!(
        "struct Unfit;\n#[lamina_sdk::handler]\n\
         async fn f(_: lamina_sdk::LambdaEvent<String>) -> {returns} {{ {body} }}\n\
         fn _used() {{ let _ = Unfit; }}"
    )
}

#[test]
fn tracing_is_default_and_anyhow_a_feature() {
    let traced = "lamina_sdk::tracing::info!(n = 1, \"said\"); Ok(())";
    let source = handler("Result<(), lamina_sdk::Error>", traced);
    assert_eq!(compiled("traced", "", &source), Ok(()));
    let source = handler("anyhow::Result<()>", "anyhow::bail!(\"no\")");
    assert_eq!(compiled("any", "\"anyhow\"", &source), Ok(()));
    let program = "\nasync fn g(_: lamina_sdk::LambdaEvent<String>) -> anyhow::Result<()> { Ok(()) }\n\
                   pub fn h() { drop(lamina_sdk::run(lamina_sdk::service_fn(g))); }";
    assert_eq!(compiled("any", "\"anyhow\"", &(source + program)), Ok(()));
}

#[test]
fn streaming_handler_takes_its_response_stream() {
    let streaming = |arguments: &str| {
        format!(
            "use lamina_sdk::{{Error, LambdaEvent, ResponseStream, streaming_handler}};\n\
             #[streaming_handler(init = setup)]\n\
             async fn f({arguments}) -> Result<(), Error> {{ Ok(()) }}\n\
             fn setup() -> Result<u8, Error> {{ Ok(1) }}"
        )
    };
    let source = streaming("_: LambdaEvent<u8>, _: &mut ResponseStream<'_>, _: &u8");
    assert_eq!(compiled("streamed", "", &source), Ok(()));
    let said = compiled("unfit", "", &streaming("_: LambdaEvent<u8>")).expect_err("no stream");
    assert!(
        said.contains("a streaming handler takes `event: LambdaEvent<T>`"),
        "{said}"
    );
    assert!(said.contains("--> src/lib.rs:3:"), "{said}");
}

#[test]
fn unsuitable_return_type_has_readable_error() {
    for (returns, body, expected) in [
        (
            "String",
            "String::new()",
            "a function of Lamina returns `Result<_, Error>`, not `String`",
        ),
        (
            "Result<(), Unfit>",
            "Ok(())",
            "`Unfit` cannot be the error of a function of Lamina",
        ),
        (
            "Result<Unfit, lamina_sdk::Error>",
            "Ok(Unfit)",
            "the trait bound `Unfit: serde::Serialize` is not satisfied",
        ),
        ("anyhow::Result<()>", "Ok(())", "the feature `anyhow`"),
    ] {
        let said = compiled("unfit", "", &handler(returns, body)).expect_err(returns);
        assert!(said.contains(expected), "{said}");
        // The error points to the author's code.
        assert!(said.contains("--> src/lib.rs:3:"), "{said}");
    }
}
