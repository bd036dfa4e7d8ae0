//! What compiling costs: the device's results against the float network's, and against those of
//! exact integers, which they must equal.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use serde::Serialize;
use vta_graph::Tensor;
use vta_graph::interp::Interpreter;

use crate::score::{self, Noise};
use crate::{Built, Devices, Error, Module, OwnGraph, Progress, Result, Samples};

/// Largest margin, in standard deviations of the scores, that counts as a close call.
const CLOSE_CALL: f64 = 0.2;

/// Samples on which a quantized network is held against its own graph, value by value.
const VALUE_BY_VALUE: usize = 8;

/// Scores over a set of samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Samples.
    pub n: usize,
    /// Share that the float network (of a quantized one: its own graph, in floats) gives a right
    /// class, of the samples whose classes are known; absent where none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub float_top1: Option<f64>,
    /// The same of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vta_top1: Option<f64>,
    /// Share of samples that both give the same class; absent where the output is a copy of the
    /// input and no scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<f64>,
    /// The same among samples whose best float score lies more than 0.2 standard deviations of
    /// the scores above the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear_agreement: Option<f64>,
    /// Cycles of an inference, which do not depend on the sample; absent where the device counts none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cycles: Option<u64>,
    /// Whether the device equals the integer network bit for bit on every sample.
    pub bit_exact: bool,
    /// The samples on which it does not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differing: Vec<usize>,
    /// Signal-to-noise ratio of the device's outputs, the float network's being the signal;
    /// absent where they are equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snr_db: Option<f64>,
    /// Mean squared difference between the float network's output and its input, where they are
    /// of one type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub float_mse: Option<f64>,
    /// The same of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vta_mse: Option<f64>,
    /// How far a network that brings its own scales is from the exact results of its own graph, on the first eight samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_graph: Option<OwnGraph>,
}

/// One input's outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Scores of the float network.
    pub float: Vec<f32>,
    /// Scores of the device.
    pub vta: Vec<f32>,
    /// Whether the device equals the integer network bit for bit.
    pub bit_exact: bool,
}

/// The networks that a device is held against.
pub struct Judge<'a> {
    float: Interpreter<&'a vta_graph::Graph>,
    integer: Interpreter<&'a vta_graph::Graph>,
}

impl<'a> Judge<'a> {
    /// The networks that a program was compiled from.
    pub fn new(built: &'a Built) -> Result<Judge<'a>> {
        Ok(Judge {
            float: Interpreter::new(&built.float)?,
            integer: Interpreter::new(&built.integer)?,
        })
    }

    /// Judges what a device made of `inputs`.
    pub fn judge(&self, inputs: &[Tensor], vta: &[Tensor]) -> Result<Judgement> {
        let float = self.float.run(inputs)?;
        let integer = self.integer.run(inputs)?;
        let first = |outputs: &[Tensor]| outputs.first().map(score::reals).unwrap_or_default();
        Ok(Judgement {
            float: first(&float),
            vta: first(vta),
            bit_exact: score::same_bits(vta, &integer),
        })
    }
}

impl Judgement {
    /// Whether both give the same class.
    pub fn agrees(&self) -> bool {
        score::top(&self.float, 1) == score::top(&self.vta, 1)
    }

    /// Signal-to-noise ratio of the device's scores; `None` where they are equal.
    pub fn snr_db(&self) -> Option<f64> {
        let mut noise = Noise::default();
        noise.add(&self.float, &self.vta);
        noise.snr_db()
    }

    fn is_clear(&self) -> bool {
        score::margin(&self.float).is_some_and(|margin| margin > CLOSE_CALL)
    }
}

/// Runs the first `limit` samples on devices and judges them. The result
/// is the same whatever the number of threads.
pub fn evaluate(
    built: &Built,
    samples: &Samples,
    limit: usize,
    devices: &Devices,
    progress: &dyn Progress,
) -> Result<Evaluation> {
    let n = samples.len().min(limit);
    if n == 0 {
        return Err(Error::input("there is no sample to evaluate"));
    }
    progress.stage("evaluating", n);
    let judge = Judge::new(built)?;
    // As many modules as threads ever run at once.
    let idle: Mutex<Vec<Module>> = Mutex::default();
    let idle = || idle.lock().unwrap_or_else(PoisonError::into_inner);
    let one = |index| {
        let reserved = idle().pop();
        let mut module = match reserved {
            Some(module) => module,
            None => Module::load_on(built.program.clone(), devices)?,
        };
        let inputs = [samples.get(index)?];
        let judgement = judge.judge(&inputs, &module.run(&inputs)?)?;
        idle().push(module);
        progress.step();
        let [input] = inputs;
        Ok((judgement, input))
    };
    let judged: Result<Vec<_>> = (0..n).into_par_iter().map(one).collect();
    let judged = judged?;
    let evaluation = summarize(&built.float, samples, &judged)?;
    let first = judged.into_iter().take(VALUE_BY_VALUE);
    let first: Vec<Vec<Tensor>> = first.map(|(_, input)| vec![input]).collect();
    let module = idle().pop();
    let cycles = module.and_then(|module| module.stats().cycles());
    Ok(Evaluation {
        cycles,
        own_graph: OwnGraph::compare(built, &first)?,
        ..evaluation
    })
}

fn summarize(
    graph: &vta_graph::Graph,
    samples: &Samples,
    judged: &[(Judgement, Tensor)],
) -> Result<Evaluation> {
    let n = judged.len();
    let share = |hits: usize, of: usize| (of > 0).then(|| hits as f64 / of as f64);
    let mut noise = Noise::default();
    let [mut float_noise, mut vta_noise] = [Noise::default(); 2];
    let (mut float_hits, mut vta_hits, mut agreed) = (0, 0, 0);
    let (mut clear, mut clear_agreed) = (0, 0);
    let mut labelled = 0;
    for (index, (judgement, input)) in judged.iter().enumerate() {
        let Judgement { float, vta, .. } = judgement;
        noise.add(float, vta);
        let input = score::reals(input);
        float_noise.add(&input, float);
        vta_noise.add(&input, vta);
        agreed += usize::from(judgement.agrees());
        clear += usize::from(judgement.is_clear());
        clear_agreed += usize::from(judgement.is_clear() && judgement.agrees());
        if let Some(right) = samples.classes(index) {
            in_range(index, right, float.len())?;
            let hit = |scores| score::top(scores, 1).iter().any(|c| right.contains(c));
            labelled += 1;
            float_hits += usize::from(hit(float));
            vta_hits += usize::from(hit(vta));
        }
    }
    let ends = [&graph.inputs[..], &graph.outputs[..]].map(|ids| match ids {
        [id] => Some(&graph.value(*id).ty),
        _ => None,
    });
    let copies = labelled == 0 && ends[0].is_some() && ends[0] == ends[1];
    let differing = judged.iter().enumerate().filter(|(_, (j, _))| !j.bit_exact);
    let differing: Vec<usize> = differing.map(|(index, _)| index).collect();
    Ok(Evaluation {
        n,
        float_top1: share(float_hits, labelled),
        vta_top1: share(vta_hits, labelled),
        agreement: share(agreed, n).filter(|_| !copies),
        clear_agreement: share(clear_agreed, clear).filter(|_| !copies),
        cycles: None,
        bit_exact: differing.is_empty(),
        differing,
        snr_db: noise.snr_db(),
        float_mse: copies.then(|| float_noise.mse()),
        vta_mse: copies.then(|| vta_noise.mse()),
        own_graph: None,
    })
}

fn in_range(sample: usize, right: &[usize], classes: usize) -> Result<()> {
    match right.iter().find(|&&class| class >= classes) {
        Some(class) => Err(Error::input(format!(
            "sample {sample} is of class {class}, the network has {classes}, counted from 0"
        ))
        .help("give labels of this network's classes")),
        None => Ok(()),
    }
}
