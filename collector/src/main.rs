//! `vmscope-collector`.

use clap::Parser;
use std::process::ExitCode;
use vmscope_collector::cli::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
    vmscope_collector::cli::main(Arguments::parse()).await
}
