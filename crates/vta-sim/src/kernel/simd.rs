//! Which instructions of the host's processor carry out the kernels.

/// Instructions of the host. All give the same results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostSimd {
    /// One micro-op after the other, as the instruction set words it.
    StepByStep,
    /// Blocks of products, in whatever the compiler makes of plain loops.
    Portable,
    /// AVX2, on x86-64.
    Avx2,
    /// AVX-512 with VNNI, on x86-64; in builds by Rust 1.89 or later.
    Avx512,
}

impl HostSimd {
    /// Those that this machine has, the fastest last.
    pub fn available() -> Vec<HostSimd> {
        let all = [Self::StepByStep, Self::Portable, Self::Avx2, Self::Avx512];
        all.into_iter().filter(|simd| simd.is_available()).collect()
    }

    /// The fastest that this machine has.
    pub fn best() -> HostSimd {
        *Self::available().last().expect("two need nothing")
    }

    pub(crate) fn is_available(self) -> bool {
        match self {
            HostSimd::StepByStep | HostSimd::Portable => true,
            #[cfg(target_arch = "x86_64")]
            HostSimd::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(avx512)]
            HostSimd::Avx512 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }

    /// Does the work with these instructions.
    pub(crate) fn run<W: Vectorized>(self, work: W) -> W::Output {
        #[cfg(target_arch = "x86_64")]
        return super::x86::run(self, work);
        #[cfg(not(target_arch = "x86_64"))]
        work.run()
    }
}

/// Plain loops to be compiled for each set of vector instructions. A closure would do, could it be told to be
/// inlined always, without which it is compiled for none.
pub(crate) trait Vectorized {
    type Output;

    /// Inlined always, with all that it calls in its loops.
    fn run(self) -> Self::Output;
}
