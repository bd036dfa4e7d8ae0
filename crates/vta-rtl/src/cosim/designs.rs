//! The designs that the hardware is held to.

/// A design to co-simulate.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Its name.
    pub name: &'static str,
    /// Its `vta_config.json`.
    pub config: &'static str,
    /// The memory's latency; drawn for each program if it is none.
    pub latency: Option<u32>,
}

macro_rules! designs {
    ($($name:literal,)*) => {
        &[$(Candidate {
            name: $name,
            config: include_str!(concat!("../../../../hardware/dv/designs/", $name, ".json")),
            latency: None,
        }),*]
    };
}

/// The default design, with every latency that it is measured at, and the files of
/// `hardware/dv/designs`.
pub fn candidates() -> impl Iterator<Item = Candidate> {
    let default = |latency| Candidate {
        name: "default",
        config: "{}",
        latency,
    };
    let latencies = [None, Some(0), Some(16), Some(100)];
    latencies
        .map(default)
        .into_iter()
        .chain(DESIGNS.iter().copied())
}

const DESIGNS: &[Candidate] = designs![
    "batch_2",
    "batch_4",
    "block_8",
    "block_32",
    "block_8_16",
    "block_16_8",
    "wgt_4",
    "bits_1",
    "bits_2",
    "acc_16",
    "bus_128",
    "bus_512",
    "small",
    "least",
    "tiny",
    "narrow",
    "no_alu",
    "ecp5",
    "requant",
    "requant_wide",
    "requant_bus_256",
    "load_pad",
    "sign_inp",
    "sign_wgt",
    "signs",
    "overwrite",
    "codesign",
    "codesign_7z020",
];
