//! Master keys and the file that they are in: one a line, `id base64`, the first is the one that seals.
//!
//! The file is read whole and written whole (a temporary one beside it, renamed), and refused when others may read it.

use crate::Error;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;
use std::fs::{File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes of a key.
pub(crate) const KEY: usize = 32;
/// The largest file that is read.
const LARGEST_FILE: u64 = 64 << 10;
/// The longest id.
const LONGEST_ID: usize = 64;
/// Rights that nobody but the owner may have.
const OTHERS: u32 = 0o077;
/// The same for a credential: the service manager may give it to its service by an access list, which shows as a group's right.
const OTHERS_OF_CREDENTIAL: u32 = 0o007;
/// The head of a file that is made.
const HEAD: &str = "# Master keys of vmscope, one a line; the first one seals. Who has this file and the database can read all secrets.\n";

/// A master key.
#[derive(Clone)]
pub(crate) struct MasterKey {
    pub(crate) id: String,
    key: Arc<LessSafeKey>,
}

impl MasterKey {
    pub(crate) fn aead(&self) -> &LessSafeKey {
        &self.key
    }
}

/// The master keys of one moment. At least one.
#[derive(Clone)]
pub struct Keyring {
    keys: Vec<MasterKey>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

impl Keyring {
    /// Reads a key file.
    ///
    /// # Errors
    /// When it can't be read, when others may read it, or when it is not one key a line.
    pub fn load(path: &Path) -> Result<Self, Error> {
        Self::parse(path, &read(path)?)
    }

    /// Makes a key and puts it first into the file, which is made (mode 0600) unless it is there; gives the key's id.
    ///
    /// # Errors
    /// When the file can't be read or written, or is no key file.
    pub fn generate_into(path: &Path) -> Result<String, Error> {
        let _lock = lock(path)?;
        let text = if path.exists() {
            let text = read(path)?;
            // A file without a key is as good as none; one with something else in it is not to be touched.
            match Self::parse(path, &text) {
                Ok(_) | Err(Error::NoKeys { .. }) => text,
                Err(error) => return Err(error),
            }
        } else {
            Zeroizing::new(HEAD.to_owned())
        };
        let mut random = Zeroizing::new([0; KEY + 4]);
        SystemRandom::new()
            .fill(&mut *random)
            .map_err(|_| Error::Random)?;
        let (key, id) = random.split_at(KEY);
        let id = id
            .iter()
            .fold(String::new(), |id, byte| format!("{id}{byte:02x}"));
        let encoded = Zeroizing::new(STANDARD.encode(key));
        let (comments, keys) = split(&text);
        let new = Zeroizing::new(format!("{comments}{id} {}\n{keys}", *encoded));
        write(path, &new)?;
        Ok(id)
    }

    /// Removes a key from the file. Retire it in the database first: nothing may be sealed under it.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::ActiveKey`] for the first key, or the file's failures.
    pub fn remove_from(path: &Path, id: &str) -> Result<(), Error> {
        let _lock = lock(path)?;
        let text = read(path)?;
        let ring = Self::parse(path, &text)?;
        if ring.active().id == id {
            return Err(Error::ActiveKey { id: id.to_owned() });
        }
        if ring.get(id).is_none() {
            return Err(Error::NoSuchKey {
                path: path.to_owned(),
                id: id.to_owned(),
            });
        }
        let is_it = |line: &&str| line.split_whitespace().next() == Some(id);
        let rest: String = text
            .lines()
            .filter(|line| !is_it(line))
            .fold(String::with_capacity(text.len()), |text, line| text + line + "\n");
        write(path, &Zeroizing::new(rest))
    }

    /// The ids of the keys, the one that seals first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// The key that seals.
    pub(crate) fn active(&self) -> &MasterKey {
        // Unwrap safety: `parse` refuses a file without a key, and nothing else makes a ring.
        &self.keys[0]
    }

    /// The key of this id.
    pub(crate) fn get(&self, id: &str) -> Option<&MasterKey> {
        self.keys.iter().find(|key| key.id == id)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let mut keys: Vec<MasterKey> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = parse_line(line).and_then(|key| {
                let known = keys.iter().any(|other| other.id == key.id);
                if known {
                    Err("there is another key with this id")
                } else {
                    Ok(key)
                }
            });
            keys.push(key.map_err(|problem| Error::KeyFileLine {
                path: path.to_owned(),
                line: index + 1,
                problem,
            })?);
        }
        if keys.is_empty() {
            return Err(Error::NoKeys {
                path: path.to_owned(),
            });
        }
        Ok(Self { keys })
    }
}

fn parse_line(line: &str) -> Result<MasterKey, &'static str> {
    let mut words = line.split_whitespace();
    let (Some(id), Some(encoded), None) = (words.next(), words.next(), words.next()) else {
        return Err("not an id and a key in base64");
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if id.len() > LONGEST_ID || !id.chars().all(plain) {
        return Err("an id has at most 64 letters, digits, - and _");
    }
    let bytes = STANDARD
        .decode(encoded)
        .map(Zeroizing::new)
        .map_err(|_| "the key is no base64")?;
    let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| "the key has not 32 bytes")?;
    Ok(MasterKey {
        id: id.to_owned(),
        key: Arc::new(LessSafeKey::new(key)),
    })
}

/// The comments at the beginning, and the rest.
fn split(text: &str) -> (&str, &str) {
    let mut end = 0;
    for line in text
        .split_inclusive('\n')
        .take_while(|line| line.starts_with('#'))
    {
        end += line.len();
    }
    text.split_at(end)
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::KeyFile {
        operation,
        path,
        source,
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, Error> {
    let file = File::open(path).map_err(failed("open", path))?;
    let mode = file
        .metadata()
        .map_err(failed("look at", path))?
        .permissions()
        .mode()
        & 0o7777;
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    let others = if credentials.is_some_and(|directory| path.starts_with(directory)) {
        OTHERS_OF_CREDENTIAL
    } else {
        OTHERS
    };
    if mode & others != 0 {
        return Err(Error::KeyFileMode {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LARGEST_FILE)
        .read_to_string(&mut text)
        .map_err(failed("read", path))?;
    Ok(text)
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Keeps others from changing the file meanwhile: a key that one of two writers loses may have sealed something by then. The file
/// itself is replaced and can't hold the lock; its directory can.
fn lock(path: &Path) -> Result<File, Error> {
    let directory = File::open(directory(path)).map_err(failed("open the directory of", path))?;
    directory.lock().map_err(failed("lock the directory of", path))?;
    Ok(directory)
}

/// Writes a whole file or nothing.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    let directory = directory(path);
    let replace = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.as_file().set_permissions(Permissions::from_mode(0o600))?;
        keep_owner(path, file.as_file())?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|failed| failed.error)?;
        File::open(directory)?.sync_all()
    };
    replace().map_err(failed("write", path))
}

/// Who owned the file owns its successor: root may change the file of a service's user.
fn keep_owner(path: &Path, successor: &File) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let Ok(old) = std::fs::metadata(path) else {
        return Ok(());
    };
    let new = successor.metadata()?;
    if (old.uid(), old.gid()) == (new.uid(), new.gid()) {
        return Ok(());
    }
    fchown(successor, Some(old.uid()), Some(old.gid()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    fn ids(path: &Path) -> Vec<String> {
        let ring = Keyring::load(path).expect("a key file");
        ring.ids().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn a_new_key_is_first_and_the_file_is_for_its_owner_alone() {
        let folder = folder();
        let path = folder.path().join("master-keys");
        let first = Keyring::generate_into(&path).expect("made");
        let second = Keyring::generate_into(&path).expect("made");
        assert_eq!(ids(&path), [second.clone(), first.clone()]);
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(
            Keyring::remove_from(&path, &second),
            Err(Error::ActiveKey { .. })
        ));
        Keyring::remove_from(&path, &first).expect("removed");
        assert_eq!(ids(&path), [second]);
        assert!(matches!(
            Keyring::remove_from(&path, &first),
            Err(Error::NoSuchKey { .. })
        ));
    }

    #[test]
    fn of_keys_that_are_made_at_the_same_time_none_is_lost() {
        let folder = folder();
        let path = folder.path().join("master-keys");
        let make = || Keyring::generate_into(&path).expect("made");
        let mut made: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("made"))
                .collect()
        });
        let mut kept = ids(&path);
        made.sort();
        kept.sort();
        assert_eq!(kept, made);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = folder();
        let path = folder.path().join("master-keys");
        Keyring::generate_into(&path).expect("made");
        for mode in [0o640, 0o604, 0o620, 0o777] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("changed");
            let refused = Keyring::load(&path).expect_err("others may read it");
            assert!(matches!(refused, Error::KeyFileMode { .. }), "{refused}");
            assert!(Keyring::generate_into(&path).is_err());
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o400)).expect("changed");
        assert!(Keyring::load(&path).is_ok());
    }

    #[test]
    fn a_line_that_is_no_key_is_named_and_not_quoted() {
        let folder = folder();
        let path = folder.path().join("master-keys");
        let id = Keyring::generate_into(&path).expect("made");
        let good = std::fs::read_to_string(&path).expect("read");
        for bad in [
            "abc",
            "abc !!!",
            "abc c2hvcnQ=",
            "a/b AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            &format!("{id} AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ] {
            write(&path, &format!("{good}{bad}\n")).expect("written");
            let error = Keyring::load(&path).expect_err("no key").to_string();
            assert!(error.contains("master-keys:3: "), "{error}");
            assert!(!error.contains(bad), "{error}");
            assert!(
                Keyring::generate_into(&path).is_err(),
                "what is no key file is not changed"
            );
        }
        write(&path, HEAD).expect("written");
        assert!(matches!(Keyring::load(&path), Err(Error::NoKeys { .. })));
    }

    #[test]
    fn keys_do_not_show_in_debug_output() {
        let folder = folder();
        let path = folder.path().join("master-keys");
        let id = Keyring::generate_into(&path).expect("made");
        let ring = Keyring::load(&path).expect("a key file");
        assert_eq!(format!("{ring:?}"), format!("[{id:?}]"));
    }
}
