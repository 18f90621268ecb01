//! The certificate that browsers see: the configured one, or a self-signed one where others could listen.
//!
//! A configured certificate is read again when its file or its key's changes; open connections go on. One that can't be read leaves the
//! one before in use, and the log says why.

use crate::config::Config;
use axum_server::tls_rustls::RustlsConfig;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use vmscope_link::SelfSigned;
use vmscope_service::Lifecycle;
use vmscope_service::periodic::{self, Activity, Status};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);
/// The self-signed certificate in the state directory.
const CERTIFICATE_FILE: &str = "self-signed.pem";
/// Its key.
const KEY_FILE: &str = "self-signed.key";

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configured one can't be used.
    #[error("certificate {certificate} with key {key} can't be used", certificate = certificate.display(), key = key.display())]
    Read {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        #[source]
        source: io::Error,
    },
    /// A self-signed one can't be made.
    #[error("a self-signed certificate can't be kept in {folder}; set [tls] certificate and key, or state_dir", folder = folder.display())]
    Make {
        /// Where.
        folder: PathBuf,
        /// What is wrong.
        #[source]
        source: io::Error,
    },
}

/// A certificate's two files.
#[derive(Debug, Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// What to serve with: nothing on loopback without a configured certificate. Follows the files for as long as `lifecycle`.
///
/// # Errors
/// When the certificate can't be read or made.
pub(crate) async fn prepare(config: &Config, lifecycle: &Lifecycle) -> Result<Option<RustlsConfig>, Error> {
    let files = match &config.tls {
        Some(tls) => Files {
            certificate: tls.certificate.clone(),
            key: tls.key.clone(),
        },
        None if config.listen.ip().is_loopback() => return Ok(None),
        None => self_signed(&config.state_dir, config.listen.ip())?,
    };
    let served = files.read().await?;
    let follower = Follower {
        seen: files.stamp().into(),
        files,
        served: served.clone(),
    };
    periodic::spawn(lifecycle, follower, LOOK);
    Ok(Some(served))
}

impl Files {
    async fn read(&self) -> Result<RustlsConfig, Error> {
        RustlsConfig::from_pem_file(&self.certificate, &self.key)
            .await
            .map_err(|source| Error::Read {
                certificate: self.certificate.clone(),
                key: self.key.clone(),
                source,
            })
    }

    /// What tells one state of the two files from another.
    fn stamp(&self) -> [Option<(u64, i64, i64)>; 2] {
        [&self.certificate, &self.key].map(|path| {
            let data = std::fs::metadata(path).ok()?;
            Some((data.ino(), data.mtime(), data.mtime_nsec()))
        })
    }
}

/// The self-signed certificate in `folder`, made at the first start.
fn self_signed(folder: &Path, address: IpAddr) -> Result<Files, Error> {
    let files = Files {
        certificate: folder.join(CERTIFICATE_FILE),
        key: folder.join(KEY_FILE),
    };
    if files.certificate.exists() && files.key.exists() {
        return Ok(files);
    }
    let make = || -> io::Result<()> {
        let made = SelfSigned::new(names(address)).map_err(io::Error::other)?;
        std::fs::create_dir_all(folder)?;
        write(&files.key, &made.key_pem, 0o600)?;
        write(&files.certificate, &made.certificate_pem, 0o644)
    };
    make().map_err(|source| Error::Make {
        folder: folder.to_owned(),
        source,
    })?;
    tracing::warn!(
        certificate.path = %files.certificate.display(),
        "made a self-signed certificate, which browsers warn of: set [tls] certificate and key"
    );
    Ok(files)
}

/// What this machine may be called.
fn names(address: IpAddr) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    names.extend(Some(host.trim().to_owned()).filter(|host| !host.is_empty() && host != "(none)"));
    if !address.is_unspecified() {
        names.push(address.to_string());
    }
    names
}

fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()
}

/// Serves with what the files hold now.
struct Follower {
    files: Files,
    served: RustlsConfig,
    seen: std::sync::Mutex<[Option<(u64, i64, i64)>; 2]>,
}

impl Activity for Follower {
    fn name(&self) -> &'static str {
        "tls_certificate"
    }

    async fn activate(&self) -> Status {
        let now = self.files.stamp();
        let seen = std::mem::replace(
            &mut *self
                .seen
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
            now,
        );
        if now == seen {
            return Status::Done("unchanged".to_owned());
        }
        let (certificate, key) = (&self.files.certificate, &self.files.key);
        match self.served.reload_from_pem_file(certificate, key).await {
            Ok(()) => {
                tracing::info!(certificate.path = %certificate.display(), "serving with the new certificate");
                Status::Done("read again".to_owned())
            }
            Err(error) => Status::Failed(format!(
                "{}: {error}; the one before stays in use",
                certificate.display()
            )),
        }
    }
}
