//! Programs whose queues fill: correct as the others are, and long enough.

mod common;

use common::{design, designs};
use vta_sim::{CheckOptions, FuncSim, Order, RunOptions, check, generate, generate_crowded};

#[test]
fn crowded_programs_are_correct_in_every_order() {
    for (name, design) in designs() {
        let config = design.config();
        let mut longest = 0;
        for seed in 0..30 {
            let program = generate_crowded(&design, seed, 5);
            if let Err(findings) = check(
                &design,
                &program.dram,
                &program.insns,
                &CheckOptions::default(),
            ) {
                panic!("{name}, {seed}: {}", findings[0]);
            }
            let run = |order| {
                let mut dram = program.dram.clone();
                let options = RunOptions {
                    order,
                    ..RunOptions::default()
                };
                let report = FuncSim::new(&design).run(&mut dram, &program.insns, &options);
                report.map(|_| dram).map_err(|fault| fault.to_string())
            };
            assert_eq!(
                run(Order::RoundRobin),
                run(Order::Seeded(seed)),
                "{name}, {seed}"
            );
            longest = longest.max(program.insns.len() / 16);
        }
        let (commands, tokens) = (config.cmd_queue_depth, config.dep_queue_depth);
        assert!(longest > commands as usize, "{name}: {longest}");
        assert!(longest > 2 * tokens as usize, "{name}: {longest}");
    }
}

#[test]
fn queues_of_one_are_never_asked_for_more() {
    let design = design(|c| {
        (c.log_uop_buff_size, c.log_inp_buff_size) = (6, 7);
        (c.log_wgt_buff_size, c.log_acc_buff_size) = (10, 9);
        (c.cmd_queue_depth, c.dep_queue_depth) = (1, 1);
    });
    for seed in 0..2000 {
        for program in [
            generate(&design, seed, 20),
            generate_crowded(&design, seed, 20),
        ] {
            let options = CheckOptions::default();
            if let Err(findings) = check(&design, &program.dram, &program.insns, &options) {
                panic!("{seed}: {}", findings[0]);
            }
        }
    }
}
