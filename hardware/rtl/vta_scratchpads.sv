// The input, weight and output scratchpads. Load writes units into inp and wgt, compute writes the
// low bits of accumulators into out. An address that is presented at t has its element on the port
// from t + 2: out of the memory at t + 1, registered at t + 2.
module vta_scratchpads
  import vta_pkg::*;
#(
  localparam int unsigned AccSlices = (AccBits > BusWidth) ? AccBits / BusWidth : 1
) (
  input  logic                   clk_i,

  // A unit or a zero from load's engine, in the cycle after it is taken.
  input  logic                   load_we_i,
  input  mem_e                   load_mem_i,
  input  logic [15:0]            load_addr_i,
  input  logic                   load_zero_i,
  input  logic [BusWidth-1:0]    load_beat_i,
  input  logic [LogBusBytes-1:0] load_lane_i,
  input  logic [8:0]             load_slice_i,

  input  logic                   inp_re_i,
  input  logic [LogInpDepth-1:0] inp_addr_i,
  output logic [InpBits-1:0]     inp_rdata_o,

  input  logic                   wgt_re_i,
  input  logic [LogWgtDepth-1:0] wgt_addr_i,
  output logic [WgtBits-1:0]     wgt_rdata_o,

  input  logic [AccSlices-1:0]   out_we_i,
  input  logic [LogAccDepth-1:0] out_waddr_i,
  input  logic [OutBits-1:0]     out_wdata_i,

  // Both steps of the read take place only with `out_en_i`; without it they hold.
  input  logic                   out_en_i,
  input  logic [LogAccDepth-1:0] out_addr_i,
  output logic [OutBits-1:0]     out_rdata_o
);
endmodule
