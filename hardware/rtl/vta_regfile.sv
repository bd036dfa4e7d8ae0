// The register file and its result loop: an accumulator is read, combined with an operand and written
// back. A slot has its address presented at z + 3 + p (`slot_i`), the accumulator is out of the
// memory at z + 4 + p and registered at z + 5 + p, where the operation happens; the result is
// registered, and written, at z + 6 + p. Every write goes to the out memory as well, low bits only.
//
// Forwarding: when a slot's address is presented, the three slots before it are still to write. The
// register behind the memory takes what it lacks from them: from the slot before in the cycle in
// which that one's result is made. So the operation starts at registers; what to take from whom is
// decided a cycle ahead.
module vta_regfile
  import vta_pkg::*;
  import vta_types_pkg::*;
#(
  localparam int unsigned SumWidth = InpWidth + WgtWidth + $clog2(BlockIn),
  localparam int unsigned AccSlices = (AccBits > BusWidth) ? AccBits / BusWidth : 1
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,

  input  slot_t                  slot_i,
  // For the slot at z + 5 + p.
  input  logic [Batch*BlockOut-1:0][SumWidth-1:0] sum_i,

  // Of accumulators, or of 8-bit values for them; in a cycle without a result.
  input  load_write_t            load_write_i,

  output logic [AccSlices-1:0]   out_we_o,
  output logic [LogAccDepth-1:0] out_waddr_o,
  output logic [MirrorBits-1:0]  out_wdata_o
);
  localparam int unsigned Lanes = Batch * BlockOut;
  typedef logic [Lanes-1:0][AccWidth-1:0] element_t;

  // Slots at z + 4 + p, z + 5 + p, z + 6 + p.
  slot_t out_q, exec_q;
  logic multiplies;  // what is executed is a MUL
  logic result_valid_q;
  logic [LogAccDepth-1:0] result_addr_q;
  // The result at z + 6 + p, and at z + 7 + p.
  element_t result_q, written_q;
  // In its making: products, which come last, and all else. Each register that takes a result lets the
  // product in by one last gate; `keep` holds the synthesizer to that.
  element_t product, other;
  (* keep *) element_t acc_rest, held_rest, result_rest;

  assign multiplies = exec_q.op[AluMul];
  assign result_rest = other;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      out_q <= '0;
      exec_q <= '0;
      result_valid_q <= 1'b0;
    end else begin
      out_q <= slot_i;
      exec_q <= out_q;
      result_valid_q <= exec_q.write;
    end
    if (exec_q.write) begin
      result_addr_q <= exec_q.addr;
      result_q <= result_rest | (product & {AccBits{multiplies}});
    end
    if (result_valid_q) written_q <= result_q;
  end

  // The accumulator at z + 5 + p: the result of one, two or three slots before, or from the memory.
  logic one_before_q, two_before_q, three_before_q;
  logic acc_takes_product_q;
  element_t acc_rdata, acc_q;

  always_comb begin
    if (one_before_q) acc_rest = other;
    else if (two_before_q) acc_rest = result_q;
    else if (three_before_q) acc_rest = written_q;
    else acc_rest = acc_rdata;
  end

  always_ff @(posedge clk_i) begin
    acc_takes_product_q <= out_q.write && out_q.addr == slot_i.addr && out_q.op[AluMul];
    one_before_q <= out_q.write && out_q.addr == slot_i.addr;
    two_before_q <= exec_q.write && exec_q.addr == slot_i.addr;
    three_before_q <= result_valid_q && result_addr_q == slot_i.addr;
    if (out_q.write || out_q.source) begin
      acc_q <= acc_rest | (product & {AccBits{acc_takes_product_q}});
    end
  end

  // The operand of the ALU: an immediate, or the source accumulator, which follows writes to it.
  logic [LogAccDepth-1:0] held_addr_q;
  logic writes_held_q, held_takes_imm, held_takes_product;
  element_t held_q;

  assign held_takes_imm = out_q.write && out_q.use_imm;
  assign held_takes_product = !held_takes_imm && !exec_q.source && multiplies;

  always_comb begin
    if (held_takes_imm) held_rest = {Lanes{AccWidth'(out_q.imm)}};
    else if (exec_q.source) held_rest = acc_q;
    else held_rest = other;
  end

  always_ff @(posedge clk_i) begin
    if (out_q.source) held_addr_q <= out_q.addr;
    writes_held_q <= out_q.write && out_q.addr == held_addr_q;
    if (held_takes_imm || exec_q.source || writes_held_q) begin
      held_q <= held_rest | (product & {AccBits{held_takes_product}});
    end
  end

  for (genvar i = 0; i < Lanes; i++) begin : gen_lane
    vta_alu u_alu (
      .op_i(exec_q.op),
      .multiply_i(exec_q.multiply),
      .overwrite_i(exec_q.overwrite),
      .a_i(acc_q[i]),
      .b_i(held_q[i]),
      .sum_i(AccWidth'($signed(sum_i[i]))),
      .product_o(product[i]),
      .other_o(other[i])
    );
  end

  // Loads write slices, 8-bit values the slices of as many accumulators.
  logic [AccSlices-1:0] acc_enable, acc8_enable, load_we;
  logic [AccBits-1:0] acc_elem;
  element_t acc8_elem, load_wdata;

  vta_place #(
    .LogElemBytes(LogAccBytes),
    .ValueWidth(AccWidth)
  ) u_place_acc (
    .write_i(load_write_i),
    .enable_o(acc_enable),
    .elem_o(acc_elem)
  );

  if (HasAcc8) begin : gen_acc8
    localparam int unsigned Acc8Bits = 8 << LogAcc8Bytes;
    localparam int unsigned Acc8Slices = (Acc8Bits > BusWidth) ? Acc8Bits / BusWidth : 1;
    logic [Acc8Slices-1:0] enable;
    logic [Lanes-1:0][7:0] elem;
    vta_place #(
      .LogElemBytes(LogAcc8Bytes),
      .ValueWidth(8)
    ) u_place_acc8 (
      .write_i(load_write_i),
      .enable_o(enable),
      .elem_o(elem)
    );
    for (genvar s = 0; s < AccSlices; s++) begin : gen_enable
      assign acc8_enable[s] = enable[s*Acc8Slices/AccSlices];
    end
    for (genvar i = 0; i < Lanes; i++) begin : gen_extend
      assign acc8_elem[i] = AccWidth'($signed(elem[i]));
    end
  end else begin : gen_no_acc8
    assign acc8_enable = '0;
    assign acc8_elem = '0;
  end

  always_comb begin
    load_we = '0;
    load_wdata = acc_elem;
    if (load_write_i.mem == MemAcc) begin
      load_we = acc_enable;
    end else if (load_write_i.mem == MemAcc8) begin
      load_we = acc8_enable;
      load_wdata = acc8_elem;
    end
  end

  logic [AccSlices-1:0] we;
  logic [LogAccDepth-1:0] waddr;
  element_t wdata;
  assign we = result_valid_q ? '1 : load_we;
  assign waddr = result_valid_q ? result_addr_q : load_write_i.addr[LogAccDepth-1:0];
  assign wdata = result_valid_q ? result_q : load_wdata;

  vta_sram #(
    .Width(AccBits),
    .Depth(AccDepth),
    .Slices(AccSlices)
  ) u_acc (
    .clk_i,
    .we_i(we),
    .waddr_i(waddr),
    .wdata_i(wdata),
    .re_i(slot_i.write || slot_i.source),
    .raddr_i(slot_i.addr),
    .rdata_o(acc_rdata)
  );

  assign out_we_o = we;
  assign out_waddr_o = waddr;
  for (genvar i = 0; i < Lanes; i++) begin : gen_out
    assign out_wdata_o[i*MirrorWidth+:MirrorWidth] = wdata[i][MirrorWidth-1:0];
  end

  logic unused;
  assign unused = ^{exec_q, load_write_i};

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (!(result_valid_q && load_we != '0));
  end
`endif
endmodule
