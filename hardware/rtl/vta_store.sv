module vta_store
  import vta_pkg::*;
(
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   clear_i,
  input  logic                   halt_i,

  // ... command queue and token queues: as vta_issue ...

  // OR-ed to the addresses in DRAM.
  input  logic [AddrWidth-1:0]   out_base_i,

  // Data two cycles after the address; both steps hold without `out_en_o`.
  output logic                   out_en_o,
  output logic [LogAccDepth-1:0] out_addr_o,
  input  logic [OutBits-1:0]     out_rdata_i,

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

  output logic                   retire_o,
  // No instruction is held and no burst is under way.
  output logic                   idle_o,
  output logic                   fault_o,
  output fault_e                 fault_code_o
);
endmodule
