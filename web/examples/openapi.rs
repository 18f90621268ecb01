//! Prints the API's description: `cargo run -p vmscope-web --example openapi > web/openapi.json`.

use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    std::io::stdout().write_all(vmscope_web::openapi::json()?.as_bytes())?;
    Ok(())
}
