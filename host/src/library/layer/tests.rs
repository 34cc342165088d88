//! Merging, sharing and collection of layers.

use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bytes::Bytes;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::library::Used;

fn zip_of(files: &[(&str, &str)]) -> Bytes {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner().into()
}

async fn layer(library: &Library, files: &[(&str, &str)]) -> LayerPackage {
    let stored = library.received(zip_of(files)).await;
    library.check_in_layer(&stored).await.unwrap()
}

fn digests(layers: &[LayerPackage]) -> Vec<Digest> {
    layers.iter().map(|layer| layer.digest).collect()
}

fn requester() -> Requester {
    Requester::of_host("f")
}

async fn mounted(library: &Library, layers: &[LayerPackage]) -> PathBuf {
    let (tree, _) = library
        .opt_dir(digests(layers), &requester())
        .await
        .unwrap()
        .unwrap();
    tree
}

async fn collected(library: &Library, used: &[Digest]) -> usize {
    let mut named = Used::default();
    named.packages(used.iter().copied());
    let collection = library.begin_collection().await.unwrap();
    collection.finish(named).await.unwrap()
}

#[test]
fn merged_tree_name_depends_on_layer_order() {
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    assert_eq!(merged(&[]), None);
    assert_eq!(merged(&[a]), Some(a));
    assert_eq!(merged(&[a, b]), merged(&[a, b]));
    assert_ne!(merged(&[a, b]), merged(&[b, a]));
    assert_ne!(merged(&[a, b]), merged(&[a, b, b]));
}

#[tokio::test]
async fn merged_tree_is_created_once() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    let a = layer(&library, &[("x", "from a"), ("a/only", "12345")]).await;
    let b = layer(&library, &[("x", "from b"), ("b/only", "1")]).await;
    assert_eq!(a.unzipped_bytes, 11);
    let layers = vec![a.clone(), b.clone()];
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
    assert!(
        library
            .opt_dir(Vec::new(), &requester())
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn attached_layers_survive_deletion_of_records() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    let layers = vec![
        layer(&library, &[("x", "from a")]).await,
        layer(&library, &[("y", "from b")]).await,
    ];
    let unused = layer(&library, &[("z", "from c")]).await;
    // Attached, but in no record yet.
    let mut held = Vec::new();
    for digest in digests(&layers) {
        held.push(library.stored(digest).await.unwrap().unwrap());
    }
    let attached = library.attach(held, &requester()).await.unwrap();
    assert_eq!(collected(&library, &[]).await, 1, "the unused one");
    assert!(library.stored(unused.digest).await.unwrap().is_none());
    drop(attached);
    // In a function's record, and in no layer's any more.
    let kept = kept_for_layers(&digests(&layers));
    assert_eq!(collected(&library, &kept).await, 0);
    let tree = mounted(&library, &layers).await;
    assert_eq!(fs::read_to_string(tree.join("x")).unwrap(), "from a");
    // A lost tree is recreated.
    fs::remove_dir_all(&tree).unwrap();
    let tree = mounted(&library, &layers).await;
    assert_eq!(fs::read_to_string(tree.join("y")).unwrap(), "from b");
    // In no record.
    assert_eq!(collected(&library, &[]).await, 3);
    assert!(
        library
            .opt_dir(digests(&layers), &requester())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn layer_is_added_during_deletion_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::for_test(dir.path());
    let gone = layer(&library, &[("x", "1")]).await;
    library.0.holds.begin_collection();
    let doom = library.0.holds.doom(gone.digest).unwrap();
    // During the deletion of one tree, others are added.
    let other = layer(&library, &[("y", "2")]).await;
    assert!(library.stored(other.digest).await.unwrap().is_some());
    drop(doom);
    assert!(library.stored(gone.digest).await.unwrap().is_some());
}
