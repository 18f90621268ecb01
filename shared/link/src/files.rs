//! Small files that are whole or not there.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Certificates: for everybody.
pub(crate) const PUBLIC_MODE: u32 = 0o644;
/// Keys: for their owner.
pub(crate) const PRIVATE_MODE: u32 = 0o600;

/// What happens to a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replace {
    Existing,
    /// The write fails with [`io::ErrorKind::AlreadyExists`].
    Never,
}

/// Writes a whole file or nothing: a temporary one beside it, synced and renamed.
pub(crate) fn write(path: &Path, text: &str, mode: u32, replace: Replace) -> io::Result<()> {
    let directory = parent(path);
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    match replace {
        Replace::Existing => file.persist(path),
        Replace::Never => file.persist_noclobber(path),
    }
    .map_err(|failed| failed.error)?;
    File::open(directory)?.sync_all()
}

/// Moves a file over another one of the same directory, for good.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    File::open(parent(to))?.sync_all()
}

/// The name of what will take the place of `path`: the same with `.next` behind it.
pub(crate) fn next(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
