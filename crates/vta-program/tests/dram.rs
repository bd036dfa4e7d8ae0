//! The DRAM allocator against a map of pages.

use proptest::prelude::*;
use vta_isa::PAGE_BYTES;
use vta_program::{AllocError, DramAllocator, SubBuffers};

const PAGE: u64 = PAGE_BYTES as u64;

/// Pages, each free or not; page 0 never.
struct Model(Vec<bool>);

impl Model {
    fn largest_run(&self) -> usize {
        self.0
            .split(|&used| used)
            .map(<[bool]>::len)
            .max()
            .unwrap_or(0)
    }

    fn first_run(&self, pages: usize) -> Option<usize> {
        self.0
            .windows(pages)
            .position(|w| w.iter().all(|&used| !used))
    }
}

proptest! {
    #[test]
    fn equals_a_map_of_pages(
        pages in 1usize..24,
        base_page in 0u64..3,
        tail in 0u64..PAGE,
        requests in prop::collection::vec((any::<bool>(), 0u64..6 * PAGE, any::<prop::sample::Index>()), 1..120),
    ) {
        let base = base_page * PAGE;
        let mut dram = DramAllocator::new(base, pages as u64 * PAGE + tail);
        let mut model = Model(vec![false; pages]);
        model.0[0] = base == 0;
        let mut live: Vec<(u64, usize)> = Vec::new();
        for (free, bytes, which) in requests {
            if free && !live.is_empty() {
                let (address, len) = live.swap_remove(which.index(live.len()));
                dram.free(address).unwrap();
                prop_assert_eq!(dram.free(address), Err(AllocError::NotAllocated { address }));
                let first = ((address - base) / PAGE) as usize;
                model.0[first..first + len].fill(false);
                continue;
            }
            let wanted = bytes.div_ceil(PAGE) as usize;
            match dram.alloc(bytes) {
                Ok(address) => {
                    prop_assert_eq!(address % PAGE, 0);
                    prop_assert_ne!(address, 0);
                    let first = ((address - base) / PAGE) as usize;
                    prop_assert_eq!(Some(first), model.first_run(wanted));
                    model.0[first..first + wanted].fill(true);
                    prop_assert_eq!(dram.containing(address + bytes - 1), Some((address, wanted as u64 * PAGE)));
                    live.push((address, wanted));
                }
                Err(AllocError::Empty) => prop_assert_eq!(bytes, 0),
                Err(AllocError::Exhausted { largest, .. }) => {
                    prop_assert_eq!(largest, model.largest_run() as u64 * PAGE);
                    prop_assert!(model.first_run(wanted).is_none());
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
            let used = live.iter().map(|l| l.1 as u64 * PAGE).sum::<u64>();
            prop_assert_eq!(dram.used_bytes(), used);
        }
        for (address, _) in live {
            dram.free(address).unwrap();
        }
        // All free ranges have become one again.
        let all = pages - usize::from(base == 0);
        if all > 0 {
            prop_assert!(dram.alloc(all as u64 * PAGE).is_ok());
        }
    }
}

#[test]
fn the_end_of_the_address_space_is_no_special_place() {
    let mut dram = DramAllocator::new(u64::MAX - 3 * PAGE, u64::MAX);
    assert_eq!(
        dram.alloc(u64::MAX)
            .unwrap_err()
            .to_string()
            .split(':')
            .next(),
        Some("device memory is exhausted")
    );
    let a = dram.alloc(2 * PAGE).unwrap();
    dram.free(a).unwrap();
}

#[test]
fn sub_buffers_are_aligned_to_their_elements() {
    let mut layout = SubBuffers::new();
    assert_eq!(layout.place(10, 4), Some(0));
    assert_eq!(layout.place(300, 256), Some(256));
    assert_eq!(layout.place(16, 16), Some(560));
    assert_eq!(layout.bytes(), 576);
    assert_eq!(layout.place(u64::MAX, 1), None);
}
