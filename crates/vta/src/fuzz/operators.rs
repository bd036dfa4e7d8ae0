//! Random operators over blocked tensors as naive nests, `[channel block, row, column, batch, lane]`.
//!
//! Stage `s` of an operator is a nest over `c{s} y{s} x{s} b{s} l{s}`; that which sums products adds `ci ky kx k`.

use vta_graph::random::Dice;
use vta_isa::Design;
use vta_tir::{Program, parse};

/// An operator with what a schedule has to know of it.
pub(super) struct Operator {
    /// What it is.
    pub(super) name: &'static str,
    /// The nest.
    pub(super) program: Program,
    /// Channel blocks, rows and columns of each stage.
    pub(super) extents: [usize; 3],
    /// How many stages there are.
    pub(super) stages: usize,
    /// The one of them that sums products, if any does.
    pub(super) reduction: Option<usize>,
    /// Allocations of the full size, which are to lie in the register file.
    pub(super) temporaries: Vec<String>,
    /// Parameters that are read, and where they have to be for it.
    pub(super) operands: Vec<(String, &'static str)>,
}

/// Parts of an operator's text as they come.
struct Nest {
    extents: [usize; 3],
    /// Lanes of a row, and of a batch.
    lanes: [usize; 2],
    params: Vec<String>,
    body: String,
    stages: usize,
}

impl Nest {
    /// Appends a stage of `statement`, in which `@` stands for its number and `#` for its indices.
    fn stage(&mut self, inner: &[(&str, usize)], statement: &str) {
        let ([c, y, x], [batch, lanes], s) = (self.extents, self.lanes, self.stages);
        let outer = [("c@", c), ("y@", y), ("x@", x)];
        let (taps, products): (Vec<_>, Vec<_>) = inner.iter().partition(|(var, _)| *var != "k");
        let lanes = [("b@", batch), ("l@", lanes)];
        let loops = outer.iter().chain(taps).chain(&lanes).chain(products);
        let loops: Vec<_> = loops
            .map(|(var, n)| format!("for {var} in 0..{n} {{ "))
            .collect();
        let nest = format!(
            "{}{statement}{}\n",
            loops.concat(),
            " }".repeat(loops.len())
        );
        let number = s.to_string();
        self.body += &nest
            .replace('#', "c@, y@, x@, b@, l@")
            .replace('@', &number);
        self.stages += 1;
    }

    /// Appends a few steps on `acc`, and what is done in the end: narrow values to `y`.
    fn epilogue(&mut self, dice: &mut Dice, design: &Design) -> Vec<(String, &'static str)> {
        let ([c, y, x], [batch, lanes]) = (self.extents, self.lanes);
        let (acc, out) = (design.acc_bits(), design.out_bits());
        let mut operands = Vec::new();
        for _ in 0..dice.range(0, 3) {
            let imm = dice.int(-100, 100);
            let value = match dice.range(0, 5) {
                0 => "acc[#] >> 3".to_owned(),
                1 => format!("max(acc[#], {imm})"),
                2 => format!("min({imm}, acc[#])"),
                3 => format!("acc[#] * {imm}"),
                4 => format!("acc[#] + {imm}"),
                _ => {
                    if operands.is_empty() {
                        self.params
                            .push(format!("p: in i{acc}[{c}, 1, {batch}, {lanes}]"));
                        operands.push(("p".to_owned(), "acc"));
                    }
                    "acc[#] + p[c@, 0, b@, l@]".to_owned()
                }
            };
            self.stage(&[], &format!("acc[#] = {value}"));
        }
        self.stage(&[], &format!("y[#] = i{out}(acc[#])"));
        self.params
            .push(format!("y: out i{out}[{c}, {y}, {x}, {batch}, {lanes}]"));
        operands
    }

    fn program(&self, name: &str, temporaries: &[&str], acc_bits: u32) -> Program {
        let ([c, y, x], [batch, lanes]) = (self.extents, self.lanes);
        let mut body = self.body.clone();
        for buffer in temporaries {
            let shape = format!("[{c}, {y}, {x}, {batch}, {lanes}]");
            body = format!("alloc {buffer}: dram i{acc_bits}{shape} {{\n{body}}}\n");
        }
        let text = format!("program {name}({}) {{\n{body}}}\n", self.params.join(", "));
        parse(&text).unwrap_or_else(|e| unreachable!("{e}\n{text}"))
    }
}

/// Draws an operator for a design.
pub(super) fn draw(dice: &mut Dice, design: &Design) -> Operator {
    let mut nest = Nest {
        extents: [0; 3].map(|_| dice.range(1, 5)),
        lanes: [design.batch(), design.block_out()],
        params: Vec::new(),
        body: String::new(),
        stages: 0,
    };
    let acc = design.acc_bits();
    let (name, temporaries, reduction, mut operands) = match dice.range(0, 3) {
        0 | 1 => convolution(dice, &mut nest, design),
        2 => elementwise(dice, &mut nest, design),
        _ => maximum(dice, &mut nest, design),
    };
    operands.extend(nest.epilogue(dice, design));
    Operator {
        name,
        program: nest.program(name, &temporaries, acc),
        extents: nest.extents,
        stages: nest.stages,
        reduction,
        temporaries: temporaries.into_iter().map(String::from).collect(),
        operands,
    }
}

/// What [`draw`] has to know of an operator: its name, its temporaries, its reduction, its operands.
type Drawn = (
    &'static str,
    Vec<&'static str>,
    Option<usize>,
    Vec<(String, &'static str)>,
);

/// Windows along rows or columns.
struct Windows {
    taps: usize,
    /// Rows or columns of the input.
    input: usize,
    /// The index that tap `k` of output `at` reads: the one of the input, which may lie outside.
    index: String,
}

/// Windows of `out` rows (`"y"`) or columns (`"x"`) of an output.
fn windows(dice: &mut Dice, dim: &str, out: usize) -> Windows {
    let (taps, stride, dilation) = (dice.range(1, 3), dice.range(1, 2), dice.range(1, 2));
    let pad = dice.range(0, 1).min(taps - 1);
    let reach = (out - 1) * stride + (taps - 1) * dilation + 1;
    Windows {
        taps,
        input: reach.saturating_sub(2 * pad).max(1),
        index: format!("{stride} * {dim}@ + {dilation} * k{dim} - {pad}"),
    }
}

fn convolution(dice: &mut Dice, nest: &mut Nest, design: &Design) -> Drawn {
    let [c, y, x] = nest.extents;
    let (inp, wgt) = (design.inp_bits(), design.wgt_bits());
    let (batch, bi, bo) = (design.batch(), design.block_in(), design.block_out());
    let ci = dice.range(1, 4);
    let (rows, columns) = (windows(dice, "y", y), windows(dice, "x", x));
    let (h, w) = (rows.input, columns.input);
    let (kh, kw) = (rows.taps, columns.taps);
    nest.params
        .push(format!("x: in i{inp}[{ci}, {h}, {w}, {batch}, {bi}]"));
    nest.params
        .push(format!("w: in i{wgt}[{c}, {ci}, {kh}, {kw}, {bo}, {bi}]"));
    nest.stage(&[], "acc[#] = 0");
    let read = format!("x.pad[ci, {}, {}, b@, k]", rows.index, columns.index);
    let sum = format!("acc[#] += {read} * w[c@, ci, ky, kx, l@, k]");
    let taps = [
        ("ci", ci),
        ("ky", rows.taps),
        ("kx", columns.taps),
        ("k", bi),
    ];
    nest.stage(&taps, &sum);
    let operands = [("x", "inp"), ("w", "wgt")].map(|(name, scope)| (name.to_owned(), scope));
    ("convolution", vec!["acc"], Some(1), operands.to_vec())
}

/// Two tensors, widened on their way or wide already, and an operation on both.
fn elementwise(dice: &mut Dice, nest: &mut Nest, design: &Design) -> Drawn {
    let ([c, y, x], [batch, lanes]) = (nest.extents, nest.lanes);
    let bits = match design.has_acc8() {
        true => 8,
        false => design.acc_bits(),
    };
    for name in ["a", "b"] {
        nest.params.push(format!(
            "{name}: in i{bits}[{c}, {y}, {x}, {batch}, {lanes}]"
        ));
    }
    nest.stage(&[], "acc[#] = a[#]");
    nest.stage(&[], "t[#] = b[#]");
    let value = dice.pick(&[
        "acc[#] + t[#]",
        "t[#] * acc[#]",
        "max(acc[#], t[#])",
        "min(acc[#], t[#])",
    ]);
    nest.stage(&[], &format!("acc[#] = {value}"));
    ("elementwise", vec!["acc", "t"], None, Vec::new())
}

/// The largest of each window.
fn maximum(dice: &mut Dice, nest: &mut Nest, design: &Design) -> Drawn {
    let ([c, y, x], [batch, lanes]) = (nest.extents, nest.lanes);
    let bits = match design.has_acc8() {
        true => 8,
        false => design.acc_bits(),
    };
    let (rows, columns) = (windows(dice, "y", y), windows(dice, "x", x));
    let (h, w) = (rows.input, columns.input);
    nest.params
        .push(format!("x: in i{bits}[{c}, {h}, {w}, {batch}, {lanes}]"));
    nest.stage(&[], "acc[#] = 0");
    let read = format!("x.pad[c@, {}, {}, b@, l@]", rows.index, columns.index);
    let value = format!("acc[#] = max(acc[#], {read})");
    nest.stage(&[("ky", rows.taps), ("kx", columns.taps)], &value);
    ("maximum", vec!["acc"], None, vec![("x".to_owned(), "acc")])
}
