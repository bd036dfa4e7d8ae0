// The store module: reads outputs from the out memory and writes them to DRAM.
module vta_store
  import vta_pkg::*;
  import vta_types_pkg::*;
(
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   halt_i,  // take nothing more

  // The command queue.
  input  logic                   insn_valid_i,
  input  insn_t                  insn_i,
  output logic                   take_o,
  output logic                   retire_o,

  // The token queues: compute is the previous module, there is no next.
  input  logic                   prev_avail_i,
  input  logic                   prev_room_i,
  output logic                   pop_prev_o,
  output logic                   reserve_prev_o,
  output logic                   push_prev_o,

  // OR-ed to addresses in DRAM.
  input  logic [AddrWidth-1:0]   out_base_i,

  // The scratchpad, as in vta_scratchpads.
  output logic                   out_en_o,
  output logic [LogAccDepth-1:0] out_addr_o,
  input  logic [OutBits-1:0]     out_rdata_i,

  // AXI4, but for the constant signals.
  output logic [AddrWidth-1:0]   m_axi_awaddr,
  output logic [7:0]             m_axi_awlen,
  output logic                   m_axi_awvalid,
  input  logic                   m_axi_awready,
  output logic [BusWidth-1:0]    m_axi_wdata,
  output logic [BusWidth/8-1:0]  m_axi_wstrb,
  output logic                   m_axi_wlast,
  output logic                   m_axi_wvalid,
  input  logic                   m_axi_wready,
  input  logic [1:0]             m_axi_bresp,
  input  logic                   m_axi_bvalid,
  output logic                   m_axi_bready,

  output logic                   idle_o,  // no instruction is in flight
  output logic                   fault_o,
  output fault_e                 fault_code_o
);
endmodule
