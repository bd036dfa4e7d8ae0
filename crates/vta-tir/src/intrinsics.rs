//! What the hardware intrinsics mean, written as loop nests.
//!
//! Tensorizing is unifying an innermost nest with one of these bodies.

use crate::expr::var;
use crate::program::{Buffer, DType, Direction, Param, Program, Scope};
use crate::stmt::{AluOp, Stmt};
use crate::value::{Value, ValueOp};

/// The shape of a tensor register and of a weight tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Rows of an input or accumulator element.
    pub batch: i64,
    /// Columns of an input element and of a weight tile.
    pub block_in: i64,
    /// Columns of an accumulator element, rows of a weight tile.
    pub block_out: i64,
}

impl Geometry {
    /// The dimensions of one element of `scope`; nothing for memories that hold no tensor elements.
    pub fn elem(&self, scope: Scope) -> Option<[i64; 2]> {
        match scope {
            Scope::Inp => Some([self.batch, self.block_in]),
            Scope::Wgt => Some([self.block_out, self.block_in]),
            Scope::Acc | Scope::Out => Some([self.batch, self.block_out]),
            Scope::Rqt => Some([self.block_out, RECORD_WORDS]),
            Scope::Dram | Scope::Uop => None,
        }
    }
}

/// Words of 32 bits in the record by which a store rescales a channel.
pub const RECORD_WORDS: i64 = 4;

/// What the magnitude of a record's addend stays below.
pub const ADDEND_LIMIT: u64 = 1 << 61;

/// What a store makes of `x` by a record, given as its words: `clamp((x * mult + add) >> shift, lo, hi)`. The first two words are
/// the addend, low bits first, the third is the multiplier, and the last one's bytes are shift, lowest and highest result.
/// Addends stay below [`ADDEND_LIMIT`], so that no sum passes 64 bits.
pub fn requantized(x: Value, word: impl Fn(i64) -> Value) -> Value {
    use ValueOp::{Add, Max, Min, Mul, Shr, Sub};
    let byte = |i: i64| word(3).bin(Shr, 8 * i - 56).bin(Shr, 56);
    // The low word is read with its sign, which its top bit makes up for.
    let high = word(1).bin(Sub, word(0).bin(Shr, 31)).bin(Shr, -32);
    let add = high.bin(Add, word(0));
    let sum = x.bin(Mul, word(2)).bin(Add, add);
    sum.bin(Shr, byte(0)).bin(Max, byte(1)).bin(Min, byte(2))
}

/// A hardware intrinsic on register elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intrinsic {
    /// [`Stmt::Gemm`]
    Gemm,
    /// [`Stmt::Reset`]
    Reset,
    /// [`Stmt::Alu`] with an immediate; its body is written with the immediate 0, which stands for any.
    AluImm(AluOp),
    /// [`Stmt::Alu`] with an element
    AluElem(AluOp),
}

impl Intrinsic {
    /// The meaning: one nest over element buffers of rank 2, accumulators first, in the operand order of the statement.
    /// Scopes and element shapes are part of it; the types stand for whatever width the design has.
    pub fn program(self, geometry: &Geometry) -> Program {
        let Geometry {
            batch,
            block_in,
            block_out,
        } = *geometry;
        let operand = |name: &str, scope| {
            let shape = geometry.elem(scope).unwrap_or([batch, block_out]);
            Buffer::new(name, scope, DType::I32, shape)
        };
        let acc = operand("acc", Scope::Acc);
        let (b, o, k) = (var("b"), var("o"), var("k"));
        let place = acc.at([b.clone(), o.clone()]);
        let current = place.clone().read();
        let lanes = vec![("b", batch), ("o", block_out)];
        let (name, loops, operands, stmt) = match self {
            Intrinsic::Gemm => {
                let (inp, wgt) = (operand("inp", Scope::Inp), operand("wgt", Scope::Wgt));
                let product = inp
                    .at([&b, &k])
                    .read()
                    .bin(ValueOp::Mul, wgt.at([&o, &k]).read());
                let loops = vec![("b", batch), ("o", block_out), ("k", block_in)];
                (
                    "gemm",
                    loops,
                    vec![acc, inp, wgt],
                    Stmt::Accumulate {
                        dst: place,
                        value: product,
                    },
                )
            }
            Intrinsic::Reset => (
                "reset",
                lanes,
                vec![acc],
                Stmt::Assign {
                    dst: place,
                    value: Value::Const(0),
                },
            ),
            Intrinsic::AluImm(op) => {
                let value = current.bin(op.value_op(), Value::Const(0));
                (
                    op.name(),
                    lanes,
                    vec![acc],
                    Stmt::Assign { dst: place, value },
                )
            }
            Intrinsic::AluElem(op) => {
                let src = operand("src", Scope::Acc);
                let value = current.bin(op.value_op(), src.at([&b, &o]).read());
                (
                    op.name(),
                    lanes,
                    vec![acc, src],
                    Stmt::Assign { dst: place, value },
                )
            }
        };
        let mut program = Program::new(name);
        program.params = operands
            .into_iter()
            .map(|buffer| {
                let direction = if &*buffer.name == "acc" {
                    Direction::Out
                } else {
                    Direction::In
                };
                Param { direction, buffer }
            })
            .collect();
        program.body = Stmt::nest(loops, vec![stmt]);
        program
    }
}
