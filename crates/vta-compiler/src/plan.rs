//! DRAM planning by lifetime: buffers that are never live together share addresses.

use vta_isa::PAGE_BYTES;

/// Alignment of every buffer: a page, which every element size divides.
pub const ALIGN: u64 = PAGE_BYTES as u64;

/// A buffer to be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Size in bytes.
    pub bytes: u64,
    /// First step that writes it.
    pub first: usize,
    /// Last step that reads it, at least `first`.
    pub last: usize,
}

impl Request {
    fn overlaps(&self, other: &Request) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Offsets for `requests` and the bytes that they span together.
///
/// Largest first, each at the lowest offset where it fits beside those that live at the same
/// time: the greedy-by-size order of Pisarchyk and Lee (2020), deterministic for equal sizes.
pub fn place(requests: &[Request]) -> (Vec<u64>, u64) {
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(requests[i].bytes), i));
    let mut offsets = vec![0u64; requests.len()];
    let mut placed: Vec<usize> = Vec::new();
    for i in order {
        let mut taken: Vec<(u64, u64)> = placed
            .iter()
            .filter(|&&j| requests[i].overlaps(&requests[j]))
            .map(|&j| (offsets[j], offsets[j] + aligned(requests[j].bytes)))
            .collect();
        taken.sort_unstable();
        let mut at = 0;
        for (begin, end) in taken {
            if at + aligned(requests[i].bytes) <= begin {
                break;
            }
            at = at.max(end);
        }
        offsets[i] = at;
        placed.push(i);
    }
    let span = (0..requests.len())
        .map(|i| offsets[i] + aligned(requests[i].bytes))
        .max();
    (offsets, span.unwrap_or(0))
}

/// `bytes` rounded up to whole pages.
pub fn aligned(bytes: u64) -> u64 {
    bytes.div_ceil(ALIGN) * ALIGN
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn live_buffers_never_overlap(
            raw in prop::collection::vec((1u64..40_000, 0usize..12, 0usize..5), 1..25),
        ) {
            let requests: Vec<Request> = raw
                .into_iter()
                .map(|(bytes, first, more)| Request { bytes, first, last: first + more })
                .collect();
            let (offsets, span) = place(&requests);
            for (i, a) in requests.iter().enumerate() {
                prop_assert_eq!(offsets[i] % ALIGN, 0);
                prop_assert!(offsets[i] + a.bytes <= span);
                for (j, b) in requests.iter().enumerate().skip(i + 1) {
                    let apart = offsets[i] + a.bytes <= offsets[j]
                        || offsets[j] + b.bytes <= offsets[i];
                    prop_assert!(apart || !a.overlaps(b));
                }
            }
        }
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        let chain: Vec<Request> = (0..6)
            .map(|i| Request {
                bytes: 10_000,
                first: i,
                last: i + 1,
            })
            .collect();
        assert_eq!(place(&chain).1, 2 * aligned(10_000));
    }
}
