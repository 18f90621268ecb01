//! `vmscope`.

use clap::Parser;
use std::process::ExitCode;
use vmscope::cli::{self, Arguments};

#[tokio::main]
async fn main() -> ExitCode {
    cli::main(Arguments::parse()).await
}
