// The input, weight and output scratchpads and the rescaling table. Load writes units into inp, wgt and the
// table, compute writes accumulators into out: their low bits, or with a table all of them. An address that is presented at t has its element on the port
// from t + 2: out of the memory at t + 1, registered at t + 2.
module vta_scratchpads
  import vta_pkg::*;
  import vta_types_pkg::*;
#(
  localparam int unsigned AccSlices = (AccBits > BusWidth) ? AccBits / BusWidth : 1
) (
  input  logic                   clk_i,

  input  load_write_t            load_write_i,

  input  logic                   inp_re_i,
  input  logic [LogInpDepth-1:0] inp_addr_i,
  output logic [InpBits-1:0]     inp_rdata_o,

  input  logic                   wgt_re_i,
  input  logic [LogWgtDepth-1:0] wgt_addr_i,
  output logic [WgtBits-1:0]     wgt_rdata_o,

  // In the slices of the register file.
  input  logic [AccSlices-1:0]   out_we_i,
  input  logic [LogAccDepth-1:0] out_waddr_i,
  input  logic [MirrorBits-1:0]  out_wdata_i,

  // Both steps of the reads take place only with `out_en_i`; without it they hold.
  input  logic                   out_en_i,
  input  logic [LogAccDepth-1:0] out_addr_i,
  output logic [MirrorBits-1:0]  out_rdata_o,
  input  logic [RowAddrWidth-1:0] row_addr_i,
  output rescaling_t [RowRecords-1:0] row_rdata_o
);
  localparam int unsigned InpSlices = (InpBits > BusWidth) ? InpBits / BusWidth : 1;
  localparam int unsigned WgtSlices = (WgtBits > BusWidth) ? WgtBits / BusWidth : 1;

  logic [InpSlices-1:0] inp_we;
  logic [InpBits-1:0] inp_wdata, inp_rdata;
  logic inp_re_q;

  vta_place #(
    .LogElemBytes(LogInpBytes),
    .ValueWidth(InpWidth)
  ) u_place_inp (
    .write_i(load_write_i),
    .enable_o(inp_we),
    .elem_o(inp_wdata)
  );

  vta_sram #(
    .Width(InpBits),
    .Depth(InpDepth),
    .Slices(InpSlices)
  ) u_inp (
    .clk_i,
    .we_i(load_write_i.mem == MemInp ? inp_we : '0),
    .waddr_i(load_write_i.addr[LogInpDepth-1:0]),
    .wdata_i(inp_wdata),
    .re_i(inp_re_i),
    .raddr_i(inp_addr_i),
    .rdata_o(inp_rdata)
  );

  logic [WgtSlices-1:0] wgt_we;
  logic [WgtBits-1:0] wgt_wdata, wgt_rdata;
  logic wgt_re_q;

  vta_place #(
    .LogElemBytes(LogWgtBytes),
    .ValueWidth(WgtWidth)
  ) u_place_wgt (
    .write_i(load_write_i),
    .enable_o(wgt_we),
    .elem_o(wgt_wdata)
  );

  vta_sram #(
    .Width(WgtBits),
    .Depth(WgtDepth),
    .Slices(WgtSlices)
  ) u_wgt (
    .clk_i,
    .we_i(load_write_i.mem == MemWgt ? wgt_we : '0),
    .waddr_i(load_write_i.addr[LogWgtDepth-1:0]),
    .wdata_i(wgt_wdata),
    .re_i(wgt_re_i),
    .raddr_i(wgt_addr_i),
    .rdata_o(wgt_rdata)
  );

  logic [MirrorBits-1:0] out_rdata;

  vta_sram #(
    .Width(MirrorBits),
    .Depth(AccDepth),
    .Slices(AccSlices)
  ) u_out (
    .clk_i,
    .we_i(out_we_i),
    .waddr_i(out_waddr_i),
    .wdata_i(out_wdata_i),
    .re_i(out_en_i),
    .raddr_i(out_addr_i),
    .rdata_o(out_rdata)
  );

  always_ff @(posedge clk_i) begin
    inp_re_q <= inp_re_i;
    wgt_re_q <= wgt_re_i;
    if (inp_re_q) inp_rdata_o <= inp_rdata;
    if (wgt_re_q) wgt_rdata_o <= wgt_rdata;
    if (out_en_i) out_rdata_o <= out_rdata;
  end

  if (HasRequantStore) begin : gen_table
    vta_table u_table (
      .clk_i,
      .write_i(load_write_i),
      .en_i(out_en_i),
      .addr_i(row_addr_i),
      .row_o(row_rdata_o)
    );
  end else begin : gen_no_table
    logic unused;
    assign unused = ^row_addr_i;
    assign row_rdata_o = '0;
  end
endmodule
