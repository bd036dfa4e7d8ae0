// The compute module: GEMM, ALU, FINISH and the loads of micro-ops and accumulators. A taken
// instruction (P) waits in a register until it starts (X); GEMM and ALU then run through the sequencer,
// the GEMM core and the register file, a slot a cycle, loads through the load engine. An ACC load
// waits until the results of the slots before are written. Ends are put in order before they retire.
module vta_compute
  import vta_pkg::*;
  import vta_types_pkg::*;
#(
  localparam int unsigned AccSlices = (AccBits > BusWidth) ? AccBits / BusWidth : 1
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   halt_i,  // take and start nothing more

  // The command queue.
  input  logic                   insn_valid_i,
  input  insn_t                  insn_i,
  output logic                   take_o,
  output logic                   retire_o,

  // The token queues: load is the previous module, store the next.
  input  logic                   prev_avail_i,
  input  logic                   next_avail_i,
  input  logic                   prev_room_i,
  input  logic                   next_room_i,
  output logic                   pop_prev_o,
  output logic                   pop_next_o,
  output logic                   reserve_prev_o,
  output logic                   reserve_next_o,
  output logic                   push_prev_o,
  output logic                   push_next_o,

  // OR-ed to addresses in DRAM.
  input  logic [AddrWidth-1:0]   uop_base_i,
  input  logic [AddrWidth-1:0]   acc_base_i,

  // The read master, as in vta_load_engine.
  output logic                   req_valid_o,
  output burst_t                 req_o,
  input  logic                   req_ready_i,
  input  logic                   unit_valid_i,
  input  unit_t                  unit_i,
  input  logic [BusWidth-1:0]    unit_data_i,
  output logic                   unit_ready_o,

  // The scratchpads, as in vta_scratchpads.
  output logic                   inp_re_o,
  output logic [LogInpDepth-1:0] inp_addr_o,
  input  logic [InpBits-1:0]     inp_rdata_i,
  output logic                   wgt_re_o,
  output logic [LogWgtDepth-1:0] wgt_addr_o,
  input  logic [WgtBits-1:0]     wgt_rdata_i,
  output logic [AccSlices-1:0]   out_we_o,
  output logic [LogAccDepth-1:0] out_waddr_o,
  output logic [MirrorBits-1:0]  out_wdata_o,

  output logic                   slot_o,      // a GEMM or ALU slot is issued
  output logic                   load_we_o,   // a load writes
  output logic                   finished_o,  // FINISH has retired
  output logic                   fault_o,
  output fault_e                 fault_code_o
);
  localparam int unsigned Window = 16;
  // From the issue of a slot to the write of its result.
  localparam int unsigned SlotLatency = 6 + GemmPipeline;

  // P: take and retire.
  logic free, done, busy;
  insn_t insn_q;

  vta_issue #(
    .Window(Window)
  ) u_issue (
    .clk_i,
    .rst_ni,
    .halt_i,
    .valid_i(insn_valid_i),
    .pop_prev_i(insn_i.pop_prev),
    .pop_next_i(insn_i.pop_next),
    .push_prev_i(insn_i.push_prev),
    .push_next_i(insn_i.push_next),
    .prev_avail_i,
    .next_avail_i,
    .prev_room_i,
    .next_room_i,
    .pop_prev_o,
    .pop_next_o,
    .reserve_prev_o,
    .reserve_next_o,
    .push_prev_o,
    .push_next_o,
    .free_i(free),
    .take_o,
    .finished_i(done),
    .retire_o,
    .busy_o(busy)
  );

  // What an instruction asks for, found while it is taken.
  typedef struct packed {
    logic slots;  // GEMM, ALU
    logic load;
    logic drain;  // a load that may overwrite what slots have read
  } class_t;

  mem_insn_t mem_insn;
  class_t class_d, class_q;
  assign mem_insn = mem_insn_t'(insn_i);
  always_comb begin
    class_d.slots = insn_i.opcode == OpGemm || insn_i.opcode == OpAlu;
    class_d.load = insn_i.opcode == OpLoad && mem_insn.x_size != '0;
    class_d.drain = class_d.load && mem_insn.memory_type != MemUop;
  end

  // X: start. One that is neither slots nor a load ends in the next cycle.
  logic waiting_q, finish_q, loading_q, nothing_q;
  logic start, start_slots, start_empty, start_load;
  logic load_done, load_done_q;
  logic slots_free, slots_empty, slots_last;
  logic drained;

  assign start = waiting_q && !halt_i && slots_free && !loading_q && (drained || !class_q.drain);
  assign start_slots = start && class_q.slots;
  assign start_empty = start_slots && slots_empty;
  assign start_load = start && class_q.load;
  assign free = !waiting_q || start;
  assign finished_o = finish_q && !busy;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      waiting_q <= 1'b0;
      finish_q <= 1'b0;
      loading_q <= 1'b0;
      load_done_q <= 1'b0;
      nothing_q <= 1'b0;
    end else begin
      waiting_q <= take_o || !free;
      finish_q <= finish_q || (take_o && insn_i.opcode == OpFinish);
      loading_q <= start_load || (loading_q && !load_done);
      load_done_q <= load_done;
      nothing_q <= start && !class_q.slots && !class_q.load;
    end
    if (take_o) begin
      insn_q <= insn_i;
      class_q <= class_d;
    end
  end

  // Results are written SlotLatency cycles after Z; that of an instruction without slots is its X.
  logic [SlotLatency-1:0] last_q, empty_q;
  logic [$clog2(SlotLatency)-1:0] drain_q;
  assign drained = drain_q == '0 && !slot_o;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      last_q <= '0;
      empty_q <= '0;
      drain_q <= '0;
    end else begin
      last_q <= {last_q[SlotLatency-2:0], slots_last};
      empty_q <= {empty_q[SlotLatency-2:0], start_empty};
      if (slots_last || start_empty) drain_q <= $bits(drain_q)'(SlotLatency - 1);
      else if (drain_q != '0) drain_q <= drain_q - 1'b1;
    end
  end

  vta_in_order #(
    .Depth(Window),
    .Kinds(3)
  ) u_in_order (
    .clk_i,
    .rst_ni,
    .start_i({start && !class_q.slots, start_empty, start_slots && !slots_empty}),
    .end_i({load_done_q || nothing_q, empty_q[SlotLatency-1], last_q[SlotLatency-1]}),
    .done_o(done)
  );

  // Loads.
  load_write_t load_write;
  logic load_free, load_fault;
  fault_e load_fault_code;

  vta_load_engine #(
    .Memories(8'((1 << MemUop) | (1 << MemAcc) | (32'(HasAcc8) << MemAcc8)))
  ) u_load_engine (
    .clk_i,
    .rst_ni,
    .take_i(start_load),
    .insn_i(mem_insn_t'(insn_q)),
    .base_i(class_q.drain ? acc_base_i : uop_base_i),
    .free_o(load_free),
    .req_valid_o,
    .req_o,
    .req_ready_i,
    .unit_valid_i,
    .unit_i,
    .unit_data_i,
    .unit_ready_o,
    .write_o(load_write),
    .done_o(load_done),
    .fault_o(load_fault),
    .fault_code_o(load_fault_code)
  );

  // Slots, from z to z + 3.
  logic uop_re;
  logic [LogUopDepth-1:0] uop_addr;
  uop_t uop;
  slot_t slot_3;
  logic sequencer_fault;
  fault_e sequencer_fault_code;

  vta_sequencer u_sequencer (
    .clk_i,
    .rst_ni,
    .start_i(start_slots),
    .insn_i(insn_q),
    .free_o(slots_free),
    .empty_o(slots_empty),
    .slot_o,
    .last_o(slots_last),
    .uop_re_o(uop_re),
    .uop_addr_o(uop_addr),
    .uop_i(uop),
    .slot_3_o(slot_3),
    .inp_addr_o,
    .wgt_addr_o,
    .fault_o(sequencer_fault),
    .fault_code_o(sequencer_fault_code)
  );

  vta_uop_mem u_uop_mem (
    .clk_i,
    .we_i(load_write.we && load_write.mem == MemUop),
    .waddr_i(load_write.addr[LogUopDepth-1:0]),
    .lane_lo_i(load_write.first[LogBusBytes-1:LogUopBytes]),
    .lane_hi_i(load_write.tail[LogBusBytes-1:LogUopBytes]),
    .beat_i(load_write.zero ? '0 : load_write.data),
    .re_i(uop_re),
    .raddr_i(uop_addr),
    .uop_o(uop)
  );

  // From z + 3 on: operands to the GEMM core at z + 5, sums at z + 5 + p; to the register file at
  // z + 3 + p.
  logic multiply_4_q, multiply_5_q;
  slot_t slot_q[GemmPipeline];
  logic [Batch*BlockOut-1:0][InpWidth+WgtWidth+$clog2(BlockIn)-1:0] sum;

  assign inp_re_o = slot_3.write && slot_3.multiply;
  assign wgt_re_o = inp_re_o;

  always_ff @(posedge clk_i) begin
    multiply_4_q <= inp_re_o;
    multiply_5_q <= multiply_4_q;
    for (int unsigned s = 0; s < GemmPipeline; s++) begin
      if (!rst_ni) slot_q[s] <= '0;
      else slot_q[s] <= (s == 0) ? slot_3 : slot_q[(s == 0) ? 0 : s - 1];
    end
  end

  vta_gemm u_gemm (
    .clk_i,
    .valid_i(multiply_5_q),
    .inp_i(inp_rdata_i),
    .wgt_i(wgt_rdata_i),
    .sum_o(sum)
  );

  vta_regfile u_regfile (
    .clk_i,
    .rst_ni,
    .slot_i(slot_q[GemmPipeline-1]),
    .sum_i(sum),
    .load_write_i(load_write),
    .out_we_o,
    .out_waddr_o,
    .out_wdata_o
  );

  assign load_we_o = load_write.we;
  assign fault_o = sequencer_fault || load_fault;
  assign fault_code_o = sequencer_fault ? sequencer_fault_code : load_fault_code;

  logic unused;
  assign unused = ^mem_insn;

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (!(start_load && !load_free));
  end
`endif
endmodule
