// The load module: LOAD of INP, WGT and RQT. An instruction is taken at P by `vta_issue` and run by the
// load engine; it is finished in the cycle after the engine's done.
module vta_load
  import vta_pkg::*;
  import vta_types_pkg::*;
(
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 halt_i,
  // Command queue.
  input  logic                 insn_valid_i,
  input  insn_t                insn_i,
  output logic                 take_o,
  output logic                 retire_o,
  // Token queues from and to compute.
  input  logic                 next_avail_i,
  input  logic                 next_room_i,
  output logic                 pop_next_o,
  output logic                 reserve_next_o,
  output logic                 push_next_o,
  // OR-ed to the addresses in DRAM.
  input  logic [AddrWidth-1:0] inp_base_i,
  input  logic [AddrWidth-1:0] wgt_base_i,
  // Read master.
  output logic                 req_valid_o,
  output burst_t               req_o,
  input  logic                 req_ready_i,
  input  logic                 unit_valid_i,
  input  unit_t                unit_i,
  input  logic [BusWidth-1:0]  unit_data_i,
  output logic                 unit_ready_o,
  // Scratchpads inp and wgt, and the rescaling table.
  output load_write_t          write_o,
  output logic                 fault_o,
  output fault_e               fault_code_o
);
  localparam int unsigned Window = 4;

  mem_insn_t insn;
  assign insn = mem_insn_t'(insn_i);

  logic free, done, finished_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) finished_q <= 1'b0;
    else finished_q <= done;
  end

  // There is no module before this one.
  logic unused_pop_prev, unused_reserve_prev, unused_push_prev, unused_busy;
  vta_issue #(
    .Window(Window)
  ) u_issue (
    .clk_i,
    .rst_ni,
    .halt_i,
    .valid_i(insn_valid_i),
    .pop_prev_i(1'b0),
    .pop_next_i(insn.pop_next),
    .push_prev_i(1'b0),
    .push_next_i(insn.push_next),
    .prev_avail_i(1'b0),
    .next_avail_i,
    .prev_room_i(1'b0),
    .next_room_i,
    .pop_prev_o(unused_pop_prev),
    .pop_next_o,
    .reserve_prev_o(unused_reserve_prev),
    .reserve_next_o,
    .push_prev_o(unused_push_prev),
    .push_next_o,
    .free_i(free),
    .take_o,
    .finished_i(finished_q),
    .retire_o,
    .busy_o(unused_busy)
  );

  vta_load_engine #(
    .Memories((8'd1 << MemInp) | (8'd1 << MemWgt) | (8'(HasRequantStore) << MemRqt)),
    .Depth(Window)
  ) u_engine (
    .clk_i,
    .rst_ni,
    .take_i(take_o),
    .insn_i(insn),
    .base_i(insn.memory_type == MemInp ? inp_base_i : wgt_base_i),
    .free_o(free),
    .req_valid_o,
    .req_o,
    .req_ready_i,
    .unit_valid_i,
    .unit_i,
    .unit_data_i,
    .unit_ready_o,
    .write_o,
    .done_o(done),
    .fault_o,
    .fault_code_o
  );
endmodule
