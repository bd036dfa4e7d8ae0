//! Instructions and micro-ops as structures, and the words that encode them.

use std::fmt;

use crate::field::Values;
use crate::fields::OPCODE_BITS;
use crate::{AluInsn, Deps, Design, EncodeError, GemmInsn, MemInsn, Uop};

/// Bytes of an instruction.
pub const INSN_BYTES: usize = 16;
/// Bytes of a micro-op.
pub const UOP_BYTES: usize = 4;

/// Declares an enumeration of encoded numbers with their names in text.
macro_rules! coded {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[$vmeta:meta])+ $variant:ident = $code:literal, $text:literal; )* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[$vmeta])+ $variant = $code, )* }

        const _: () = {
            let mut code = 0;
            while code < $name::ALL.len() {
                assert!($name::ALL[code] as usize == code, "codes count up from 0");
                code += 1;
            }
        };

        impl $name {
            /// Every value, in the order of the codes.
            pub const ALL: &'static [$name] = &[$( $name::$variant ),*];

            /// The names in assembly text, by code.
            pub const NAMES: &'static [&'static str] = &[$( $text ),*];

            /// The value that `code` encodes, if it is defined.
            pub const fn from_code(code: u8) -> Option<$name> {
                match code {
                    $( $code => Some($name::$variant), )*
                    _ => None,
                }
            }

            /// The number in the encoding.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The name in assembly text.
            pub const fn name(self) -> &'static str {
                Self::NAMES[self as usize]
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

pub(crate) use coded;

coded! {
    /// A memory of the accelerator, as the `memory_type` of LOAD and STORE names it.
    MemType {
        /// Micro-ops.
        Uop = 0, "uop";
        /// Weights.
        Wgt = 1, "wgt";
        /// Inputs.
        Inp = 2, "inp";
        /// Accumulators: the register file.
        Acc = 3, "acc";
        /// Outputs: the low bits of the accumulators.
        Out = 4, "out";
        /// Accumulators loaded from signed 8-bit values.
        Acc8 = 5, "acc8";
        /// Rescalings of channels, in designs with [`Feature::RequantStore`](crate::Feature).
        Rqt = 6, "rqt";
    }
}

coded! {
    /// What an instruction does.
    Opcode {
        /// DRAM to scratchpad.
        Load = 0, "load";
        /// Accumulators to DRAM.
        Store = 1, "store";
        /// Matrix products.
        Gemm = 2, "gemm";
        /// The end of the run.
        Finish = 3, "finish";
        /// Elementwise operations.
        Alu = 4, "alu";
    }
}

coded! {
    /// An elementwise operation.
    AluOp {
        /// The smaller operand.
        Min = 0, "min";
        /// The larger operand.
        Max = 1, "max";
        /// The sum, wrapped.
        Add = 2, "add";
        /// Arithmetic shift right; a negative amount shifts left.
        Shr = 3, "shr";
        /// The low half of the product.
        Mul = 4, "mul";
    }
}

coded! {
    /// A module that runs instructions, each from its own command queue.
    Module {
        /// Loads inputs and weights.
        Load = 0, "load";
        /// Loads micro-ops and accumulators, multiplies, and runs the ALU.
        Compute = 1, "compute";
        /// Stores outputs.
        Store = 2, "store";
    }
}

/// What an instruction does, with its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// DRAM to scratchpad.
    Load(MemInsn),
    /// Accumulators to DRAM.
    Store(MemInsn),
    /// Matrix products.
    Gemm(GemmInsn),
    /// The end of the run.
    Finish,
    /// Elementwise operations.
    Alu(AluInsn),
}

/// What a GEMM does to an accumulator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GemmMode {
    /// Adds the product to it.
    #[default]
    Accumulate,
    /// Makes it the product, in designs with [`Feature::GemmOverwrite`](crate::Feature).
    Overwrite,
    /// Makes it zero; nothing is multiplied.
    Reset,
}

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Insn {
    /// The tokens it pops and pushes.
    pub deps: Deps,
    /// What it does.
    pub body: Body,
    /// The bits that no field covers, in place. They have no effect; ours are zero.
    pub rsv: u128,
}

impl MemInsn {
    /// The memory, unless the code is undefined. A design may lack it: see [`Design::has_memory`].
    pub fn mem(&self) -> Option<MemType> {
        MemType::from_code(self.memory_type)
    }

    /// Whether the instruction moves nothing and only pops and pushes tokens.
    pub fn is_sync(&self) -> bool {
        self.x_size == 0
    }
}

impl GemmInsn {
    /// What it does to accumulators: `reset` goes before `overwrite`.
    pub fn mode(&self) -> GemmMode {
        match (self.reset, self.overwrite) {
            (true, _) => GemmMode::Reset,
            (false, true) => GemmMode::Overwrite,
            (false, false) => GemmMode::Accumulate,
        }
    }
}

impl AluInsn {
    /// The operation, unless the code is undefined.
    pub fn op(&self) -> Option<AluOp> {
        AluOp::from_code(self.alu_opcode)
    }
}

impl Body {
    /// The opcode of this body.
    pub fn opcode(&self) -> Opcode {
        match self {
            Body::Load(_) => Opcode::Load,
            Body::Store(_) => Opcode::Store,
            Body::Gemm(_) => Opcode::Gemm,
            Body::Finish => Opcode::Finish,
            Body::Alu(_) => Opcode::Alu,
        }
    }

    pub(crate) fn values(&self) -> Values {
        match self {
            Body::Load(mem) | Body::Store(mem) => mem.values(),
            Body::Gemm(gemm) => gemm.values(),
            Body::Finish => Values::default(),
            Body::Alu(alu) => alu.values(),
        }
    }

    pub(crate) fn from_values(opcode: Opcode, values: &Values) -> Body {
        match opcode {
            Opcode::Load => Body::Load(MemInsn::from_values(values)),
            Opcode::Store => Body::Store(MemInsn::from_values(values)),
            Opcode::Gemm => Body::Gemm(GemmInsn::from_values(values)),
            Opcode::Finish => Body::Finish,
            Opcode::Alu => Body::Alu(AluInsn::from_values(values)),
        }
    }
}

impl Insn {
    /// An instruction with no reserved bits set.
    pub fn new(deps: Deps, body: Body) -> Insn {
        Insn { deps, body, rsv: 0 }
    }

    /// The module whose queue fetch puts the instruction in.
    pub fn module(&self, design: &Design) -> Module {
        match &self.body {
            Body::Load(mem) => match mem.mem() {
                Some(MemType::Inp | MemType::Wgt) => Module::Load,
                Some(MemType::Rqt) if design.has_memory(MemType::Rqt) => Module::Load,
                _ => Module::Compute,
            },
            Body::Store(_) => Module::Store,
            Body::Gemm(_) | Body::Finish | Body::Alu(_) => Module::Compute,
        }
    }

    /// Reads an instruction. Only an undefined opcode is an error: an undefined memory type or ALU
    /// opcode stays in the structure as it is encoded.
    pub fn decode(design: &Design, bytes: &[u8; INSN_BYTES]) -> Result<Insn, DecodeError> {
        let word = u128::from_le_bytes(*bytes);
        let code = (word as u8) & ((1 << OPCODE_BITS) - 1);
        let opcode = Opcode::from_code(code).ok_or(DecodeError { opcode: code, word })?;
        let (header, layout) = (design.header(), design.layout(opcode));
        Ok(Insn {
            deps: Deps::from_values(&header.unpack(word)),
            body: Body::from_values(opcode, &layout.unpack(word)),
            rsv: word & design.free_bits(opcode),
        })
    }

    /// The instruction's 16 bytes; an error names the field that cannot hold its value.
    pub fn encode(&self, design: &Design) -> Result<[u8; INSN_BYTES], EncodeError> {
        let opcode = self.body.opcode();
        let layout = design.layout(opcode);
        let free = design.free_bits(opcode);
        if self.rsv & !free != 0 {
            let bits = self.rsv & !free;
            return Err(EncodeError::Reserved {
                format: layout.name,
                bits,
                free,
            });
        }
        let header = design.header().pack(&self.deps.values())?;
        let body = layout.pack(&self.body.values())?;
        Ok((u128::from(opcode.code()) | header | body | self.rsv).to_le_bytes())
    }
}

impl Uop {
    /// Reads a micro-op. Bits that no field covers are ignored.
    pub fn decode(design: &Design, word: u32) -> Uop {
        Uop::from_values(&design.uop_layout().unpack(word.into()))
    }

    /// The micro-op's 32 bits; an error names the field that cannot hold its value.
    pub fn encode(&self, design: &Design) -> Result<u32, EncodeError> {
        // The layout of a micro-op ends within 32 bits in every valid design.
        Ok(design.uop_layout().pack(&self.values())? as u32)
    }
}

/// A word that is no instruction: its opcode is undefined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("opcode {opcode} is undefined (word {word:#034x}); the opcodes are 0 to 4")]
pub struct DecodeError {
    /// The opcode.
    pub opcode: u8,
    /// The whole word.
    pub word: u128,
}
