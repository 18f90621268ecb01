//! `web/openapi.json`, from which the dashboard's client is generated, is what the code serves.

#[test]
fn the_written_contract_is_what_the_code_serves() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let served = vmscope_web::openapi::json().expect("a document");
    assert!(
        written == served,
        "web/openapi.json is out of date. Write it anew and generate the dashboard's client from it:\n\
         cargo run -p vmscope-web --example openapi > web/openapi.json\n\
         cd web/ui && npm run generate"
    );
}
