//! The house rules that a machine can check: who may import whom, where a crate may be used, licences, dead dependencies.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use std::collections::BTreeSet;
use std::path::Path;

/// For each package, which of ours its product code may use. A package that is not listed fails the test.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("vmscope-model", &[]),
    ("vmscope-service", &[]),
    ("vmscope-store", &["vmscope-model"]),
    ("vmscope-link", &["vmscope-model"]),
    ("vmscope-vault", &["vmscope-model", "vmscope-store"]),
    ("vmscope-storage", &[]),
    ("vmscope-export", &["vmscope-model", "vmscope-store"]),
    (
        "vmscope-agent",
        &["vmscope-model", "vmscope-link", "vmscope-service"],
    ),
    (
        "vmscope-collector",
        &[
            "vmscope-model",
            "vmscope-link",
            "vmscope-service",
            "vmscope-store",
            "vmscope-vault",
            "vmscope-storage",
            "vmscope-export",
        ],
    ),
    (
        "vmscope-web",
        &[
            "vmscope-model",
            "vmscope-link",
            "vmscope-service",
            "vmscope-store",
            "vmscope-vault",
            "vmscope-storage",
            "vmscope-export",
        ],
    ),
    // The all-in-one program is the one place where the three meet.
    (
        "vmscope",
        &[
            "vmscope-model",
            "vmscope-link",
            "vmscope-service",
            "vmscope-store",
            "vmscope-vault",
            "vmscope-storage",
            "vmscope-export",
            "vmscope-agent",
            "vmscope-collector",
            "vmscope-web",
        ],
    ),
];

/// Packages of tests: nothing imports them but each other.
const TESTS: &[&str] = &["vmscope-harness", "vmscope-e2e", "vmscope-bench"];

/// Crates that only some packages may use in product code.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("tokio-postgres", &["vmscope-store"]),
    ("deadpool-postgres", &["vmscope-store"]),
    ("refinery", &["vmscope-store"]),
    ("quinn", &["vmscope-link"]),
    ("quinn-proto", &["vmscope-link"]),
    ("rustls", &["vmscope-link"]),
    ("rcgen", &["vmscope-link"]),
    ("ring", &["vmscope-link", "vmscope-vault", "vmscope-web"]),
    ("sled", &["vmscope-agent"]),
    ("sysinfo", &["vmscope-agent"]),
    ("redis", &["vmscope-segments"]),
    ("axum", &["vmscope-web", "vmscope-service"]),
    ("parquet", &["vmscope-export"]),
];

/// Licences that Apache-2.0 software may be distributed with.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "MPL-2.0",
    "0BSD",
];

fn metadata() -> Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    MetadataCommand::new()
        .manifest_path(manifest)
        .other_options(["--locked".to_owned()])
        .exec()
        .unwrap()
}

fn product_dependencies(package: &Package) -> BTreeSet<&str> {
    let product = package
        .dependencies
        .iter()
        .filter(|d| d.kind != DependencyKind::Development);
    product.map(|d| d.name.as_str()).collect()
}

#[test]
fn packages_import_only_what_the_plan_allows() {
    let metadata = metadata();
    let members = metadata.workspace_packages();
    let ours: BTreeSet<&str> = members.iter().map(|p| p.name.as_str()).collect();
    for package in members.iter().filter(|p| !TESTS.contains(&p.name.as_str())) {
        let rule = MAY_IMPORT.iter().find(|(name, _)| *name == package.name.as_str());
        let (_, allowed) = rule.unwrap_or_else(|| panic!("{} has no line in MAY_IMPORT", package.name));
        for import in product_dependencies(package).intersection(&ours) {
            assert!(
                allowed.contains(import),
                "{} must not import {import}",
                package.name
            );
        }
    }
}

#[test]
fn crates_stay_in_their_rooms() {
    for package in metadata().workspace_packages() {
        if TESTS.contains(&package.name.as_str()) {
            continue;
        }
        for (name, rooms) in ONLY_IN {
            let used = product_dependencies(package).contains(name);
            assert!(
                !used || rooms.contains(&package.name.as_str()),
                "{} must not use {name}",
                package.name
            );
        }
    }
}

#[test]
fn every_licence_is_one_that_we_may_ship() {
    for package in metadata().packages.iter().filter(|p| p.source.is_some()) {
        let text = package
            .license
            .as_deref()
            .unwrap_or_else(|| panic!("{} names no licence", package.name));
        let acceptable = |choice: &str| choice.split(" AND ").all(|one| LICENCES.contains(&one.trim()));
        let plain = text.replace(['(', ')'], "").replace('/', " OR ");
        assert!(
            plain.split(" OR ").any(acceptable),
            "{} is under {text}",
            package.name
        );
    }
}

#[test]
fn mandated_versions_are_exact() {
    let metadata = metadata();
    for (name, version) in [("bincode", "2.0.1"), ("sled", "0.34.7")] {
        let found: Vec<_> = metadata
            .packages
            .iter()
            .filter(|p| p.name.as_str() == name)
            .collect();
        assert_eq!(found.len(), 1, "{name} is in the tree once");
        assert_eq!(found[0].version.to_string(), version);
    }
    assert!(
        metadata.packages.iter().all(|p| p.name.as_str() != "aws-lc-rs"),
        "ring is the one crypto provider"
    );
}

#[test]
fn every_dependency_is_used() {
    let mut unused = Vec::new();
    for package in metadata().workspace_packages() {
        let root = package.manifest_path.parent().unwrap();
        let text = rust_sources(root.as_std_path());
        for dependency in &package.dependencies {
            let name = dependency
                .rename
                .as_ref()
                .unwrap_or(&dependency.name)
                .replace('-', "_");
            let used = text.contains(&format!("{name}::")) || text.contains(&format!("use {name}"));
            if !used {
                unused.push(format!("{}: {}", package.name, dependency.name));
            }
        }
    }
    assert!(
        unused.is_empty(),
        "dependencies that no source names: {unused:#?}"
    );
}

fn rust_sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let nested_package = path.join("Cargo.toml").exists();
        if path.is_dir() && !nested_package && entry.file_name() != "node_modules" {
            text.push_str(&rust_sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
    text
}
