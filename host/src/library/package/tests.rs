//! Packages that are taken, and those that are refused.

use std::fs;

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

fn read(bytes: Bytes) -> Result<Package, Error> {
    Package::read(PackageSource::Memory(bytes))
}

fn unpacked(bytes: Bytes, into: &Path) -> Result<(), Error> {
    read(bytes)?.unpack(into)
}

fn refused(bytes: Bytes) -> String {
    let dir = tempfile::tempdir().unwrap();
    unpacked(bytes, dir.path()).unwrap_err().to_string()
}

/// Everything below a directory: links as `name -> target`, directories with a slash at the end.
fn shown(dir: &Path) -> Vec<String> {
    let mut shown = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(at) = dirs.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().display().to_string();
            if let Ok(target) = fs::read_link(&path) {
                shown.push(format!("{name} -> {}", target.display()));
            } else if path.is_dir() {
                shown.push(name + "/");
                dirs.push(path);
            } else {
                shown.push(name);
            }
        }
    }
    shown.sort();
    shown
}

/// A zip of entries that may have one name, as merging tools make them. The writer refuses that, so
/// they are written under names of their own and renamed in the bytes.
fn zip_with_names_twice(entries: &[(&str, &str)]) -> Bytes {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    let mut renamed = Vec::new();
    for (at, (name, content)) in entries.iter().enumerate() {
        let mark = char::from(b'0' + u8::try_from(at).unwrap());
        let own = format!("{mark}{}", &name[1..]);
        if name.ends_with('/') {
            writer.add_directory(own.as_str(), options).unwrap();
        } else {
            writer.start_file(own.as_str(), options).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
        renamed.push((own, (*name).to_owned()));
    }
    let mut bytes = writer.finish().unwrap().into_inner();
    for (own, name) in renamed {
        let found: Vec<usize> = (0..=bytes.len() - own.len())
            .filter(|&at| bytes[at..].starts_with(own.as_bytes()))
            .collect();
        assert_eq!(found.len(), 2, "in the local and the central header: {own}");
        for at in found {
            bytes[at..at + name.len()].copy_from_slice(name.as_bytes());
        }
    }
    bytes.into()
}

fn chosen(entries: &[(&str, &[u8])], handler: &str) -> Result<String, String> {
    let dir = tempfile::tempdir().unwrap();
    unpacked(zip_of(entries), dir.path()).unwrap();
    let found = choose(dir.path(), handler).map_err(|error| error.to_string())?;
    Ok(found.to_str().unwrap().to_owned())
}

#[test]
fn zip_is_unpacked_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    unpacked(zip_of(&[("a/b/c.txt", b"deep"), ("d", b"")]), dir.path()).unwrap();
    assert_eq!(
        fs::read_to_string(dir.path().join("a/b/c.txt")).unwrap(),
        "deep"
    );
    assert_eq!(fs::read(dir.path().join("d")).unwrap(), b"");
}

#[test]
fn bare_component_is_a_package() {
    let dir = tempfile::tempdir().unwrap();
    unpacked(Bytes::from_static(COMPONENT), dir.path()).unwrap();
    let chosen = choose(dir.path(), "bootstrap").unwrap();
    assert_eq!(chosen, Path::new("bootstrap.wasm"));
}

#[test]
fn content_that_is_no_zip_is_refused_in_awss_words() {
    let whole = zip_of(&[("bootstrap.wasm", COMPONENT)]);
    let cut = whole.slice(..whole.len() - 20);
    for bytes in [Bytes::new(), Bytes::from_static(b"not a zip"), cut] {
        assert!(refused(bytes).starts_with("Could not unzip uploaded file."));
    }
}

#[test]
fn name_that_leads_elsewhere_is_refused() {
    let names = [
        "../up",
        "a/../../up",
        "/etc/passwd",
        "c:/x",
        "a\\b",
        &"n".repeat(256),
        "a\0b",
    ];
    for name in names {
        let text = refused(zip_of(&[(name, b"x")]));
        assert!(text.contains("is not allowed"), "{name}: {text}");
    }
}

#[test]
fn entry_in_too_many_directories_is_refused() {
    let deep = |depth: usize| format!("{}x", "d/".repeat(depth));
    assert!(read(zip_of(&[(&deep(63), b"x")])).is_ok());
    let text = refused(zip_of(&[(&deep(64), b"x")]));
    assert!(text.contains("too many directories"), "{text}");
}

#[test]
fn small_zip_with_many_directories_is_refused() {
    let spread = |entries: usize| {
        let names = (0..entries).map(|n| format!("{n}/{}x", "d/".repeat(40)));
        let names: Vec<String> = names.collect();
        let entries: Vec<(&str, &[u8])> = names.iter().map(|it| (&**it, &b""[..])).collect();
        zip_of(&entries)
    };
    assert!(read(spread(20)).is_ok());
    let text = refused(spread(40));
    assert_eq!(
        text,
        "The 40 entries of the zip are in more than 1160 directories."
    );
}

#[test]
fn empty_zip_is_refused_in_awss_words() {
    assert_eq!(
        refused(zip_of(&[])),
        "Uploaded file must be a non-empty zip"
    );
}

#[test]
fn layer_that_is_no_zip_is_refused() {
    let layer = zip_of(&[("lib/bootstrap.wasm", COMPONENT)]);
    assert!(Package::read_layer(PackageSource::Memory(layer)).is_ok());
    for bytes in [COMPONENT, b"not a zip", b""] {
        let refused =
            Package::read_layer(PackageSource::Memory(Bytes::from_static(bytes))).unwrap_err();
        assert!(matches!(refused, Error::NotAZip), "{refused}");
    }
}

#[test]
fn conflicting_entries_are_refused() {
    for entries in [
        [("a", b"x".as_slice()), ("a/b", b"x")],
        [("a/b", b"x"), ("a/./b", b"y")],
        [("a/b/c", b"x"), ("a/b", b"x")],
    ] {
        let text = refused(zip_of(&entries));
        assert!(text.contains("is not allowed"), "{entries:?}: {text}");
    }
}

#[test]
fn entry_for_the_root_is_passed_over() {
    for root in ["/", "./", ".//", "//"] {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default();
        writer.add_directory(root, options).unwrap();
        writer.start_file("a/b", options).unwrap();
        writer.write_all(b"x").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let bytes = writer.finish().unwrap().into_inner().into();
        unpacked(bytes, dir.path()).unwrap();
        assert_eq!(shown(dir.path()), ["a/", "a/b"], "{root}");
    }
    let mut only = ZipWriter::new(Cursor::new(Vec::new()));
    only.add_directory("./", SimpleFileOptions::default())
        .unwrap();
    let only = only.finish().unwrap().into_inner().into();
    assert_eq!(refused(only), "Uploaded file must be a non-empty zip");
}

#[test]
fn entry_listed_twice_is_unpacked_once() {
    let dir = tempfile::tempdir().unwrap();
    let entries = [("etc/", ""), ("etc/a", "a"), ("etc/", ""), ("etc/b", "b")];
    unpacked(zip_with_names_twice(&entries), dir.path()).unwrap();
    assert_eq!(shown(dir.path()), ["etc/", "etc/a", "etc/b"]);
    let dir = tempfile::tempdir().unwrap();
    let same = [("LICENSE", "MIT"), ("LICENSE", "MIT")];
    unpacked(zip_with_names_twice(&same), dir.path()).unwrap();
    assert_eq!(shown(dir.path()), ["LICENSE"]);
    let text = refused(zip_with_names_twice(&[("NOTICE", "1"), ("NOTICE", "2")]));
    assert_eq!(
        text,
        "The entry \"NOTICE\" of the zip is not allowed: it is listed twice, with different contents."
    );
}

fn zip_of_links(links: &[(&str, &str)], files: &[&str]) -> Bytes {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    for (name, target) in links {
        writer.add_symlink(*name, *target, options).unwrap();
    }
    for name in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(COMPONENT).unwrap();
    }
    writer.finish().unwrap().into_inner().into()
}

#[test]
fn symbolic_link_is_kept_whatever_its_target() {
    let dir = tempfile::tempdir().unwrap();
    let links = [
        ("lib/liba.so", "liba.so.1"),
        ("passwd", "/etc/passwd"),
        ("up", "../../.."),
        ("nowhere", "missing"),
        ("self", "self"),
    ];
    unpacked(zip_of_links(&links, &["lib/liba.so.1"]), dir.path()).unwrap();
    let expected = [
        "lib/",
        "lib/liba.so -> liba.so.1",
        "lib/liba.so.1",
        "nowhere -> missing",
        "passwd -> /etc/passwd",
        "self -> self",
        "up -> ../../..",
    ];
    assert_eq!(shown(dir.path()), expected);
}

#[test]
fn nothing_is_unpacked_through_a_symbolic_link() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    let text = refused(zip_of_links(&[("a", target)], &["a/b"]));
    assert!(text.contains("a file and a directory"), "{text}");
    assert_eq!(shown(outside.path()), Vec::<String>::new());
}

#[test]
fn component_is_found_through_links_inside_the_package_only() {
    let chosen = |links: &[(&str, &str)], files: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        unpacked(zip_of_links(links, files), dir.path()).unwrap();
        choose(dir.path(), "bootstrap")
    };
    let inside = chosen(&[("bootstrap", "bin/app")], &["bin/app"]);
    assert_eq!(inside.unwrap(), Path::new("bin/app"));
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), COMPONENT).unwrap();
    let target = outside.path().to_str().unwrap();
    for name in ["bootstrap", "app.wasm"] {
        let escaped = chosen(&[(name, target)], &[]);
        assert!(matches!(escaped, Err(Error::NoComponent(_))), "{escaped:?}");
    }
}

#[test]
fn device_is_refused_by_name() {
    let bytes = zip_of_links(&[("null", "x")], &[]).to_vec();
    // A symbolic link's mode, in the central header, made a device's.
    let mode = (0o120_777_u32 << 16).to_le_bytes();
    let at = (0..bytes.len()).find(|&at| bytes[at..].starts_with(&mode));
    let mut bytes = bytes;
    bytes[at.unwrap() + 2..at.unwrap() + 4].copy_from_slice(&0o020_666_u16.to_le_bytes());
    let text = refused(bytes.into());
    let expected = "The entry \"null\" of the zip is not allowed: it is a device;";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn package_in_a_file_is_read_as_one_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("package.zip");
    fs::write(&file, zip_of(&[("a/b", b"x")])).unwrap();
    let into = dir.path().join("into");
    fs::create_dir(&into).unwrap();
    let package = Package::read(PackageSource::File(file)).unwrap();
    package.unpack(&into).unwrap();
    assert_eq!(shown(&into), ["a/", "a/b"]);
}

#[test]
fn entry_that_unpacks_to_200_times_its_size_is_refused() {
    let zeros = vec![0; 8 << 20];
    let text = refused(zip_of(&[("bomb", &zeros)]));
    assert!(text.contains("200 times"), "{text}");
}

#[test]
fn unpacked_size_is_checked_before_ratios() {
    let zeros = vec![0; usize::try_from(UNZIPPED_BYTES_MAX).unwrap() + 1];
    assert_eq!(
        refused(zip_of(&[("bomb", &zeros)])),
        "Unzipped size must be smaller than 262144000 bytes"
    );
}

#[test]
fn entry_larger_than_announced_is_refused() {
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
    assert!(unpacked(bytes.into(), dir.path()).is_err());
}

#[test]
fn component_is_found_by_its_name() {
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
fn package_without_component_is_refused_with_advice() {
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
