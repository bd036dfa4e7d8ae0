//! Where the hardware has the image of a trial.
//!
//! The hardware joins a pointer to the addresses of each memory, which the simulators do not. For the
//! comparison it has its image at another place, and runs instructions whose addresses lack what the
//! pointers bring back.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use vta_isa::{Body, Design, INSN_BYTES, Insn, MemInsn, MemType, PAGE_BYTES};
use vta_sim::Dram;

use super::Trial;

/// The place and the pointers that go with it. The default is the place of the trial, with pointers of 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Bits that the hardware's addresses have more.
    high: u64,
    /// By the order of their registers: micro-ops, inputs, weights, accumulators, outputs.
    pub pointers: [u64; 5],
}

impl Placement {
    /// Anywhere among the design's addresses. A pointer also has some of the bits that all addresses of the
    /// image share.
    pub(super) fn draw(design: &Design, rng: &mut ChaCha8Rng, image: &Dram) -> Placement {
        let above = |highest: u64| !(u64::MAX >> highest.leading_zeros());
        let addresses = u64::MAX >> (64 - design.addr_bits());
        let high = rng.random::<u64>() & above(image.end()) & addresses;
        let differing = (image.base ^ (image.end() - 1)) | (PAGE_BYTES as u64 - 1);
        let shared = image.base & above(differing);
        Placement {
            high,
            pointers: [0; 5].map(|_: u64| high | (rng.random::<u64>() & shared)),
        }
    }

    /// The pointer of a memory.
    pub(crate) fn pointer(&self, memory: MemType) -> u64 {
        let [uop, inp, wgt, acc, out] = self.pointers;
        match memory {
            MemType::Uop => uop,
            MemType::Inp => inp,
            MemType::Wgt | MemType::Rqt => wgt,
            MemType::Acc | MemType::Acc8 => acc,
            MemType::Out => out,
        }
    }

    /// The trial as the hardware runs it.
    pub(super) fn place(&self, design: &Design, trial: &Trial) -> Trial {
        let mut placed = trial.with_insns(&self.relative(design, trial.insns()));
        placed.address |= self.high;
        placed.image.base |= self.high;
        placed
    }

    /// The image after the hardware ran `placed`, as if it had run `trial`.
    pub(super) fn back(&self, trial: &Trial, placed: &Trial, mut image: Dram) -> Dram {
        image.base = trial.image.base;
        // Whatever writes over the stream shows.
        match image.get_mut(trial.address, trial.insns().len()) {
            Some(insns) if insns == placed.insns() => insns.copy_from_slice(trial.insns()),
            _ => {}
        }
        image
    }

    /// The stream that means with these pointers what `insns` means without.
    fn relative(&self, design: &Design, insns: &[u8]) -> Vec<u8> {
        let relative = |bytes: &[u8]| {
            let mut insn = Insn::decode(design, bytes.try_into().ok()?).ok()?;
            match &mut insn.body {
                Body::Load(mem) | Body::Store(mem) => self.leave_out(design, mem),
                _ => {}
            }
            insn.encode(design).ok()
        };
        let words = insns.chunks_exact(INSN_BYTES);
        let words = words.map(|bytes| relative(bytes).map_or(bytes.to_vec(), |word| word.to_vec()));
        words.flatten().collect()
    }

    fn leave_out(&self, design: &Design, mem: &mut MemInsn) {
        // What moves nothing has no address.
        if let Some(memory) = mem.mem().filter(|_| !mem.is_sync()) {
            // No element is larger than a page, of which pointers are multiples.
            let pointer = self.pointer(memory) / design.elem_bytes(memory) as u64;
            mem.dram_base &= !pointer as u32;
        }
    }
}
