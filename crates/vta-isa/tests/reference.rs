//! The committed reference page is the one that the tables give.

use std::{env, fs};

use vta_isa::{Design, HwConfig, reference_page};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/isa.md");

#[test]
fn the_committed_page_is_current() {
    let page = reference_page(&Design::default());
    if env::var_os("VTA_BLESS").is_some_and(|value| value == "1") {
        fs::write(PAGE, &page).unwrap();
    }
    let committed = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        committed == page,
        "docs/isa.md is stale; VTA_BLESS=1 cargo test -p vta-isa rewrites it"
    );
}

#[test]
fn every_place_of_the_template_is_filled_and_follows_the_design() {
    let narrow = HwConfig {
        log_uop_buff_size: 12,
        ..HwConfig::default()
    }
    .design()
    .unwrap();
    let page = reference_page(&narrow);
    assert!(!page.contains("{{"), "{page}");
    assert!(
        page.contains("| 8-17 | `uop_begin` | d(uop) | `uop=` | The first micro-op. |"),
        "{page}"
    );
}
