use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const ELF: &[u8] = b"\x7fELF\x02\x01\x01\0";

fn zip_of(entries: &[(&str, &[u8])]) -> Bytes {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner().into()
}

fn refused(bytes: Bytes) -> String {
    let dir = tempfile::tempdir().unwrap();
    let read = Package::read(bytes).and_then(|package| package.unpack(dir.path()));
    read.unwrap_err().to_string()
}

fn chosen(entries: &[(&str, &[u8])], handler: &str) -> Result<String, String> {
    let dir = tempfile::tempdir().unwrap();
    Package::read(zip_of(entries))
        .unwrap()
        .unpack(dir.path())
        .unwrap();
    let found = choose(dir.path(), handler).map_err(|error| error.to_string())?;
    Ok(found
        .strip_prefix(dir.path())
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned())
}

#[test]
fn a_zip_is_unpacked_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let package = Package::read(zip_of(&[("a/b/c.txt", b"deep"), ("d", b"")])).unwrap();
    package.unpack(dir.path()).unwrap();
    assert_eq!(
        fs::read_to_string(dir.path().join("a/b/c.txt")).unwrap(),
        "deep"
    );
    assert_eq!(fs::read(dir.path().join("d")).unwrap(), b"");
}

#[test]
fn a_bare_component_is_a_package() {
    let dir = tempfile::tempdir().unwrap();
    Package::read(Bytes::from_static(COMPONENT))
        .unwrap()
        .unpack(dir.path())
        .unwrap();
    assert!(
        choose(dir.path(), "bootstrap")
            .unwrap()
            .ends_with("bootstrap.wasm")
    );
}

#[test]
fn what_is_no_zip_is_refused_in_awss_words() {
    let whole = zip_of(&[("bootstrap.wasm", COMPONENT)]);
    let cut = whole.slice(..whole.len() - 20);
    for bytes in [Bytes::new(), Bytes::from_static(b"not a zip"), cut] {
        assert!(refused(bytes).starts_with("Could not unzip uploaded file."));
    }
    let large = Bytes::from(vec![0; ZIP_BYTES_MAX + 1]);
    assert_eq!(
        refused(large),
        "Zipped size must be smaller than 52428800 bytes"
    );
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let names = [
        "../up",
        "a/../../up",
        "/etc/passwd",
        "c:/x",
        "a\\b",
        "./",
        &"n".repeat(256),
        "a\0b",
    ];
    for name in names {
        let text = refused(zip_of(&[(name, b"x")]));
        assert!(text.contains("is not allowed"), "{name}: {text}");
    }
}

#[test]
fn entries_are_not_in_too_many_directories() {
    let deep = |depth: usize| format!("{}x", "d/".repeat(depth));
    assert!(Package::read(zip_of(&[(&deep(63), b"x")])).is_ok());
    let text = refused(zip_of(&[(&deep(64), b"x")]));
    assert!(text.contains("too many directories"), "{text}");
}

#[test]
fn a_small_zip_does_not_make_many_directories() {
    let spread = |entries: usize| {
        let names = (0..entries).map(|n| format!("{n}/{}x", "d/".repeat(40)));
        let names: Vec<String> = names.collect();
        let entries: Vec<(&str, &[u8])> = names.iter().map(|it| (&**it, &b""[..])).collect();
        zip_of(&entries)
    };
    assert!(Package::read(spread(20)).is_ok());
    let text = refused(spread(40));
    assert_eq!(
        text,
        "The 40 entries of the zip are in more than 1160 directories."
    );
}

#[test]
fn a_zip_of_nothing_is_refused_in_awss_words() {
    assert_eq!(
        refused(zip_of(&[])),
        "Uploaded file must be a non-empty zip"
    );
}

#[test]
fn a_layer_is_a_zip() {
    let layer = zip_of(&[("lib/bootstrap.wasm", COMPONENT)]);
    assert!(Package::read_layer(layer).is_ok());
    for bytes in [COMPONENT, b"not a zip", b""] {
        let refused = Package::read_layer(Bytes::from_static(bytes)).unwrap_err();
        assert!(matches!(refused, Error::NotAZip), "{refused}");
    }
}

#[test]
fn entries_that_get_in_each_others_way_are_refused() {
    for entries in [
        [("a", b"x".as_slice()), ("a/b", b"x")],
        [("a/b", b"x"), ("a/./b", b"x")],
        [("a/b/c", b"x"), ("a/b", b"x")],
    ] {
        let text = refused(zip_of(&entries));
        assert!(text.contains("is not allowed"), "{entries:?}: {text}");
    }
}

#[test]
fn links_are_refused() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer
        .add_symlink("link", "/etc/passwd", SimpleFileOptions::default())
        .unwrap();
    let text = refused(writer.finish().unwrap().into_inner().into());
    assert!(text.contains("link or a device"), "{text}");
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    let zeros = vec![0; 8 << 20];
    let text = refused(zip_of(&[("bomb", &zeros)]));
    assert!(text.contains("200 times"), "{text}");
}

#[test]
fn what_is_too_large_unpacked_is_told_of_first() {
    let zeros = vec![0; usize::try_from(UNZIPPED_BYTES_MAX).unwrap() + 1];
    assert_eq!(
        refused(zip_of(&[("bomb", &zeros)])),
        "Unzipped size must be smaller than 262144000 bytes"
    );
}

#[test]
fn a_size_that_lies_is_found_out() {
    // 2 MiB that say they are one byte, in the local and the central header.
    let noise: Vec<u8> = (0..2_u32 << 20)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut bytes = zip_of(&[("lie", &noise)]).to_vec();
    let size = u32::try_from(noise.len()).unwrap().to_le_bytes();
    for at in 0..bytes.len() - 4 {
        if bytes[at..at + 4] == size {
            bytes[at..at + 4].copy_from_slice(&1_u32.to_le_bytes());
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let read = Package::read(bytes.into()).and_then(|package| package.unpack(dir.path()));
    assert!(read.is_err());
}

#[test]
fn the_component_is_found_by_its_name() {
    let cases: [(&[(&str, &[u8])], &str, &str); 7] = [
        (&[("bootstrap", COMPONENT)], "bootstrap", "bootstrap"),
        (
            &[("bootstrap.wasm", COMPONENT)],
            "bootstrap",
            "bootstrap.wasm",
        ),
        (
            &[("bootstrap", ELF), ("app.wasm", COMPONENT)],
            "bootstrap",
            "app.wasm",
        ),
        (
            &[("bootstrap", ELF), ("bootstrap.wasm", COMPONENT)],
            "bootstrap",
            "bootstrap.wasm",
        ),
        (
            &[("a.wasm", COMPONENT), ("b.wasm", COMPONENT)],
            "b",
            "b.wasm",
        ),
        (
            &[("sub/a.wasm", COMPONENT), ("b.wasm", COMPONENT)],
            "sub/a.wasm",
            "sub/a.wasm",
        ),
        (
            &[("a.wasm", COMPONENT), ("m.wasm", MODULE)],
            "index.handler",
            "a.wasm",
        ),
    ];
    for (entries, handler, expected) in cases {
        assert_eq!(
            chosen(entries, handler).as_deref(),
            Ok(expected),
            "{handler}"
        );
    }
}

#[test]
fn without_a_component_the_author_is_told_what_to_do() {
    let cases: [(&[(&str, &[u8])], &str); 4] = [
        (&[("bootstrap", ELF)], "wasm32-wasip2"),
        (&[("bootstrap.wasm", MODULE)], "core WebAssembly module"),
        (&[("index.js", b"exports.handler = 1")], "has no component"),
        (
            &[("a.wasm", COMPONENT), ("b.wasm", COMPONENT)],
            "a.wasm, b.wasm",
        ),
    ];
    for (entries, expected) in cases {
        let text = chosen(entries, "bootstrap").unwrap_err();
        assert!(text.contains(expected), "{text}");
    }
    assert!(chosen(&[("x.wasm", COMPONENT)], "../../etc/passwd").is_ok());
}
