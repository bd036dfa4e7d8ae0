//! The attributes of every operator, in the order in which they are written.

use std::fmt::Write;

use super::lex::{Lexer, Reason};
use crate::{
    AddEpilogue, BlockedLayout, ConvAttrs, DType, MulEpilogue, Op, PackedConv, PackedPair,
    PackedPool, PackedSpread, Piece, Pieces, Piecewise, PoolAttrs, Quant, Requant, Window,
};

/// A walk over attributes that reads or writes each.
pub(super) trait Visit {
    fn field(&mut self, name: &str, value: &mut dyn Attribute) -> Result<(), Reason>;
}

/// A value that stands after `name=`.
pub(super) trait Attribute {
    fn print(&mut self, out: &mut String);
    fn read(&mut self, from: &mut Lexer<'_>) -> Result<(), Reason>;
}

/// Something made of named attributes.
pub(super) trait Fields {
    fn fields(&mut self, v: &mut dyn Visit) -> Result<(), Reason>;
}

/// Writes `name=value, ...`.
struct Printer<'a> {
    out: &'a mut String,
    first: bool,
}

impl Visit for Printer<'_> {
    fn field(&mut self, name: &str, value: &mut dyn Attribute) -> Result<(), Reason> {
        let comma = if self.first { "" } else { ", " };
        self.first = false;
        write!(self.out, "{comma}{name}=").expect("a string takes all");
        value.print(self.out);
        Ok(())
    }
}

/// Reads what [`Printer`] writes.
struct Reader<'a, 'b> {
    from: &'a mut Lexer<'b>,
    first: bool,
}

impl Visit for Reader<'_, '_> {
    fn field(&mut self, name: &str, value: &mut dyn Attribute) -> Result<(), Reason> {
        if !self.first {
            let what = format!("`,` and the attribute `{name}`");
            self.from.expect(",", &what)?;
        }
        self.first = false;
        self.from.expect(name, &format!("the attribute `{name}`"))?;
        self.from.expect("=", "`=`")?;
        value.read(self.from)
    }
}

pub(super) fn print_fields(fields: &mut dyn Fields, out: &mut String) {
    let first = true;
    fields
        .fields(&mut Printer { out, first })
        .expect("printing does not fail");
}

pub(super) fn read_fields(fields: &mut dyn Fields, from: &mut Lexer<'_>) -> Result<(), Reason> {
    fields.fields(&mut Reader { from, first: true })
}

/// Nested attributes: `{name=value, ...}`.
impl<T: Fields> Attribute for T {
    fn print(&mut self, out: &mut String) {
        out.push('{');
        print_fields(self, out);
        out.push('}');
    }

    fn read(&mut self, from: &mut Lexer<'_>) -> Result<(), Reason> {
        from.expect("{", "`{`")?;
        read_fields(self, from)?;
        from.expect("}", "`}`")
    }
}

/// Numbers and truth values, as their `FromStr` reads them.
macro_rules! words {
    ($($ty:ty: $what:literal),+) => {$(
        impl Attribute for $ty {
            fn print(&mut self, out: &mut String) {
                write!(out, "{self:?}").expect("a string takes all");
            }

            fn read(&mut self, from: &mut Lexer<'_>) -> Result<(), Reason> {
                *self = from.parse($what)?;
                Ok(())
            }
        }
    )+};
}

words! {
    usize: "a whole number from 0", u32: "a whole number from 0", i32: "a 32-bit integer",
    i64: "a 64-bit integer", bool: "`true` or `false`"
}

impl Attribute for f32 {
    fn print(&mut self, out: &mut String) {
        print_f32(*self, out);
    }

    fn read(&mut self, from: &mut Lexer<'_>) -> Result<(), Reason> {
        *self = read_f32(from)?;
        Ok(())
    }
}

/// The shortest decimal that reads back to the same bits; a NaN but the usual one by its bits.
pub(super) fn print_f32(v: f32, out: &mut String) {
    if v.is_nan() && v.to_bits() != f32::NAN.to_bits() {
        write!(out, "{:#010x}", v.to_bits())
    } else {
        write!(out, "{v:?}")
    }
    .expect("a string takes all");
}

pub(super) fn read_f32(from: &mut Lexer<'_>) -> Result<f32, Reason> {
    const WHAT: &str = "a number, `inf`, `NaN` or `0x` and 8 hexadecimal digits";
    let word = from.word(WHAT)?;
    let value = match word.strip_prefix("0x") {
        Some(bits) => u32::from_str_radix(bits, 16).ok().map(f32::from_bits),
        // `parse` takes words such as `infinity` too; the constant's bits are the same.
        None => word.parse().ok(),
    };
    value.ok_or_else(|| from.unexpected(word, WHAT))
}

impl<T: Attribute + Default> Attribute for Vec<T> {
    fn print(&mut self, out: &mut String) {
        print_list(self, out);
    }

    fn read(&mut self, from: &mut Lexer<'_>) -> Result<(), Reason> {
        from.list("[", "]", |from| {
            let mut item = T::default();
            item.read(from)?;
            self.push(item);
            Ok(())
        })
    }
}

impl<T: Attribute, const N: usize> Attribute for [T; N] {
    fn print(&mut self, out: &mut String) {
        print_list(self, out);
    }

    fn read(&mut self, from: &mut Lexer<'_>) -> Result<(), Reason> {
        let mut items = self.iter_mut();
        from.list("[", "]", |from| match items.next() {
            Some(item) => item.read(from),
            None => Err(format!("the list has more than {N} elements")),
        })?;
        match items.len() {
            0 => Ok(()),
            missing => Err(format!("the list has {} of {N} elements", N - missing)),
        }
    }
}

fn print_list<T: Attribute>(items: &mut [T], out: &mut String) {
    out.push('[');
    for (i, item) in items.iter_mut().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        item.print(out);
    }
    out.push(']');
}

/// Structures whose attributes are their fields.
macro_rules! fields {
    ($($ty:ident { $($field:ident),+ })+) => {$(
        impl Fields for $ty {
            fn fields(&mut self, v: &mut dyn Visit) -> Result<(), Reason> {
                $(v.field(stringify!($field), &mut self.$field)?;)+
                Ok(())
            }
        }
    )+};
}

fields! {
    Window { kernel, stride, dilation, pads }
    BlockedLayout { batch, lanes, border, fill }
    Requant { mult, add, shift, lo, hi }
    AddEpilogue { mult_a, mult_b, add, shift, lo, hi }
    Piece { mult, lo, hi }
    Pieces { pieces, add }
    MulEpilogue { zero_point, gate, add, shift, lo, hi }
    Piecewise { function, shift, lo, hi }
    Quant { scale, zero_point, axis }
    PackedConv { in_shape, out_shape, window, pad, groups, in_layout, out_layout, requant, residual, pool }
    PackedPool { in_shape, out_shape, window, pad, in_layout, out_layout }
    PackedPair { in_shapes, in_layouts, out_layout }
    PackedSpread { in_shape, out_shape, block, in_layout, out_layout }
}

impl Fields for ConvAttrs {
    fn fields(&mut self, v: &mut dyn Visit) -> Result<(), Reason> {
        self.window.fields(v)?;
        v.field("groups", &mut self.groups)
    }
}

impl Fields for PoolAttrs {
    fn fields(&mut self, v: &mut dyn Visit) -> Result<(), Reason> {
        self.window.fields(v)?;
        v.field("extra", &mut self.extra)?;
        v.field("count_include_pad", &mut self.count_include_pad)
    }
}

/// The element type of [`Op::Quantize`] and its kin is not among the attributes: it is the
/// type of the result.
impl Fields for Op {
    fn fields(&mut self, v: &mut dyn Visit) -> Result<(), Reason> {
        match self {
            Op::Conv(a) => a.fields(v),
            Op::BatchNorm { epsilon } => v.field("epsilon", epsilon),
            Op::LeakyRelu { alpha } => v.field("alpha", alpha),
            Op::Clip { lo, hi } => {
                v.field("lo", lo)?;
                v.field("hi", hi)
            }
            Op::MaxPool(p) | Op::AvgPool(p) => p.fields(v),
            Op::ReduceMean { axes, keep_dims } => {
                v.field("axes", axes)?;
                v.field("keep_dims", keep_dims)
            }
            Op::Softmax { axis } | Op::Concat { axis } => v.field("axis", axis),
            Op::Reshape { shape } => v.field("shape", shape),
            Op::Transpose { perm } => v.field("perm", perm),
            Op::Pad {
                before,
                after,
                value,
            } => {
                v.field("before", before)?;
                v.field("after", after)?;
                v.field("value", value)
            }
            Op::Im2col {
                kernel,
                stride,
                dilation,
            } => {
                v.field("kernel", kernel)?;
                v.field("stride", stride)?;
                v.field("dilation", dilation)
            }
            Op::Slice { start, end, step } => {
                v.field("start", start)?;
                v.field("end", end)?;
                v.field("step", step)
            }
            Op::DepthToSpace {
                block,
                groups,
                channels,
            } => {
                v.field("block", block)?;
                v.field("groups", groups)?;
                v.field("channels", channels)
            }
            Op::Resize { factors } => v.field("factors", factors),
            Op::Quantize(q, _) | Op::Dequantize(q) => q.fields(v),
            Op::QConv(a, zero_point) => {
                a.fields(v)?;
                v.field("zero_point", zero_point)
            }
            Op::QDense(zero_point) => v.field("zero_point", zero_point),
            Op::Requantize(r, _) => r.fields(v),
            Op::QAccumulate { mult, zero_point } => {
                v.field("mult", mult)?;
                v.field("zero_point", zero_point)
            }
            Op::QAdd(e, _) => e.fields(v),
            Op::QMul(e, _) => e.fields(v),
            Op::QPiecewise(p, _) => p.fields(v),
            Op::QSumPool(p, zero_point) => {
                p.fields(v)?;
                v.field("zero_point", zero_point)
            }
            Op::Pack(layout) => layout.fields(v),
            Op::Unpack { layout, shape } => {
                v.field("layout", layout)?;
                v.field("shape", shape)
            }
            Op::VtaConv(c) => c.fields(v),
            Op::VtaAdd(pair, add) => {
                pair.fields(v)?;
                add.fields(v)
            }
            Op::VtaMul(pair, mul) => {
                pair.fields(v)?;
                mul.fields(v)
            }
            Op::VtaPiecewise {
                shape,
                in_layout,
                out_layout,
                map,
            } => {
                v.field("shape", shape)?;
                v.field("in_layout", in_layout)?;
                v.field("out_layout", out_layout)?;
                map.fields(v)
            }
            Op::VtaMaxPool(p) => p.fields(v),
            Op::VtaSumPool(p, requant) => {
                p.fields(v)?;
                v.field("requant", requant)
            }
            Op::VtaSpread(p) => p.fields(v),
            Op::Dense | Op::MatMul | Op::GlobalAvgPool | Op::VtaConcat => Ok(()),
            Op::Relu | Op::Sigmoid | Op::HardSwish | Op::Silu => Ok(()),
            Op::Add | Op::Sub | Op::Mul | Op::Div => Ok(()),
        }
    }
}

/// What may be missing: `none`, or itself.
macro_rules! optional {
    ($($ty:ident: $blank:ident),+) => {$(
        impl Attribute for Option<$ty> {
            fn print(&mut self, out: &mut String) {
                match self {
                    Some(value) => value.print(out),
                    None => out.push_str("none"),
                }
            }

            fn read(&mut self, from: &mut Lexer<'_>) -> Result<(), Reason> {
                if from.take("none") {
                    return Ok(());
                }
                self.insert($blank()).read(from)
            }
        }
    )+};
}

optional! { BlockedLayout: layout, Window: window }

fn window() -> Window {
    Window {
        kernel: [0; 2],
        stride: [0; 2],
        dilation: [0; 2],
        pads: [0; 4],
    }
}

fn layout() -> BlockedLayout {
    BlockedLayout {
        batch: 0,
        lanes: 0,
        border: [0; 4],
        fill: 0,
    }
}

/// An operator with every attribute zero or empty, to be read into; `dtype` is the type of
/// its result.
pub(super) fn blank(name: &str, dtype: DType) -> Option<Op> {
    let conv = || ConvAttrs {
        window: window(),
        groups: 0,
    };
    let pool = || PoolAttrs {
        window: window(),
        extra: [0; 2],
        count_include_pad: false,
    };
    let quant = || Quant {
        scale: vec![],
        zero_point: vec![],
        axis: 0,
    };
    let requant = || Requant {
        mult: vec![],
        add: vec![],
        shift: 0,
        lo: 0,
        hi: 0,
    };
    let add = || AddEpilogue {
        mult_a: 0,
        mult_b: 0,
        add: 0,
        shift: 0,
        lo: 0,
        hi: 0,
    };
    let pieces = || Pieces {
        pieces: vec![],
        add: 0,
    };
    let mul = || MulEpilogue {
        zero_point: 0,
        gate: pieces(),
        add: 0,
        shift: 0,
        lo: 0,
        hi: 0,
    };
    let piecewise = || Piecewise {
        function: pieces(),
        shift: 0,
        lo: 0,
        hi: 0,
    };
    let pair = || PackedPair {
        in_shapes: [[0; 4]; 2],
        in_layouts: [layout(), layout()],
        out_layout: layout(),
    };
    let packed_pool = || PackedPool {
        in_shape: [0; 4],
        out_shape: [0; 4],
        window: window(),
        pad: 0,
        in_layout: layout(),
        out_layout: layout(),
    };
    let all = [
        Op::Conv(conv()),
        Op::Dense,
        Op::MatMul,
        Op::BatchNorm { epsilon: 0.0 },
        Op::Relu,
        Op::LeakyRelu { alpha: 0.0 },
        Op::Sigmoid,
        Op::HardSwish,
        Op::Silu,
        Op::Clip { lo: 0.0, hi: 0.0 },
        Op::Add,
        Op::Sub,
        Op::Mul,
        Op::Div,
        Op::MaxPool(pool()),
        Op::AvgPool(pool()),
        Op::GlobalAvgPool,
        Op::ReduceMean {
            axes: vec![],
            keep_dims: false,
        },
        Op::Softmax { axis: 0 },
        Op::Reshape { shape: vec![] },
        Op::Transpose { perm: vec![] },
        Op::Concat { axis: 0 },
        Op::Pad {
            before: vec![],
            after: vec![],
            value: 0.0,
        },
        Op::Im2col {
            kernel: [0; 2],
            stride: [0; 2],
            dilation: [0; 2],
        },
        Op::Slice {
            start: vec![],
            end: vec![],
            step: vec![],
        },
        Op::DepthToSpace {
            block: [0; 2],
            groups: 0,
            channels: 0,
        },
        Op::Resize { factors: [0; 2] },
        Op::Quantize(quant(), dtype),
        Op::Dequantize(quant()),
        Op::QConv(conv(), 0),
        Op::QDense(0),
        Op::Requantize(requant(), dtype),
        Op::QAccumulate {
            mult: vec![],
            zero_point: 0,
        },
        Op::QAdd(add(), dtype),
        Op::QMul(mul(), dtype),
        Op::QPiecewise(piecewise(), dtype),
        Op::QSumPool(pool(), 0),
        Op::Pack(layout()),
        Op::Unpack {
            layout: layout(),
            shape: [0; 4],
        },
        Op::VtaConv(PackedConv {
            in_shape: [0; 4],
            out_shape: [0; 4],
            window: window(),
            pad: 0,
            groups: 0,
            in_layout: layout(),
            out_layout: layout(),
            requant: requant(),
            residual: None,
            pool: None,
        }),
        Op::VtaAdd(pair(), add()),
        Op::VtaMul(pair(), mul()),
        Op::VtaPiecewise {
            shape: [0; 4],
            in_layout: layout(),
            out_layout: layout(),
            map: piecewise(),
        },
        Op::VtaMaxPool(packed_pool()),
        Op::VtaSumPool(packed_pool(), requant()),
        Op::VtaSpread(PackedSpread {
            in_shape: [0; 4],
            out_shape: [0; 4],
            block: [0; 2],
            in_layout: layout(),
            out_layout: layout(),
        }),
        Op::VtaConcat,
    ];
    all.into_iter().find(|op| op.name() == name)
}
