//! Real guests: those that `packaging/dev/guests up` left running, and flocks of a test's own that it may harm.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/dev/guests")
}

/// Guests under a libvirtd that belongs to this value.
pub(crate) struct Guests {
    state: PathBuf,
    pub(crate) socket: PathBuf,
    uri: String,
    /// Of a test's own: the folder goes with the guests.
    own: Option<tempfile::TempDir>,
}

impl Guests {
    /// The guests that run for every test. They must not be harmed.
    pub(crate) fn shared() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.dev/guests.env");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let value = |key: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            let found = std::env::var(key).ok().or_else(|| line.map(str::to_owned));
            found.unwrap_or_else(|| panic!("no guests to test with; start them: packaging/dev/guests up 3"))
        };
        Self {
            state: value("VMSCOPE_TEST_GUESTS").into(),
            socket: value("VMSCOPE_TEST_LIBVIRT_SOCKET").into(),
            uri: value("VMSCOPE_TEST_LIBVIRT_URI"),
            own: None,
        }
    }

    /// `count` guests of the test's own, ended with this value.
    pub(crate) fn own(count: usize) -> Self {
        let folder = tempfile::Builder::new().prefix("guests").tempdir().unwrap();
        let state = folder.path().join("g");
        let socket = state.join("run/libvirt-sock-ro");
        let uri = format!("qemu+unix:///system?socket={}/run/libvirt-sock", state.display());
        let guests = Self {
            state,
            socket,
            uri,
            own: Some(folder),
        };
        guests.run(&["up", &count.to_string()]);
        guests
    }

    /// Runs the script on these guests.
    pub(crate) fn run(&self, arguments: &[&str]) {
        let status = Command::new(script())
            .args(arguments)
            .env("VMSCOPE_GUESTS", &self.state)
            .status();
        assert!(
            status.expect("packaging/dev/guests can be run").success(),
            "guests {arguments:?} failed"
        );
    }

    /// Sends `signal` to the QEMU of guest `number`.
    pub(crate) fn signal(&self, number: usize, signal: &str) {
        self.signal_to(&format!("run/qemu/vmscope-demo-{number}.pid"), signal);
    }

    /// Sends `signal` to libvirtd.
    pub(crate) fn signal_libvirtd(&self, signal: &str) {
        self.signal_to("libvirtd.pid", signal);
    }

    fn signal_to(&self, file: &str, signal: &str) {
        let file = self.state.join(file);
        let pid = std::fs::read_to_string(file).unwrap();
        let status = Command::new("kill").args([signal, pid.trim()]).status().unwrap();
        assert!(status.success());
    }

    /// What `virsh domstats` says: the fields of each domain, by name of the domain.
    pub(crate) fn domstats(&self) -> HashMap<String, HashMap<String, String>> {
        let output = Command::new("virsh")
            .args(["-q", "-c", &self.uri, "domstats", "--raw"])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut domains: HashMap<String, HashMap<String, String>> = HashMap::new();
        let mut current = String::new();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            if let Some(name) = line.strip_prefix("Domain: ") {
                name.trim_matches('\'').clone_into(&mut current);
            } else if let Some((key, value)) = line.trim().split_once('=') {
                domains
                    .entry(current.clone())
                    .or_default()
                    .insert(key.to_owned(), value.to_owned());
            }
        }
        domains
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        if self.own.is_some() {
            let _ = Command::new(script())
                .arg("down")
                .env("VMSCOPE_GUESTS", &self.state)
                .status();
        }
    }
}
