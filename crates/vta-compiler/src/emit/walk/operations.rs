//! Inner nests that end in an operation: kernels of instructions.

use vta_isa::{AluOp, Design, GemmMode, MemType};
use vta_tir::{Access, Name, Operand, Stmt};

use super::{Command, EmitError, Walker};
use crate::emit::fold::{self, Limits, Loop, Nest, OPERANDS};
use crate::emit::linear::Linear;

impl<'a> Walker<'a> {
    /// Folds the nest that starts at `stmt` into instructions, if it is perfect, ends in an
    /// operation, and steps affinely. Returns whether it did.
    pub(super) fn fold(&mut self, stmt: &'a Stmt) -> Result<bool, EmitError> {
        let mut loops: Vec<(&'a Name, u64)> = Vec::new();
        let mut at = stmt;
        while let Stmt::For { var, extent, body } = at {
            let [inner] = body.as_slice() else {
                return Ok(false);
            };
            if loops.iter().any(|(v, _)| extent.mentions(v)) {
                return Ok(false);
            }
            loops.push((var, self.eval(extent)?.max(0) as u64));
            at = inner;
        }
        let (operands, make): ([Option<&Access>; OPERANDS], Make) = match at {
            Stmt::Gemm { acc, inp, wgt } => (
                [Some(acc), Some(inp), Some(wgt)],
                Make::Gemm(GemmMode::Accumulate),
            ),
            Stmt::Reset { acc } => ([Some(acc), None, None], Make::Gemm(GemmMode::Reset)),
            Stmt::Alu {
                op,
                dst,
                src: Operand::Elem(src),
            } => (
                [Some(dst), Some(src), None],
                Make::Alu {
                    op: alu_op(*op),
                    imm: None,
                },
            ),
            // Some implementations read the source register here, so it is the destination.
            Stmt::Alu {
                op,
                dst,
                src: Operand::Imm(imm),
            } => (
                [Some(dst), Some(dst), None],
                Make::Alu {
                    op: alu_op(*op),
                    imm: Some(*imm),
                },
            ),
            _ => return Ok(false),
        };
        if let Make::Alu { op, .. } = make {
            if !self.design.has_alu(op) {
                return Err(self.form(format!("the ALU of this design lacks {}", op.name())));
            }
        }
        let mut nest = Nest {
            base: [0; OPERANDS],
            loops: loops
                .iter()
                .map(|&(_, extent)| Loop {
                    extent,
                    step: [0; OPERANDS],
                })
                .collect(),
        };
        for (k, access) in operands.into_iter().enumerate() {
            let Some(access) = access else { continue };
            let Some((base, steps)) = self.affine(access, &loops)? else {
                return Ok(false);
            };
            nest.base[k] = base;
            for (l, step) in nest.loops.iter_mut().zip(steps) {
                l.step[k] = step;
            }
        }
        for kernel in fold::fold(&nest, &make.limits(self.design)) {
            self.out.push(match make {
                Make::Gemm(mode) => Command::Gemm { mode, kernel },
                Make::Alu { op, imm } => Command::Alu { op, imm, kernel },
            });
        }
        Ok(true)
    }

    /// The element index of `access` with all of `loops` at 0, and its step in each of them;
    /// `None` if it is not linear in one, or steps backwards.
    #[allow(clippy::type_complexity)]
    fn affine(
        &self,
        access: &Access,
        loops: &[(&Name, u64)],
    ) -> Result<Option<(u64, Vec<u64>)>, EmitError> {
        let placed = self.find(&access.buffer)?;
        let mut total = Linear::constant(placed.at as i64, loops.len());
        let mut stride = 1i64;
        for (e, &dim) in access.idx.iter().zip(&placed.dims).rev() {
            let Some(index) = Linear::of(e, loops, &|e| self.eval(e))? else {
                return Ok(None);
            };
            total.add(&index, stride);
            stride *= dim as i64;
        }
        let Linear { base, steps } = total;
        if base < 0 || steps.iter().any(|&s| s < 0) {
            return Ok(None);
        }
        Ok(Some((
            base as u64,
            steps.into_iter().map(|s| s as u64).collect(),
        )))
    }
}

#[derive(Clone, Copy)]
enum Make {
    Gemm(GemmMode),
    Alu { op: AluOp, imm: Option<i32> },
}

impl Make {
    fn limits(self, design: &Design) -> Limits {
        let source = match self {
            Make::Gemm(_) => design.max_factor_src(),
            Make::Alu { .. } => design.max_factor_alu_src(),
        };
        let step = [design.max_factor_dst(), source, design.max_factor_wgt()].map(u64::from);
        Limits {
            iter: design.max_iter().into(),
            step,
            uops: u64::from(design.depth(MemType::Uop)),
        }
    }
}

fn alu_op(op: vta_tir::AluOp) -> AluOp {
    match op {
        vta_tir::AluOp::Min => AluOp::Min,
        vta_tir::AluOp::Max => AluOp::Max,
        vta_tir::AluOp::Add => AluOp::Add,
        vta_tir::AluOp::Shr => AluOp::Shr,
        vta_tir::AluOp::Mul => AluOp::Mul,
    }
}
