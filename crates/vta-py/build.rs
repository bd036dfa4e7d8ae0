//! Symbols of Python are looked up when the module is loaded, on every system.

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}
