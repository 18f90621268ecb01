//! Files of `/proc` that are read again and again.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Bytes by which the buffer grows when a file doesn't fit.
const STEP_BYTES: usize = 16 * 1024;
/// The longest file that is read, in bytes: beyond it something else than a counter file is there.
const MAX_FILE_BYTES: usize = 16 * 1024 * 1024;

/// A file whose descriptor is kept, because opening one costs more than reading it.
///
/// A file that can't be read is named once in the log, and once more when it can again; meanwhile it is tried each time.
#[derive(Debug)]
pub(crate) struct KeptFile {
    path: PathBuf,
    file: Option<File>,
    is_missing: bool,
}

impl KeptFile {
    /// Nothing is opened before the first read.
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            is_missing: false,
        }
    }

    /// The whole content, in `buffer`; `None` if it can't be read now.
    pub(crate) fn read<'b>(&mut self, buffer: &'b mut Vec<u8>) -> Option<&'b [u8]> {
        match self.try_read(buffer) {
            Ok(length) => {
                if std::mem::take(&mut self.is_missing) {
                    tracing::info!(file = %self.path.display(), "host file can be read again");
                }
                Some(&buffer[..length])
            }
            Err(error) => {
                self.file = None;
                if !std::mem::replace(&mut self.is_missing, true) {
                    let file = self.path.display();
                    tracing::warn!(%file, %error, "host file can't be read, its metrics stay absent");
                }
                None
            }
        }
    }

    fn try_read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.path)?),
        };
        let mut length = 0;
        loop {
            if length == buffer.len() {
                if length >= MAX_FILE_BYTES {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                buffer.resize(length + STEP_BYTES, 0);
            }
            match file.read_at(&mut buffer[length..], length as u64) {
                Ok(0) => return Ok(length),
                Ok(got) => length += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
