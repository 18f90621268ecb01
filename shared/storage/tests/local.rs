//! A directory as a place for files.

#![expect(clippy::unwrap_used, reason = "a test stops at what fails")]

use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;
use vmscope_storage::{Config, Error, Key, Storage, Stored};

fn place() -> (TempDir, Storage) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        dir: Some(folder.path().join("files")),
    };
    let storage = Storage::find(&config).unwrap();
    (folder, storage)
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

async fn read(storage: &Storage, key: &Key) -> Option<Vec<u8>> {
    let mut download = storage.open(key).await.unwrap()?;
    let mut bytes = Vec::new();
    while let Some(more) = download.next().await.unwrap() {
        bytes.extend(more);
    }
    assert_eq!(download.size_bytes(), bytes.len() as u64);
    Some(bytes)
}

#[tokio::test]
async fn a_file_is_there_whole_or_not_at_all() {
    let (_folder, storage) = place();
    let key = key("exports/a-1.csv");
    assert_eq!(storage.list("exports").await.unwrap(), []);
    let mut upload = storage.create(&key).await.unwrap();
    let text = b"0123456789".repeat(20_000);
    upload.write(&text[..7]).await.unwrap();
    upload.write(&text[7..]).await.unwrap();
    assert_eq!(read(&storage, &key).await, None);
    let parts: Vec<(Key, bool)> = storage
        .list("exports")
        .await
        .unwrap()
        .into_iter()
        .map(|stored| (stored.key, stored.is_whole))
        .collect();
    assert_eq!(parts, [(key.clone(), false)]);
    assert_eq!(upload.commit().await.unwrap(), 200_000);
    assert_eq!(read(&storage, &key).await.as_deref(), Some(&*text));
    let whole = Stored {
        key: key.clone(),
        size_bytes: 200_000,
        is_whole: true,
    };
    assert_eq!(storage.list("exports").await.unwrap(), [whole]);
    storage.delete(&key).await.unwrap();
    storage.delete(&key).await.unwrap();
    assert_eq!(read(&storage, &key).await, None);
}

#[tokio::test]
async fn what_is_given_up_leaves_nothing_behind() {
    let (_folder, storage) = place();
    let key = key("exports/a-1.csv");
    let mut upload = storage.create(&key).await.unwrap();
    upload.write(b"half").await.unwrap();
    drop(upload);
    assert_eq!(storage.list("exports").await.unwrap(), []);
    assert_eq!(read(&storage, &key).await, None);
}

#[tokio::test]
async fn what_a_program_that_died_left_behind_is_removed_under_its_key() {
    let (folder, storage) = place();
    let key = key("exports/a-1.csv");
    let upload = storage.create(&key).await.unwrap();
    std::mem::forget(upload);
    std::fs::write(folder.path().join("files/exports/Not one of ours"), "x").unwrap();
    let left = storage.list("exports").await.unwrap();
    assert_eq!(left.len(), 1);
    storage.delete(&left[0].key).await.unwrap();
    assert_eq!(storage.list("exports").await.unwrap(), []);
}

#[tokio::test]
async fn the_group_may_read_files_and_nobody_else() {
    let (folder, storage) = place();
    let upload = storage.create(&key("exports/a-1.csv")).await.unwrap();
    upload.commit().await.unwrap();
    let metadata = std::fs::metadata(folder.path().join("files/exports/a-1.csv")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_full_disk_is_told_apart() {
    let error = |code| Error::File {
        operation: "written",
        path: "x".into(),
        source: std::io::Error::from_raw_os_error(code),
    };
    // ENOSPC, EDQUOT; EACCES.
    assert!(error(28).is_full() && error(122).is_full());
    assert!(!error(13).is_full());
}

#[tokio::test]
async fn a_place_that_is_no_directory_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let storage = Storage::find(&Config { dir: Some(file) }).unwrap();
    let refused = storage.create(&key("exports/a-1.csv")).await.unwrap_err();
    assert!(refused.to_string().contains("file"), "{refused}");
    assert!(Storage::find(&Config::default()).is_none());
}
