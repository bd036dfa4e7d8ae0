//! Tells whether the compiler knows AVX-512, as it does from 1.89 on.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(avx512)");
    let x86_64 = std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64");
    if x86_64 && autocfg::new().probe_rustc_version(1, 89) {
        println!("cargo::rustc-cfg=avx512");
    }
}
