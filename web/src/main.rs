//! `vmscope-web`.

use clap::Parser;
use std::process::ExitCode;
use vmscope_web::cli::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
    vmscope_web::cli::main(Arguments::parse()).await
}
