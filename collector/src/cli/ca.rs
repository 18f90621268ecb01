//! `vmscope-collector ca`: the authority and certificates made by hand.

use super::print;
use anyhow::Context;
use clap::Subcommand;
use std::path::PathBuf;
use vmscope_link::role::{Kind, Role};
use vmscope_link::{Authority, IdentityFiles, Validity, authority};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a certificate authority: DIR/ca.pem and DIR/ca.key. Never overwrites one.
    Init {
        /// Where.
        #[arg(long)]
        dir: PathBuf,
        /// Name in the certificate.
        #[arg(long, default_value = "vmscope")]
        name: String,
    },
    /// Make a key and a certificate: OUT/key.pem, OUT/certificate.pem, with the authority's own as OUT/ca.pem.
    Issue {
        /// Where the authority is.
        #[arg(long)]
        dir: PathBuf,
        /// What the certificate is for: agent, collector or web.
        #[arg(long)]
        role: Kind,
        /// UUID of the host for an agent, a name for the others.
        #[arg(long)]
        id: String,
        /// Where the files go; made if missing.
        #[arg(long)]
        out: PathBuf,
        /// Days until it expires.
        #[arg(long, default_value_t = authority::LEAF_DAYS)]
        days: u32,
    },
    /// Make a second root that signs from now on, and keep trusting the first one. Its key is destroyed.
    Rotate {
        /// Where the authority is.
        #[arg(long)]
        dir: PathBuf,
        /// Name in the new root's certificate.
        #[arg(long, default_value = "vmscope")]
        name: String,
    },
    /// End the trust in the older root. Hosts whose certificate it signed have to enrol again: see `host list` first.
    Retire {
        /// Where the authority is.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Print the SHA-256 of each root, the one that signs first.
    Show {
        /// Where the authority is.
        #[arg(long)]
        dir: PathBuf,
    },
}

pub(super) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Init { dir, name } => {
            Authority::init(&dir, &name)?;
            Ok(())
        }
        Command::Issue {
            dir,
            role,
            id,
            out,
            days,
        } => {
            let issued = Authority::open(&dir)?.issue(&Role::new(role, &id)?, Validity::days(days))?;
            std::fs::create_dir_all(&out).with_context(|| format!("{} can't be made", out.display()))?;
            issued.write(&IdentityFiles::within(&out))?;
            Ok(())
        }
        Command::Rotate { dir, name } => show(&Authority::rotate(&dir, &name)?),
        Command::Retire { dir } => show(&Authority::retire(&dir)?),
        Command::Show { dir } => show(&Authority::open(&dir)?),
    }
}

fn show(authority: &Authority) -> anyhow::Result<()> {
    let roots: Vec<String> = authority.roots().iter().map(ToString::to_string).collect();
    print(&roots.join("\n"))
}
