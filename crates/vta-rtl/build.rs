//! Embeds the hardware's sources, so that a program that was built once needs no checkout.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    // Asked for when it runs: a target folder may have served another checkout before.
    let manifest = env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?;
    let hardware = Path::new(&manifest).join("../../hardware");
    let rtl = hardware.join("rtl");
    println!("cargo::rerun-if-changed={}", rtl.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(&rtl)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sv") {
            files.push(path);
        }
    }
    // Packages come before the modules that import them.
    files.sort_by_key(|path| (!name(path).ends_with("_pkg.sv"), name(path)));
    let mut text = String::from("&[\n");
    for path in &files {
        text += &format!("    ({:?}, include_str!({path:?})),\n", name(path));
    }
    text += "]\n";
    let out = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    fs::write(PathBuf::from(out).join("sources.rs"), text)
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
