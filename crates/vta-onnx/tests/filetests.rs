//! Golden tests: what an ONNX file becomes, or why it is refused.
//!
//! Each file that is imported is also written and read again; both graphs have to compute the
//! same. The text form of the files is described in `onnx_text`.

mod onnx_text;

use std::process::ExitCode;

use vta_filetest::Suite;
use vta_graph::interp::run_graph;
use vta_graph::text::{PrintOptions, print};
use vta_graph::{DType, Graph, Tensor};
use vta_onnx::{export, import};

fn run(command: &str, input: &str) -> Result<String, String> {
    if command != "import" {
        return Err(format!("no command `{command}`"));
    }
    let imported = import(&onnx_text::encode(input)?).map_err(|e| e.to_string())?;
    let graph = imported.graph;
    let written = export(&graph).map_err(|e| format!("export: {e}"))?;
    let again = import(&written).map_err(|e| format!("export and import: {e}"))?;
    let inputs = ramps(&graph);
    let ours = run_graph(&graph, &inputs).map_err(|e| format!("run: {e}"))?;
    let theirs = run_graph(&again.graph, &inputs).map_err(|e| format!("run again: {e}"))?;
    if ours != theirs {
        return Err("the exported graph computes something else".into());
    }
    let mut out = print(&graph, PrintOptions::default());
    for note in imported.notes {
        out.push_str(&format!("note: {note}\n"));
    }
    Ok(out)
}

fn ramps(graph: &Graph) -> Vec<Tensor> {
    let ramp = |ty: &vta_graph::TensorType| {
        let v = (0..ty.len() as i64).map(onnx_text::ramp);
        match ty.dtype {
            DType::F32 => Tensor::f32(ty.shape.clone(), v.map(|x| x as f32).collect()),
            d => {
                let (lo, hi) = d.range().expect("an integer type");
                let v: Vec<i64> = v.map(|x| (x as i64).clamp(lo, hi)).collect();
                Tensor::from_ints(d, ty.shape.clone(), &v)
            }
        }
    };
    let inputs = graph.inputs.iter();
    inputs.map(|&v| ramp(&graph.value(v).ty)).collect()
}

fn main() -> ExitCode {
    vta_filetest::main(&[Suite::new("tests/import", "txt", run)])
}
