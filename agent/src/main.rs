//! `vmscope-agent`: samples this host and its VMs and delivers the samples to a collector.
use clap::Parser;
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    vmscope_agent::cli::main(vmscope_agent::cli::Command::parse()).await
}
