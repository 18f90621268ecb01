//! Makes the dashboard's folder, so that the service builds before the dashboard does, and watches it for changes.

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=ui/dist");
    std::fs::create_dir_all("ui/dist")
}
