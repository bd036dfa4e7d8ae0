//! The stream computes the product, on designs of every shape.

use proptest::prelude::*;
use vta_bench::Gemm;
use vta_isa::{Design, HwConfig};
use vta_sim::FuncSim;

fn designs() -> impl Strategy<Value = Design> {
    // Scratchpads of few elements, so that small products take many tiles.
    let log_bits = (0u32..4, 0u32..4);
    let blocks = (0u32..3, 0u32..4, 0u32..4);
    let spare = (0u32..4, 0u32..4, 0u32..4, 1u32..6);
    (log_bits, blocks, spare).prop_filter_map("no such design", |(bits, blocks, spare)| {
        let elem = |log_width: u32, a: u32, b: u32| (log_width + a + b).checked_sub(3);
        let (batch, block_in, block_out) = blocks;
        let config = HwConfig {
            log_inp_width: bits.0,
            log_wgt_width: bits.1,
            log_batch: batch,
            log_block_in: block_in,
            log_block_out: block_out,
            log_inp_buff_size: elem(bits.0, batch, block_in)? + spare.0,
            log_wgt_buff_size: elem(bits.1, block_in, block_out)? + spare.1,
            log_acc_buff_size: elem(5, batch, block_out)? + spare.2,
            log_uop_buff_size: 2 + spare.3,
            ..HwConfig::default()
        };
        config.design().ok()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn equals_the_product(
        design in designs(),
        size in prop::array::uniform3(1usize..20),
        values in prop::collection::vec(any::<i8>(), 800),
    ) {
        let [m, n, k] = size;
        let narrow = |bits: u32, v: &[i8]| -> Vec<i8> {
            v.iter().map(|&v| v << (8 - bits) >> (8 - bits)).collect()
        };
        let inp = narrow(design.inp_bits(), &values[..m * k]);
        let wgt = narrow(design.wgt_bits(), &values[400..][..n * k]);
        let mut gemm = Gemm::new(&design, size, &inp, &wgt).unwrap();
        let counters = gemm.run(&mut FuncSim::new(&design)).unwrap();
        let expected: Vec<i8> = (0..m * n)
            .map(|i| {
                let products = (0..k).map(|j| {
                    i32::from(inp[i / n * k + j]) * i32::from(wgt[i % n * k + j])
                });
                products.sum::<i32>() as i8
            })
            .collect();
        prop_assert_eq!(gemm.result(), narrow(design.out_bits(), &expected));
        prop_assert!(counters.macs >= gemm.macs());
    }
}
