//! Appends to a buffer as fast as it can and says each position once it is durable, until it is killed.
//! The test of `kill -9` runs it.

use std::io::Write;
use std::path::PathBuf;
use vmscope_agent::buffer::{Buffer, Config};
use vmscope_model::{Entity, Kind, Record, Table, Tick, Value};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let folder = PathBuf::from(
        std::env::args_os()
            .nth(1)
            .ok_or_else(|| anyhow::anyhow!("usage: append FOLDER"))?,
    );
    let (buffer, _) = Buffer::open(&folder, &Config::default())?;
    let mut out = std::io::stdout();
    for number in 1.. {
        let mut table = Table::new(Kind::Host);
        table.push(0).fill(Value::new(number));
        let tick = Tick {
            time_us: number * 1_000_000,
            tables: vec![table],
            ..Tick::default()
        };
        let position = buffer
            .append(Record {
                dictionary: vec![Entity::Host],
                tick,
            })
            .await?;
        writeln!(out, "{} {}.", position.epoch, position.sequence)?;
    }
    Ok(())
}
