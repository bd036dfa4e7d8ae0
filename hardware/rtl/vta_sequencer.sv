// Runs the loops of GEMM and ALU: one slot a cycle, from the cycle after the start, without a gap to
// the next instruction. A slot that is issued at z presents its micro-op's address at z; at z + 3
// its indices are registered and checked.
//
// An ALU instruction with a tensor operand has a slot that reads the source before each step, before
// each inner loop, or before the first step, as its fields, not its micro-ops, say is needed.
module vta_sequencer
  import vta_pkg::*;
  import vta_types_pkg::*;
(
  input  logic                   clk_i,
  input  logic                   rst_ni,

  // X: an instruction, GEMM or ALU, starts. It may while `free_o` is set. `empty_o` says of
  // `insn_i`, at any time, that it has no step.
  input  logic                   start_i,
  input  insn_t                  insn_i,
  output logic                   free_o,
  output logic                   empty_o,
  // A slot is issued; it is the last one of its instruction, Z.
  output logic                   slot_o,
  output logic                   last_o,

  // The micro-op memory: address at z, micro-op at z + 2.
  output logic                   uop_re_o,
  output logic [LogUopDepth-1:0] uop_addr_o,
  input  uop_t                   uop_i,

  // At z + 3: the operands' addresses for a slot that multiplies, and what it does to the register
  // file.
  output slot_t                  slot_3_o,
  output logic [LogInpDepth-1:0] inp_addr_o,
  output logic [LogWgtDepth-1:0] wgt_addr_o,

  output logic                   fault_o,
  output fault_e                 fault_code_o
);
  localparam int unsigned SrcWidth = (LogInpDepth > LogAccDepth) ? LogInpDepth : LogAccDepth;
  localparam int unsigned IterWidth = 14;
  localparam logic [7:0] HasAluOp = {
    3'b000, AluHasMul, AluHasShr, AluHasAdd, AluHasMax, AluHasMin
  };

  // The instruction at the port.
  gemm_insn_t gemm;
  alu_insn_t alu;
  logic is_alu, is_tensor, one_uop, one_in;
  assign gemm = gemm_insn_t'(insn_i);
  assign alu = alu_insn_t'(insn_i);
  assign is_alu = insn_i.opcode == OpAlu;
  assign is_tensor = is_alu && !alu.use_imm;
  assign empty_o = gemm.uop_end <= {1'b0, gemm.uop_begin} || gemm.iter_out == '0 ||
      gemm.iter_in == '0;
  assign one_uop = gemm.uop_end == {1'b0, gemm.uop_begin} + 1'b1;
  assign one_in = gemm.iter_in == IterWidth'(1);

  // The instruction that runs: where its loops begin and the last but one of their counts, whether
  // the inner ones have one count only, where sources are read, what its steps do.
  logic [LogUopDepth-1:0] uop_first_q, uop_before_q;
  logic [IterWidth-1:0] out_before_q, in_before_q;
  logic one_uop_q, one_in_q;
  logic source_each_q, source_inner_q;
  slot_t step_d, step_q;

  logic overwrite;
  if (HasGemmOverwrite) begin : gen_overwrite
    assign overwrite = gemm.overwrite;
  end else begin : gen_no_overwrite
    assign overwrite = 1'b0;
  end

  always_comb begin
    step_d = '0;
    step_d.multiply = !is_alu && !gemm.reset;
    step_d.overwrite = !is_alu && overwrite;
    step_d.use_imm = is_alu && alu.use_imm;
    step_d.imm = alu.imm;
    step_d.op = is_alu ? 5'd1 << alu.alu_opcode : gemm.reset ? '0 : 5'd1 << AluAdd;
  end

  // The slot that is issued, and which of its counts are the last: the end of an instruction decides
  // within the cycle what may start and be taken.
  logic valid_q, source_q;
  logic [LogUopDepth-1:0] uop_q;
  logic [IterWidth-1:0] out_q, in_q;
  logic uop_last_q, in_last_q, out_last_q;

  logic step, step_in, step_out;
  assign step = valid_q && !source_q;
  assign step_in = step && uop_last_q && !in_last_q;
  assign step_out = step && uop_last_q && in_last_q;

  assign slot_o = valid_q;
  assign last_o = step_out && out_last_q;
  assign free_o = !valid_q || last_o;
  assign uop_re_o = valid_q;
  assign uop_addr_o = uop_q;

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      uop_first_q <= gemm.uop_begin;
      uop_before_q <= LogUopDepth'(gemm.uop_end) - LogUopDepth'(2);
      out_before_q <= gemm.iter_out - IterWidth'(2);
      in_before_q <= gemm.iter_in - IterWidth'(2);
      one_uop_q <= one_uop;
      one_in_q <= one_in;
      source_each_q <= is_tensor && (!one_uop || (!one_in && alu.src_factor_in != '0));
      source_inner_q <= is_tensor && alu.src_factor_out != '0;
      step_q <= step_d;
      uop_q <= gemm.uop_begin;
      in_q <= '0;
      out_q <= '0;
      uop_last_q <= one_uop;
      in_last_q <= one_in;
      out_last_q <= gemm.iter_out == IterWidth'(1);
    end else if (step) begin
      uop_q <= uop_last_q ? uop_first_q : uop_q + 1'b1;
      uop_last_q <= uop_last_q ? one_uop_q : uop_q == uop_before_q;
      if (uop_last_q) begin
        in_q <= in_last_q ? '0 : in_q + 1'b1;
        in_last_q <= in_last_q ? one_in_q : in_q == in_before_q;
      end
      if (step_out) begin
        out_q <= out_q + 1'b1;
        out_last_q <= out_q == out_before_q;
      end
    end

    if (!rst_ni) begin
      valid_q <= 1'b0;
      source_q <= 1'b0;
    end else if (start_i) begin
      valid_q <= !empty_o;
      source_q <= is_tensor;
    end else if (valid_q) begin
      valid_q <= !last_o;
      source_q <= !source_q && (source_each_q || (source_inner_q && step_out));
    end
  end

  // To z + 3: what the slot does, and its indices.
  slot_t slot_d, slot_1_q, slot_2_q, slot_3_q;
  logic [LogAccDepth:0] dst;
  logic [SrcWidth:0] src;
  logic [LogWgtDepth:0] wgt;

  always_comb begin
    slot_d = step_q;
    slot_d.write = valid_q && !source_q;
    slot_d.source = valid_q && source_q;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      slot_1_q <= '0;
      slot_2_q <= '0;
      slot_3_q <= '0;
    end else begin
      slot_1_q <= slot_d;
      slot_2_q <= slot_1_q;
      slot_3_q <= slot_2_q;
    end
  end

  vta_index #(.Width(LogAccDepth)) u_dst (
    .clk_i,
    .start_i,
    .factor_out_i(is_alu ? alu.dst_factor_out : gemm.dst_factor_out),
    .factor_in_i(is_alu ? alu.dst_factor_in : gemm.dst_factor_in),
    .step_in_i(step_in),
    .step_out_i(step_out),
    .base_i(uop_i.dst),
    .index_o(dst)
  );

  vta_index #(.Width(SrcWidth)) u_src (
    .clk_i,
    .start_i,
    .factor_out_i(is_alu ? SrcWidth'(alu.src_factor_out) : SrcWidth'(gemm.src_factor_out)),
    .factor_in_i(is_alu ? SrcWidth'(alu.src_factor_in) : SrcWidth'(gemm.src_factor_in)),
    .step_in_i(step_in),
    .step_out_i(step_out),
    .base_i(uop_i.src),
    .index_o(src)
  );

  vta_index #(.Width(LogWgtDepth)) u_wgt (
    .clk_i,
    .start_i,
    .factor_out_i(gemm.wgt_factor_out),
    .factor_in_i(gemm.wgt_factor_in),
    .step_in_i(step_in),
    .step_out_i(step_out),
    .base_i(uop_i.wgt),
    .index_o(wgt)
  );

  always_comb begin
    slot_3_o = slot_3_q;
    slot_3_o.addr = slot_3_q.source ? src[LogAccDepth-1:0] : dst[LogAccDepth-1:0];
  end
  assign inp_addr_o = src[LogInpDepth-1:0];
  assign wgt_addr_o = wgt[LogWgtDepth-1:0];

  logic index_fault, range_fault, op_fault;
  assign index_fault = (slot_3_q.write && dst[LogAccDepth]) ||
      (slot_3_q.source && |(src >> LogAccDepth)) ||
      (slot_3_q.write && slot_3_q.multiply && (|(src >> LogInpDepth) || wgt[LogWgtDepth]));
  assign range_fault = start_i && !empty_o && gemm.uop_end > (LogUopDepth + 1)'(UopDepth);
  assign op_fault = start_i && is_alu && !HasAluOp[alu.alu_opcode];

  always_ff @(posedge clk_i) begin
    fault_o <= rst_ni && (index_fault || range_fault || op_fault);
    fault_code_o <= op_fault ? FaultAluOp : range_fault ? FaultUopRange : FaultIndex;
  end

  logic unused;
  assign unused = ^{gemm, alu, uop_i, slot_3_q.addr};
endmodule
