//! The fault tests' oracle: what the buffer says it took, in a file beside it.
//!
//! One line `begin EPOCH SEQUENCE TIME_US host=1 vm=20 ...` (rows by kind) goes out before an append and one line
//! `took EPOCH SEQUENCE` after the record is durable. One that was begun and never taken may or may not have been kept; one that
//! was taken was. Lines are written by one unbuffered
//! `write` each to a file opened for appending, so that they survive `kill -9` of the agent (not of the system).

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use vmscope_model::{Position, Record};

pub(super) struct Account {
    file: File,
}

impl Account {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: OpenOptions::new().create(true).append(true).open(path)?,
        })
    }

    pub(super) fn begin(&self, position: Position, record: &Record) {
        let mut line = format!(
            "begin {} {} {}",
            position.epoch, position.sequence, record.tick.time_us
        );
        for table in &record.tick.tables {
            // Writing to a string does not fail.
            let _ = write!(line, " {}={}", table.kind.name(), table.entities.len());
        }
        line.push('\n');
        self.write(&line);
    }

    pub(super) fn took(&self, position: Position) {
        self.write(&format!("took {} {}\n", position.epoch, position.sequence));
    }

    fn write(&self, line: &str) {
        if let Err(error) = (&self.file).write_all(line.as_bytes()) {
            tracing::error!(%error, "the buffer's account can't be written: fault tests can't trust it");
        }
    }
}
