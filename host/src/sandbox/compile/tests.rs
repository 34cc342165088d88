//! Classification of compile failures.

use super::*;

const HELLO: &[u8] = b"\0asm\x0d\0\x01\0";

/// Component with many instances of one module with this section.
fn many(instances: u8, section: &[u8]) -> Vec<u8> {
    let module = [b"\0asm\x01\0\0\0".as_slice(), section].concat();
    let module_bytes = u8::try_from(module.len()).unwrap();
    let mut component = [HELLO, &[1, module_bytes], &module].concat();
    // Each instantiates module 0 without arguments; lengths are LEB128.
    let bytes = 1 + 3 * u16::from(instances);
    assert!(instances < 128);
    let [low, high] = [bytes & 0x7f | 0x80, bytes >> 7].map(|it| u8::try_from(it).unwrap());
    let length = [low, high];
    component.extend([[2].as_slice(), &length, &[instances]].concat());
    for _ in 0..instances {
        component.extend([0, 0, 0]);
    }
    component
}

fn refusal(component: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("in"), dir.path().join("out"));
    std::fs::write(&from, component).unwrap();
    let refused = compile_here(Target::Here, &from, &to).unwrap_err();
    assert!(refused.is_callers_fault(), "{refused}");
    assert!(!to.exists());
    refused.to_string()
}

/// Component that imports an instance without functions and exports it by another name.
fn exchanging(import: &str, export: &str) -> Vec<u8> {
    let section = |id: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).unwrap();
        [&[id, length], content].concat()
    };
    let named = |name: &str| [&[1, 0, u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
    let instance_type = section(7, &[1, 0x42, 0]);
    let import = section(10, &[named(import), vec![5, 0]].concat());
    let export = section(11, &[named(export), vec![5, 0, 0]].concat());
    [HELLO.to_vec(), instance_type, import, export].concat()
}

#[test]
fn files_and_sockets_of_wasi_3_are_refused_by_name() {
    for name in ["wasi:filesystem/types@0.3.0", "wasi:sockets/types@0.3.2"] {
        let text = refusal(&exchanging(name, "wasi:http/handler@0.3.0"));
        assert!(text.contains(name) && text.contains("WASI 0.2"), "{text}");
    }
}

#[test]
fn composition_of_wasi_3_is_refused() {
    let lifting = [HELLO, &[8, 6, 1, 0, 0, 0, 0, 0]].concat();
    let nested = [
        &[4, u8::try_from(lifting.len()).unwrap()],
        lifting.as_slice(),
    ]
    .concat();
    let mut component = exchanging("wasi:clocks/x@0.3.0", "wasi:http/handler@0.3.0");
    component.extend(nested);
    let text = refusal(&component);
    assert!(text.contains("composed"), "{text}");
}

#[test]
fn component_over_engine_limits_is_refused_by_name() {
    let memory = [5, 3, 1, 0, 1];
    let table = [4, 4, 1, 0x70, 0, 1];
    let large_table = [4, 7, 1, 0x70, 0, 0x80, 0x80, 0x80, 0x08];
    let cases: [(u8, &[u8], &str); 4] = [
        (
            60,
            &memory,
            "60 Wasm linear memories, which exceeds the configured maximum",
        ),
        (
            60,
            &table,
            "60 tables, which exceeds the configured maximum",
        ),
        (
            120,
            &[],
            "120 core module instances, which exceeds the configured maximum",
        ),
        (
            1,
            &large_table,
            "minimum element size of 16777216 which exceeds the limit",
        ),
    ];
    for (instances, section, expected) in cases {
        let text = refusal(&many(instances, section));
        assert!(text.contains(expected), "{text}");
        assert!(text.starts_with("The component needs more than"), "{text}");
    }
    // These components are within the limits and only lack exports.
    let memories = [5, 5, 2, 0, 1, 0, 1];
    let tables = [4, 7, 2, 0x70, 0, 1, 0x70, 0, 1];
    for few in [many(1, &memory), many(1, &memories), many(1, &tables)] {
        let text = refusal(&few);
        assert!(text.contains("exports nothing"), "{text}");
    }
}

#[test]
fn mistyped_export_or_import_is_refused() {
    let run = |instance: u8| {
        let export = [
            b"\x0b\x18\x01\0\x12wasi:cli/run@0.2.0\x05".as_slice(),
            &[instance, 0],
        ];
        [b"\x05\x03\x01\x01\0".to_vec(), export.concat()].concat()
    };
    let text = refusal(&[HELLO, &run(0)].concat());
    assert!(text.contains("exports wasi:cli/run, but not as"), "{text}");
    assert!(text.contains("run"), "{text}");

    let imports = b"\x0a\x25\x02\0\x0eacme:a/b@1.0.0\x05\0\0\x0eacme:c/d@1.0.0\x05\0";
    let text = refusal(&[HELLO, b"\x07\x03\x01\x42\0", imports, &run(2)].concat());
    let expected = "imports what this host does not have: acme:a/b@1.0.0, acme:c/d@1.0.0";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn invalid_component_is_refused() {
    let text = refusal(b"\0asm\x0d\0\x01\0\xff");
    assert!(text.starts_with("The component is not valid"), "{text}");
}

#[test]
fn silent_child_is_classified_by_exit_status() {
    let signal = |signal: Signal| ExitStatus::from_raw(signal.as_raw());
    let exit = |code: i32| ExitStatus::from_raw(code << 8);
    let no_memory = "memory allocation of 8589934592 bytes failed\n";
    let deep = "\nthread 'main' has overflowed its stack\nfatal runtime error\n";
    for (status, words) in [
        (signal(Signal::XCPU), ""),
        (signal(Signal::KILL), ""),
        (signal(Signal::ABORT), no_memory),
        (signal(Signal::ABORT), deep),
    ] {
        let told = told(status, b"", words.as_bytes()).unwrap_err();
        assert!(matches!(told, Error::TooMuch), "{status}: {told}");
    }
    for (status, words) in [
        (exit(101), "thread 'main' panicked at a bug"),
        (exit(2), "error: unrecognized subcommand"),
        (exit(0), ""),
        (signal(Signal::ABORT), "free(): invalid pointer"),
        (signal(Signal::SEGV), ""),
        (signal(Signal::TERM), ""),
    ] {
        let told = told(status, b"what is this", words.as_bytes()).unwrap_err();
        assert!(!told.is_callers_fault(), "{status}: {told}");
        assert!(told.to_string().contains(words), "{told}");
    }
    let refused = br#"{"Err":{"Component":"it is bad"}}"#;
    let told = told(exit(1), refused, b"").unwrap_err();
    assert_eq!(told.to_string(), "it is bad");
}

#[tokio::test]
async fn compilation_over_time_limit_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("endless");
    std::fs::write(&program, "#!/bin/sh\nexec sleep 1000\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&program, mode).unwrap();
    let (from, to) = (dir.path().join("in"), dir.path().join("out"));
    let time = Duration::from_millis(50);
    let failed = in_child(&program, Target::Here, &from, &to, time).await;
    let failed = failed.unwrap_err();
    assert!(matches!(failed, Error::TooMuch), "{failed}");
    assert!(
        failed.to_string().contains("within 60 s and 4 GiB"),
        "{failed}"
    );
}

#[tokio::test]
async fn failed_compilation_leaves_no_files() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("in");
    std::fs::write(&from, HELLO).unwrap();
    // `/bin/sh` fails, because the child's arguments name no script.
    let program = PathBuf::from("/bin/sh");
    let mut failures = Vec::new();
    for compiler in [Compiler::Child { program }, Compiler::InProcess] {
        let name = |_| unreachable!("nothing is finished");
        let failed = compile(&compiler, Target::Here, &from, dir.path(), name).await;
        failures.push(failed.unwrap_err().is_callers_fault());
    }
    assert_eq!(failures, [false, true]);
    let unfinished = Unfinished::in_directory(dir.path());
    assert!(is_unfinished(unfinished.0.file_name().unwrap()));
    std::fs::write(&unfinished.0, "half").unwrap();
    drop(unfinished);
    let left = std::fs::read_dir(dir.path()).unwrap().flatten();
    let left: Vec<_> = left
        .map(|it| it.file_name())
        .filter(|it| is_unfinished(it))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
