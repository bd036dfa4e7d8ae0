//! `vta config`

use clap::Args;
use serde_json::{Value, json};
use vta::{Error, Result};
use vta_isa::{Design, HwConfig, MemType, sv};

use crate::output::{self, grouped};

/// Show a design: its parameters and the geometry that follows from them.
#[derive(Args)]
pub(super) struct Config {
    /// The design: a preset, or a file with the keys of vta_config.json.
    #[arg(value_name = "NAME|FILE.json", default_value = "default")]
    name: String,
    /// The same, as the other commands spell it.
    #[arg(long, value_name = "NAME|FILE.json", conflicts_with = "name")]
    config: Option<String>,
    /// Print the vta_config.json of the design.
    #[arg(long, conflicts_with = "json")]
    export: bool,
    /// Print the SystemVerilog package of the design, for hardware/rtl.
    #[arg(long, conflicts_with_all = ["json", "export"])]
    sv: bool,
    /// List the presets instead.
    #[arg(long, conflicts_with_all = ["name", "config", "export", "sv"])]
    list: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Config {
    pub(super) fn run(self) -> Result<()> {
        if self.list {
            return self.print_presets();
        }
        let design = vta::design(self.config.as_ref().unwrap_or(&self.name))?;
        if self.sv {
            return output::print(sv::package(&design)?);
        }
        match (self.export, self.json) {
            (true, _) => output::print(design.config().to_json()),
            (_, true) => output::print_json(&describe(&design)?),
            _ => output::print(text(&design)),
        }
    }

    fn print_presets(&self) -> Result<()> {
        let presets = HwConfig::PRESETS.iter().filter_map(|name| {
            let config = HwConfig::preset(name)?;
            Some((*name, config))
        });
        if self.json {
            let presets = presets.map(|(name, config)| Ok((name.to_owned(), parameters(&config)?)));
            return output::print_json(&presets.collect::<Result<serde_json::Map<_, _>>>()?);
        }
        let rows: Vec<Vec<String>> = presets
            .map(|(name, config)| {
                vec![
                    name.to_owned(),
                    config.clock_mhz.to_string(),
                    (1u64 << config.log_bus_width).to_string(),
                    config.part,
                ]
            })
            .collect();
        output::print(output::table(&["design", "MHz", "bus bits", "part"], &rows))
    }
}

/// The keys of `vta_config.json`.
fn parameters(config: &HwConfig) -> Result<Value> {
    serde_json::from_str(&config.to_json()).map_err(|error| Error::bug(error.to_string()))
}

fn digest(design: &Design) -> String {
    let bytes = design.digest();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Multiply-accumulates of one micro-op, one a cycle.
fn macs(design: &Design) -> usize {
    design.batch() * design.block_in() * design.block_out()
}

fn describe(design: &Design) -> Result<Value> {
    let memory = |mem: MemType| {
        json!({
            "memory": mem.name(),
            "value_bits": design.value_bits(mem),
            "element_values": design.lanes(mem),
            "element_bytes": design.elem_bytes(mem),
            "depth": design.depth(mem),
        })
    };
    Ok(json!({
        "config": parameters(design.config())?,
        "digest": digest(design),
        "macs_per_cycle": macs(design),
        "memories": design.memories().map(memory).collect::<Vec<_>>(),
    }))
}

fn text(design: &Design) -> String {
    let config = design.config();
    let rows: Vec<Vec<String>> = design
        .memories()
        .map(|mem| {
            let bytes = design.elem_bytes(mem);
            vec![
                mem.to_string(),
                design.value_bits(mem).to_string(),
                design.lanes(mem).to_string(),
                bytes.to_string(),
                grouped(design.depth(mem).into()),
                grouped(u64::from(design.depth(mem)) * bytes as u64),
            ]
        })
        .collect();
    let headers = [
        "memory",
        "value bits",
        "values",
        "bytes",
        "depth",
        "bytes in all",
    ];
    let part = match config.part.as_str() {
        "" => String::new(),
        part => format!(", part {part}"),
    };
    format!(
        "target {}, hardware version {}{part}\n\
         {}x{}x{} (batch x block_in x block_out): {} MAC a cycle at {} MHz, bus of {} bits\n\
         command queues of {} instructions, token queues of {}\n\
         addresses of {} bits, bursts of {} bytes, {} at a time\n\
         GEMM pipeline of {} cycles, ALU of {}\n\
         digest {}\n\n{}",
        config.target,
        config.hw_ver,
        design.batch(),
        design.block_in(),
        design.block_out(),
        macs(design),
        config.clock_mhz,
        1u64 << config.log_bus_width,
        config.cmd_queue_depth,
        config.dep_queue_depth,
        design.addr_bits(),
        design.burst_bytes(),
        config.max_outstanding,
        config.gemm_pipeline,
        match &config.alu_ops[..] {
            [] => "nothing".into(),
            ops => ops.join(", "),
        },
        digest(design),
        output::table(&headers, &rows),
    )
}
