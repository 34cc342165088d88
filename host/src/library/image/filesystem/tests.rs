//! Tests of layers: what images need, and what hostile ones try.

use std::fs;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType};

use super::*;

/// An entry: kind, name, and content or target.
type Item<'a> = (EntryType, &'a str, &'a str);

const FILE: EntryType = EntryType::Regular;
const DIR: EntryType = EntryType::Directory;
const LINK: EntryType = EntryType::Symlink;
const HARD: EntryType = EntryType::Link;

/// A tar with these entries, whatever their names.
fn tar(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, content) in items {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        let data = match kind {
            EntryType::Symlink | EntryType::Link => {
                header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
                ""
            }
            _ => content,
        };
        header.set_size(data.len() as u64);
        header.set_cksum();
        builder.append(&header, data.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Unpacks layers, and lists the tree: files with their content, links with their target.
fn unpacked(layers: &[Vec<u8>]) -> (tempfile::TempDir, Result<Vec<String>, Error>) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    let mut unpacker = Unpacker::new(&root, 200 << 20);
    for layer in layers {
        let path = dir.path().join("layer");
        fs::write(&path, layer).unwrap();
        let kind = match layer.starts_with(&[0x1f, 0x8b]) {
            true => LayerKind::GzipTar,
            false => LayerKind::Tar,
        };
        if let Err(error) = unpacker.layer(kind, &path) {
            return (dir, Err(error));
        }
    }
    let mut found = Vec::new();
    list(&root, "", &mut found);
    found.sort();
    (dir, Ok(found))
}

fn list(dir: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.push(format!("{name}/"));
            list(&entry.path(), &format!("{name}/"), found);
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap();
            found.push(format!("{name} -> {}", target.display()));
        } else {
            found.push(format!(
                "{name}={}",
                fs::read_to_string(entry.path()).unwrap()
            ));
        }
    }
}

fn tree(layers: &[&[Item<'_>]]) -> Vec<String> {
    let layers: Vec<_> = layers.iter().map(|items| tar(items)).collect();
    unpacked(&layers).1.unwrap()
}

fn refusal(layers: &[&[Item<'_>]]) -> String {
    let layers: Vec<_> = layers.iter().map(|items| tar(items)).collect();
    let (dir, result) = unpacked(&layers);
    let outside = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(outside, 2, "something was written beside the root");
    result.unwrap_err().to_string()
}

#[test]
fn later_layer_replaces_and_deletes_entries() {
    let lower: &[Item<'_>] = &[
        (DIR, "d/", ""),
        (FILE, "d/a", "1"),
        (FILE, "d/b", "1"),
        (FILE, "e/x/y", "1"),
        (FILE, "f", "1"),
    ];
    let upper: &[Item<'_>] = &[
        (FILE, "d/a", "2"),
        (FILE, "d/.wh.b", ""),
        (FILE, "e/new", "2"),
        (FILE, "e/.wh..wh..opq", ""),
        (DIR, "f", ""),
        (FILE, ".wh.absent", ""),
    ];
    assert_eq!(
        tree(&[lower, upper]),
        ["d/", "d/a=2", "e/", "e/new=2", "f/"]
    );
}

#[test]
fn whiteout_keeps_entries_of_its_own_layer() {
    let upper: &[Item<'_>] = &[
        (FILE, "a", "2"),
        (FILE, ".wh.a", ""),
        (FILE, "d/b", "2"),
        (FILE, ".wh.d", ""),
    ];
    assert_eq!(tree(&[&[(FILE, "a", "1")], upper]), ["a=2", "d/", "d/b=2"]);
}

#[test]
fn links_are_resolved_below_the_root() {
    let layers: [&[Item<'_>]; 2] = [
        &[
            (FILE, "usr/lib/a", "1"),
            (LINK, "lib", "usr/lib"),
            (LINK, "usr/abs", "/usr/lib"),
            (LINK, "out", "../../../../escape"),
            (HARD, "hard", "usr/lib/a"),
        ],
        &[
            (FILE, "lib/b", "2"),
            (FILE, "usr/abs/c", "3"),
            (FILE, "out/d", "4"),
        ],
    ];
    let expected = [
        "escape/",
        "escape/d=4",
        "hard=1",
        "lib -> usr/lib",
        "out -> ../../../../escape",
        "usr/",
        "usr/abs -> ../usr/lib",
        "usr/lib/",
        "usr/lib/a=1",
        "usr/lib/b=2",
        "usr/lib/c=3",
    ];
    assert_eq!(tree(&layers), expected);
}

#[test]
fn absolute_name_is_below_the_root() {
    assert_eq!(
        tree(&[&[(FILE, "/etc/a", "1"), (FILE, "./b", "2")]]),
        ["b=2", "etc/", "etc/a=1"]
    );
}

#[test]
fn hostile_entry_is_refused() {
    let cases: [(&[Item<'_>], &str); 9] = [
        (&[(FILE, "../a", "1")], "leads out of the image"),
        (&[(FILE, "a/../../b", "1")], "leads out of the image"),
        (&[(EntryType::Char, "null", "")], "device"),
        (&[(EntryType::Block, "sda", "")], "device"),
        (&[(EntryType::Fifo, "pipe", "")], "device"),
        (&[(HARD, "a", "/etc/passwd")], "hard link to no file"),
        (&[(HARD, "a", "../../etc/passwd")], "leads out of the image"),
        (
            &[(LINK, "a", "b"), (LINK, "b", "a"), (FILE, "a/c", "1")],
            "circle",
        ),
        (
            &[(FILE, "a", "1"), (FILE, "a/b", "1")],
            "a file is in the place",
        ),
    ];
    for (items, expected) in cases {
        let text = refusal(&[items]);
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn file_over_a_symbolic_link_replaces_the_link() {
    let layers: [&[Item<'_>]; 2] = [
        &[(FILE, "target", "1"), (LINK, "a", "target")],
        &[(FILE, "a", "2")],
    ];
    assert_eq!(tree(&layers), ["a=2", "target=1"]);
}

#[test]
fn name_over_the_bound_is_refused_before_it_is_read() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(1 << 40);
    header.as_old_mut().name[0] = b'x';
    header.set_cksum();
    let (_dir, result) = unpacked(&[header.as_bytes().to_vec()]);
    let text = result.unwrap_err().to_string();
    assert!(text.contains("over 1 MiB"), "{text}");
}

#[test]
fn long_names_of_gnu_and_pax_are_read() {
    let name = format!("{}/{}", "d".repeat(120), "f".repeat(120));
    let mut gnu = Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    gnu.append_data(&mut header, &name, b"1".as_slice())
        .unwrap();
    let mut pax = Builder::new(Vec::new());
    pax.append_pax_extensions([("path", name.as_bytes())])
        .unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_path("short").unwrap();
    header.set_size(1);
    header.set_mode(0o644);
    header.set_cksum();
    pax.append(&header, b"1".as_slice()).unwrap();
    for layer in [gnu.into_inner().unwrap(), pax.into_inner().unwrap()] {
        let found = unpacked(&[layer]).1.unwrap();
        assert_eq!(found[1], format!("{name}=1"));
    }
}

#[test]
fn bomb_is_stopped_at_its_ratio_and_at_the_size_of_the_image() {
    let gzip = |megabytes: usize| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let mut header = tar::Header::new_gnu();
        header.set_path("zeros").unwrap();
        header.set_size((megabytes as u64) << 20);
        header.set_cksum();
        encoder.write_all(header.as_bytes()).unwrap();
        let zeros = vec![0; 1 << 20];
        for _ in 0..megabytes {
            encoder.write_all(&zeros).unwrap();
        }
        encoder.finish().unwrap()
    };
    let text = unpacked(&[gzip(100)]).1.unwrap_err().to_string();
    assert!(text.contains("200 times its size"), "{text}");
    let small = gzip(60);
    let layers = vec![small; 4];
    assert!(matches!(unpacked(&layers).1, Err(Error::TooLarge)));
}

#[test]
fn damaged_layer_is_refused() {
    let whole = tar(&[(FILE, "a", "some content")]);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&whole).unwrap();
    let gzip = gzip.finish().unwrap();
    for layer in [
        b"<html>not a tar at all".repeat(40),
        whole[..515].to_vec(),
        gzip[..gzip.len() - 12].to_vec(),
    ] {
        assert!(matches!(unpacked(&[layer]).1, Err(Error::Content(_))));
    }
}
