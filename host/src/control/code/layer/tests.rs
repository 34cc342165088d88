use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::control::code::Used;

fn zip_of(files: &[(&str, &str)]) -> Bytes {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner().into()
}

async fn layer(library: &Library, name: &str, files: &[(&str, &str)]) -> LayerUse {
    let arrival = library.check_in_layer(zip_of(files)).await.unwrap();
    let arn = format!("arn:aws:lambda:us-east-1:123456789012:layer:{name}:1");
    LayerUse {
        arn: LayerVersionArn::parse(&arn).unwrap(),
        package: arrival.package,
        signed: None,
    }
}

async fn mounted(library: &Library, layers: &[LayerUse]) -> PathBuf {
    let packages = LayerUse::packages(layers);
    library.opt_dir(packages).await.unwrap().unwrap()
}

fn collected(library: &Library, used: &[Digest]) -> usize {
    let mut named = Used::default();
    named.packages(used.iter().copied());
    library.begin_collection().unwrap().finish(&named).unwrap()
}

#[test]
fn a_merged_tree_is_named_by_its_layers_in_order() {
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    assert_eq!(merged(&[]), None);
    assert_eq!(merged(&[a]), Some(a));
    assert_eq!(merged(&[a, b]), merged(&[a, b]));
    assert_ne!(merged(&[a, b]), merged(&[b, a]));
    assert_ne!(merged(&[a, b]), merged(&[a, b, b]));
}

#[tokio::test]
async fn layers_become_one_tree_that_is_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    let a = layer(&library, "a", &[("x", "from a"), ("a/only", "12345")]).await;
    let b = layer(&library, "b", &[("x", "from b"), ("b/only", "1")]).await;
    assert_eq!(a.package.unzipped_bytes, 11);
    let layers = vec![a.clone(), b.clone()];
    let attached = library.attach(layers.clone(), Vec::new()).await.unwrap();
    assert_eq!(attached.layers, layers);
    let tree = mounted(&library, &layers).await;
    let read = |path: &str| fs::read_to_string(tree.join(path)).unwrap();
    assert_eq!(
        [read("x"), read("a/only"), read("b/only")],
        ["from b", "12345", "1"]
    );
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let alone = mounted(&library, std::slice::from_ref(&a)).await;
    assert_eq!(
        inode(&alone.join("a/only")),
        inode(&tree.join("a/only")),
        "no byte is on the disk twice"
    );
    let made = inode(&tree);
    assert_eq!(inode(&mounted(&library, &layers).await), made);
    let other = mounted(&library, &[b, a]).await;
    assert_eq!(fs::read_to_string(other.join("x")).unwrap(), "from a");
    assert_eq!(library.opt_dir(Vec::new()).await.unwrap(), None);
}

#[tokio::test]
async fn what_a_function_keeps_outlives_its_layers() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    let layers = vec![
        layer(&library, "a", &[("x", "from a")]).await,
        layer(&library, "b", &[("y", "from b")]).await,
    ];
    let unused = layer(&library, "c", &[("z", "from c")]).await;
    // Attached, and not yet in any record.
    let attached = library.attach(layers.clone(), Vec::new()).await.unwrap();
    let held: Vec<Hold> = LayerUse::packages(&layers)
        .into_iter()
        .filter_map(|package| library.hold(package))
        .collect();
    assert_eq!(collected(&library, &[]), 1, "the unused one");
    assert!(library.hold(unused.package.digest).is_none());
    drop((attached, held));
    // In a function's record, and in no layer's any more.
    assert_eq!(collected(&library, &LayerUse::kept(&layers)), 0);
    let tree = mounted(&library, &layers).await;
    assert_eq!(fs::read_to_string(tree.join("x")).unwrap(), "from a");
    // A tree that is lost is made again.
    fs::remove_dir_all(&tree).unwrap();
    let tree = mounted(&library, &layers).await;
    assert_eq!(fs::read_to_string(tree.join("y")).unwrap(), "from b");
    // In no record at all.
    assert_eq!(collected(&library, &[]), 3);
    assert!(library.opt_dir(LayerUse::packages(&layers)).await.is_err());
}
