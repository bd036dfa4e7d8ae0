//! From a graph to text.

use std::fmt::Write;

use super::attributes::{print_f32, print_fields};
use super::lex::{print_name, print_string};
use crate::{Data, Graph, Node, Tensor, Value, ValueId};

/// Constants of at most this many elements are written in decimal.
const SHORT: usize = 16;

/// What to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrintOptions {
    /// Whether to print the data of long constants. Without it they appear as `...`: easy to
    /// read, but no longer a text that parses.
    pub data: bool,
}

impl Default for PrintOptions {
    fn default() -> Self {
        PrintOptions { data: true }
    }
}

/// The text form of a well-formed graph ([`Graph::verify`]).
///
/// With the data of constants it parses to the graph as [`Graph::compact`] leaves it.
pub fn print(graph: &Graph, options: PrintOptions) -> String {
    let mut p = Printer {
        graph,
        options,
        out: String::new(),
        printed: vec![false; graph.values.len()],
    };
    p.graph();
    p.out
}

struct Printer<'a> {
    graph: &'a Graph,
    options: PrintOptions,
    out: String,
    /// The constants that have their line.
    printed: Vec<bool>,
}

impl Printer<'_> {
    fn graph(&mut self) {
        let g = self.graph;
        self.out.push_str("graph ");
        print_string(&g.name, &mut self.out);
        self.out.push_str(" (");
        for (i, &v) in g.inputs.iter().enumerate() {
            self.comma(i);
            self.typed(g.value(v));
        }
        self.out.push_str(") -> ");
        self.names(&g.outputs);
        self.out.push_str(" {\n");
        for n in &g.nodes {
            self.constants(&n.inputs);
            self.node(n);
        }
        self.constants(&g.outputs);
        self.out.push_str("}\n");
    }

    fn comma(&mut self, i: usize) {
        if i > 0 {
            self.out.push_str(", ");
        }
    }

    fn name(&mut self, v: &Value) {
        self.out.push('%');
        print_name(&v.name, &mut self.out);
    }

    fn names(&mut self, values: &[ValueId]) {
        self.out.push('(');
        for (i, &v) in values.iter().enumerate() {
            self.comma(i);
            self.name(self.graph.value(v));
        }
        self.out.push(')');
    }

    fn typed(&mut self, v: &Value) {
        self.name(v);
        write!(self.out, ": {}", v.ty).expect("a string takes all");
    }

    /// The lines of those constants that have none yet.
    fn constants(&mut self, values: &[ValueId]) {
        for &v in values {
            let value = self.graph.value(v);
            if let Some(c) = &value.constant {
                if !std::mem::replace(&mut self.printed[v.0 as usize], true) {
                    self.out.push_str("  ");
                    self.typed(value);
                    self.out.push_str(" = const ");
                    self.data(c);
                    self.out.push('\n');
                }
            }
        }
    }

    fn node(&mut self, n: &Node) {
        self.out.push_str("  ");
        self.typed(self.graph.value(n.output));
        write!(self.out, " = {}", n.op.name()).expect("a string takes all");
        self.names(&n.inputs);
        let mut attributes = String::new();
        print_fields(&mut n.op.clone(), &mut attributes);
        if !attributes.is_empty() {
            write!(self.out, " {{{attributes}}}").expect("a string takes all");
        }
        if !n.name.is_empty() {
            self.out.push_str(" @");
            print_string(&n.name, &mut self.out);
        }
        self.out.push('\n');
    }

    fn data(&mut self, t: &Tensor) {
        if t.ty().len() > SHORT {
            if self.options.data {
                self.hex(t);
            } else {
                self.out.push_str("...");
            }
            return;
        }
        self.out.push('[');
        match t.data() {
            Data::F32(v) => {
                for (i, &x) in v.iter().enumerate() {
                    self.comma(i);
                    print_f32(x, &mut self.out);
                }
            }
            _ => {
                let ints = t.to_ints().expect("integers");
                for (i, x) in ints.iter().enumerate() {
                    self.comma(i);
                    write!(self.out, "{x}").expect("a string takes all");
                }
            }
        }
        self.out.push(']');
    }

    fn hex(&mut self, t: &Tensor) {
        let out = &mut self.out;
        out.push_str("0x");
        match t.data() {
            Data::F32(v) => v.iter().for_each(|x| hex(&x.to_le_bytes(), out)),
            Data::I64(v) => v.iter().for_each(|x| hex(&x.to_le_bytes(), out)),
            Data::I32(v) => v.iter().for_each(|x| hex(&x.to_le_bytes(), out)),
            Data::I8(v) => v.iter().for_each(|x| hex(&x.to_le_bytes(), out)),
            Data::U8(v) => hex(v, out),
        }
    }
}

fn hex(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for b in bytes {
        out.push(DIGITS[usize::from(b >> 4)].into());
        out.push(DIGITS[usize::from(b & 15)].into());
    }
}
