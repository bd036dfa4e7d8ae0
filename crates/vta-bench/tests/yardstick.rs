//! The yardsticks compute what they say.

use vta_bench::yardstick::{Plain, StepByStep};

#[test]
fn a_plain_product_is_one() {
    let size @ [m, n, k] = [16, 64, 24];
    let mut plain = Plain::new(size);
    plain.run();
    for row in 0..m {
        for column in 0..n {
            let right = |at: usize| plain.right(column, at);
            let sum: i32 = (0..k)
                .map(|at| i32::from(plain.left(row, at)) * i32::from(right(at)))
                .sum();
            assert_eq!(
                plain.sums()[row * n + column],
                sum,
                "row {row}, column {column}"
            );
        }
    }
}

#[test]
fn step_by_step_sums_up_every_micro_op() {
    let mut steps = StepByStep::new();
    steps.run();
    let once = steps.acc().to_vec();
    steps.run();
    assert!(once.iter().any(|&sum| sum != 0));
    assert!(
        steps
            .acc()
            .iter()
            .zip(once)
            .all(|(&twice, once)| twice == 2 * once)
    );
}
