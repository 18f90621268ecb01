//! Rows out of the database in its binary COPY format, one after the other: a row costs no more memory than itself.

use crate::Error;
use crate::binary::{POSTGRES_EPOCH_US, SIGNATURE};
use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use std::pin::Pin;
use tokio_postgres::{CopyOutStream, Transaction};

/// The rows that a query answers.
pub(super) struct Rows {
    stream: Pin<Box<CopyOutStream>>,
    begun: bool,
}

/// A row.
pub(super) struct Row(Bytes);

/// What is left of a row's fields.
pub(super) struct Fields<'a>(&'a [u8]);

const READ: &str = "read_samples";

fn unreadable<E>(_: E) -> Error {
    Error::Unreadable { operation: READ }
}

impl Rows {
    /// Asks `query`.
    pub(super) async fn of(transaction: &Transaction<'_>, query: &str) -> Result<Self, Error> {
        let statement = format!("-- {READ}\nCOPY ({query}) TO STDOUT (FORMAT binary)");
        let stream = transaction
            .copy_out(&statement)
            .await
            .map_err(Error::statement(READ))?;
        Ok(Self {
            stream: Box::pin(stream),
            begun: false,
        })
    }

    /// The next row; `None` behind the last.
    pub(super) async fn next(&mut self) -> Result<Option<Row>, Error> {
        // The server sends a message a row, the header with the first and the trailer by itself.
        while let Some(message) = self.stream.next().await {
            let mut message = message.map_err(Error::statement(READ))?;
            if !self.begun {
                let header = message.split_to(message.len().min(SIGNATURE.len()));
                if header != SIGNATURE {
                    return Err(unreadable(()));
                }
                message.try_get_u32().map_err(unreadable)?;
                let extension = message.try_get_u32().map_err(unreadable)? as usize;
                if extension > message.len() {
                    return Err(unreadable(()));
                }
                message.advance(extension);
                self.begun = true;
            }
            if message.is_empty() || message.try_get_i16().map_err(unreadable)? < 0 {
                continue;
            }
            return Ok(Some(Row(message)));
        }
        Ok(None)
    }
}

impl Row {
    pub(super) fn fields(&self) -> Fields<'_> {
        Fields(&self.0)
    }
}

impl<'a> Fields<'a> {
    /// The next field's bytes; `None` for null.
    fn next(&mut self) -> Result<Option<&'a [u8]>, Error> {
        let length = self.0.try_get_i32().map_err(unreadable)?;
        let Ok(length) = usize::try_from(length) else {
            return Ok(None);
        };
        let (field, rest) = self.0.split_at_checked(length).ok_or_else(|| unreadable(()))?;
        self.0 = rest;
        Ok(Some(field))
    }

    fn field<T, E>(&mut self, get: impl FnOnce(&mut &'a [u8]) -> Result<T, E>) -> Result<Option<T>, Error> {
        let Some(mut bytes) = self.next()? else {
            return Ok(None);
        };
        let value = get(&mut bytes).map_err(unreadable)?;
        if bytes.is_empty() {
            Ok(Some(value))
        } else {
            Err(unreadable(()))
        }
    }

    /// A `timestamptz`, in microseconds since the Unix epoch.
    pub(super) fn time_us(&mut self) -> Result<i64, Error> {
        let time = self.bigint()?.ok_or_else(|| unreadable(()))?;
        Ok(time.saturating_add(POSTGRES_EPOCH_US))
    }

    /// An `integer` that is not null.
    pub(super) fn integer(&mut self) -> Result<i32, Error> {
        self.field(Buf::try_get_i32)?.ok_or_else(|| unreadable(()))
    }

    pub(super) fn bigint(&mut self) -> Result<Option<i64>, Error> {
        self.field(Buf::try_get_i64)
    }

    pub(super) fn smallint(&mut self) -> Result<Option<i16>, Error> {
        self.field(Buf::try_get_i16)
    }

    pub(super) fn real(&mut self) -> Result<Option<f64>, Error> {
        Ok(self.field(Buf::try_get_f32)?.map(f64::from))
    }

    /// An array of one dimension without nulls, each element read by `get`; null and an empty one are the same.
    pub(super) fn array<T, E>(
        &mut self,
        get: impl Fn(&mut &'a [u8]) -> Result<T, E>,
    ) -> Result<Vec<T>, Error> {
        let Some(mut bytes) = self.next()? else {
            return Ok(Vec::new());
        };
        let dimensions = bytes.try_get_i32().map_err(unreadable)?;
        // Whether there are nulls, and the type of the elements.
        bytes.try_get_u64().map_err(unreadable)?;
        if dimensions == 0 {
            return Ok(Vec::new());
        }
        let length = bytes.try_get_u32().map_err(unreadable)?;
        bytes.try_get_u32().map_err(unreadable)?;
        (0..length)
            .map(|_| {
                bytes.try_get_u32().map_err(unreadable)?;
                get(&mut bytes).map_err(unreadable)
            })
            .collect()
    }
}
