//! Tells whether the compiler knows AVX-512, as it does from 1.89 on. The benchmarks build with it too.

fn main() {
    println!("cargo::rerun-if-env-changed=CARGO_CFG_TARGET_ARCH");
    println!("cargo::rustc-check-cfg=cfg(avx512)");
    let x86_64 = std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64");
    if x86_64 && autocfg::new().probe_rustc_version(1, 89) {
        println!("cargo::rustc-cfg=avx512");
    }
}
