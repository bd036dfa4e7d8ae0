module vta_compute
  import vta_pkg::*;
#(
  localparam int unsigned AccSlices = (AccBits > BusWidth) ? AccBits / BusWidth : 1
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  // With the launch: what an earlier run left under way is forgotten. With a fault: nothing more
  // is taken or started.
  input  logic                   clear_i,
  input  logic                   halt_i,

  // ... command queue and token queues: as vta_issue; read master: as vta_load_engine ...

  // OR-ed to the addresses in DRAM.
  input  logic [AddrWidth-1:0]   uop_base_i,
  input  logic [AddrWidth-1:0]   acc_base_i,

  // Data two cycles after the address.
  output logic                   inp_re_o,
  output logic [LogInpDepth-1:0] inp_addr_o,
  input  logic [InpBits-1:0]     inp_rdata_i,
  output logic                   wgt_re_o,
  output logic [LogWgtDepth-1:0] wgt_addr_o,
  input  logic [WgtBits-1:0]     wgt_rdata_i,

  output logic [AccSlices-1:0]   out_we_o,
  output logic [LogAccDepth-1:0] out_waddr_o,
  output logic [OutBits-1:0]     out_wdata_o,

  // A GEMM or ALU slot is issued; an instruction, or FINISH, retires; no instruction is held.
  output logic                   slot_o,
  output logic                   retire_o,
  output logic                   finish_o,
  output logic                   idle_o,
  output logic                   fault_o,
  output fault_e                 fault_code_o
);
endmodule
