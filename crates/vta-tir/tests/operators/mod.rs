//! Naive operators over packed tensors.

use proptest::prelude::Strategy;
use vta_tir::{
    Access, Buffer, DType, Direction, Expr, Geometry, Program, Scope, Stmt, Value, ValueOp, var,
};

/// A convolution over packed tensors, followed by a per-channel affine requantization and a clip.
///
/// `x[N, CI, H, W, B, bi]`, `w[CO, CI, KH, KW, bo, bi]`, `p[CO, 2, B, bo]`, `y[N, CO, OH, OW, B, bo]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conv {
    pub(crate) geometry: Geometry,
    pub(crate) images: i64,
    pub(crate) channels: (i64, i64),
    pub(crate) size: (i64, i64),
    pub(crate) kernel: (i64, i64),
    pub(crate) stride: i64,
    pub(crate) dilation: i64,
    pub(crate) pad: i64,
    pub(crate) pad_value: i32,
}

impl Conv {
    pub(crate) fn out_size(&self) -> (i64, i64) {
        let out =
            |n: i64, k: i64| (n + 2 * self.pad - self.dilation * (k - 1) - 1) / self.stride + 1;
        (
            out(self.size.0, self.kernel.0),
            out(self.size.1, self.kernel.1),
        )
    }

    /// Stage `i` names its loops `n{i}`, `co{i}`, `oy{i}`, `ox{i}`, `b{i}`, `o{i}`; stage 1 is the reduction and adds
    /// `ci`, `ky`, `kx`, `k`.
    pub(crate) fn program(&self) -> Program {
        let Geometry {
            batch,
            block_in,
            block_out,
        } = self.geometry;
        let ((oh, ow), (ci, co)) = (self.out_size(), self.channels);
        let out_shape = [self.images, co, oh, ow, batch, block_out];
        let acc = Buffer::new("acc", Scope::Dram, DType::I32, out_shape);
        let loops = |stage: usize| -> Vec<(String, i64)> {
            ["n", "co", "oy", "ox", "b", "o"]
                .iter()
                .zip(out_shape)
                .map(|(v, e)| (format!("{v}{stage}"), e))
                .collect()
        };
        let idx = |stage: usize| -> Vec<Expr> {
            loops(stage).iter().map(|(v, _)| var(v.as_str())).collect()
        };
        let at = |stage| acc.at(idx(stage));
        let nest = |stage: usize, stmt| Stmt::nest(loops(stage), vec![stmt]).remove(0);

        let (s, d) = (self.stride, self.dilation);
        let i = idx(1);
        let row = i[2].clone() * s + var("ky") * d - self.pad;
        let column = i[3].clone() * s + var("kx") * d - self.pad;
        let x = Access::new(
            "x",
            [i[0].clone(), var("ci"), row, column, i[4].clone(), var("k")],
        );
        let w = Access::new(
            "w",
            [
                i[1].clone(),
                var("ci"),
                var("ky"),
                var("kx"),
                i[5].clone(),
                var("k"),
            ],
        );
        let product = x.read_padded(self.pad_value).bin(ValueOp::Mul, w.read());
        let reduction = Stmt::Accumulate {
            dst: at(1),
            value: product,
        };
        let mut all: Vec<(String, i64)> = loops(1);
        all.splice(
            4..4,
            [
                ("ci".into(), ci),
                ("ky".into(), self.kernel.0),
                ("kx".into(), self.kernel.1),
            ],
        );
        all.push(("k".into(), block_in));

        let stage = |stage: usize, op, operand: Value| {
            nest(
                stage,
                Stmt::Assign {
                    dst: at(stage),
                    value: at(stage).read().bin(op, operand),
                },
            )
        };
        let param = |stage: usize, j: i64| {
            let i = idx(stage);
            Access::new(
                "p",
                [i[1].clone(), Expr::Const(j), i[4].clone(), i[5].clone()],
            )
            .read()
        };
        let y = Access::new("y", idx(7));
        let stages = vec![
            nest(
                0,
                Stmt::Assign {
                    dst: at(0),
                    value: 0.into(),
                },
            ),
            Stmt::nest(all, vec![reduction]).remove(0),
            stage(2, ValueOp::Mul, param(2, 0)),
            stage(3, ValueOp::Add, param(3, 1)),
            stage(4, ValueOp::Shr, 4.into()),
            stage(5, ValueOp::Max, (-100).into()),
            stage(6, ValueOp::Min, 100.into()),
            nest(
                7,
                Stmt::Assign {
                    dst: y,
                    value: at(7).read().cast(DType::I8),
                },
            ),
        ];
        let mut program = Program::new("conv2d")
            .param(
                Direction::In,
                "x",
                DType::I8,
                [self.images, ci, self.size.0, self.size.1, batch, block_in],
            )
            .param(
                Direction::In,
                "w",
                DType::I8,
                [co, ci, self.kernel.0, self.kernel.1, block_out, block_in],
            )
            .param(Direction::In, "p", DType::I32, [co, 2, batch, block_out])
            .param(Direction::Out, "y", DType::I8, out_shape);
        program.body = vec![Stmt::Alloc {
            buffer: acc,
            body: stages,
        }];
        program
    }
}

/// Small convolutions of every kind.
pub(crate) fn convs() -> impl Strategy<Value = Conv> {
    let geometry = (1i64..3, 1i64..4, 1i64..4).prop_map(|(batch, block_in, block_out)| Geometry {
        batch,
        block_in,
        block_out,
    });
    let shape = ((1i64..3, 1i64..4), (3i64..8, 3i64..8), (1i64..4, 1i64..4));
    (
        geometry,
        1i64..3,
        shape,
        1i64..3,
        1i64..3,
        (0i64..3, -128..=127),
    )
        .prop_map(
            |(geometry, images, (channels, size, kernel), stride, dilation, (pad, pad_value))| {
                Conv {
                    geometry,
                    images,
                    channels,
                    size: (size.0 + 2, size.1 + 2),
                    kernel,
                    stride,
                    dilation,
                    pad,
                    pad_value,
                }
            },
        )
}
