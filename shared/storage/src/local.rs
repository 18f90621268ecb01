//! A directory of this machine.
//!
//! What is being written is `.NAME.part` beside the place of the file; the commit makes it safe on disk and renames it. The
//! group of the directory may read files, whatever the mask of the program, so that one program writes and another one reads.

use crate::{Error, Key, Stored};
use bytes::Bytes;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// Who may read files: their owner, and the group of the directory.
const FILE_MODE: u32 = 0o640;

const DIRECTORY_MODE: u32 = 0o750;

/// A directory with files.
#[derive(Debug, Clone)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.0.join(key.as_str())
    }

    pub(crate) async fn create(&self, key: &Key) -> Result<Writing, Error> {
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.0).to_owned();
        if !fs::try_exists(&folder).await.map_err(failed("read", &folder))? {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(DIRECTORY_MODE);
            builder.create(&folder).await.map_err(failed("made", &folder))?;
        }
        let part = part_of(&path);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(FILE_MODE);
        let file = options.open(&part).await.map_err(failed("made", &part))?;
        let guard = Part(Some(part.clone()));
        file.set_permissions(Permissions::from_mode(FILE_MODE))
            .await
            .map_err(failed("opened to its group", &part))?;
        Ok(Writing {
            file,
            path,
            folder,
            part: guard,
            size_bytes: 0,
        })
    }

    pub(crate) async fn open(&self, key: &Key) -> Result<Option<Reading>, Error> {
        let path = self.path(key);
        let file = match File::open(&path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed("read", &path))?,
        };
        let size_bytes = file.metadata().await.map_err(failed("read", &path))?.len();
        Ok(Some(Reading {
            file,
            path,
            size_bytes,
        }))
    }

    pub(crate) async fn delete(&self, key: &Key) -> Result<(), Error> {
        let path = self.path(key);
        for path in [part_of(&path), path] {
            match fs::remove_file(&path).await {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(failed("removed", &path))?,
            }
        }
        Ok(())
    }

    pub(crate) async fn list(&self, folder: &str) -> Result<Vec<Stored>, Error> {
        let path = self.0.join(folder);
        let mut entries = match fs::read_dir(&path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed("read", &path))?,
        };
        let mut found = Vec::new();
        while let Some(entry) = entries.next_entry().await.map_err(failed("read", &path))? {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let part = name.strip_prefix('.').and_then(|name| name.strip_suffix(".part"));
            let Ok(key) = format!("{folder}/{}", part.unwrap_or(&name)).parse() else {
                continue;
            };
            // Somebody else may have removed it meanwhile.
            let Some(metadata) = entry.metadata().await.ok().filter(std::fs::Metadata::is_file) else {
                continue;
            };
            found.push(Stored {
                key,
                size_bytes: metadata.len(),
                is_whole: part.is_none(),
            });
        }
        Ok(found)
    }
}

/// Where the file at `path` is while it is written.
fn part_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.part"))
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File {
        operation,
        path,
        source,
    }
}

/// Removes what was begun, unless it was committed.
#[derive(Debug)]
struct Part(Option<PathBuf>);

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // What can't be removed now is listed as a part and removed later.
            let _ = std::fs::remove_file(path);
        }
    }
}

#[derive(Debug)]
pub(crate) struct Writing {
    file: File,
    path: PathBuf,
    folder: PathBuf,
    part: Part,
    size_bytes: u64,
}

impl Writing {
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file
            .write_all(bytes)
            .await
            .map_err(failed("written", &self.path))?;
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    pub(crate) async fn commit(mut self) -> Result<u64, Error> {
        // A disk that is full may say so as late as here.
        self.file.flush().await.map_err(failed("written", &self.path))?;
        self.file
            .sync_all()
            .await
            .map_err(failed("made safe", &self.path))?;
        if let Some(part) = &self.part.0 {
            fs::rename(part, &self.path)
                .await
                .map_err(failed("put in its place", &self.path))?;
        }
        self.part.0 = None;
        let folder = File::open(&self.folder)
            .await
            .map_err(failed("read", &self.folder))?;
        folder
            .sync_all()
            .await
            .map_err(failed("made safe", &self.folder))?;
        Ok(self.size_bytes)
    }
}

#[derive(Debug)]
pub(crate) struct Reading {
    file: File,
    path: PathBuf,
    size_bytes: u64,
}

impl Reading {
    pub(crate) const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let mut chunk = vec![0; CHUNK];
        let length = self
            .file
            .read(&mut chunk)
            .await
            .map_err(failed("read", &self.path))?;
        chunk.truncate(length);
        Ok((length > 0).then(|| chunk.into()))
    }
}
