// The accelerator among registers, as it stands beside an interconnect, to measure its clock by: each input
// comes from a chain of registers that is shifted in, each output goes to a register of a signature.
// Constant outputs are left open. With all its ports on pins, placing would care for pins above all.
module vta_measured
  import vta_pkg::*;
  import vta_types_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic scan_i,
  output logic scan_o
);
  typedef struct packed {
    logic [7:0] s_axil_awaddr;
    logic s_axil_awvalid;
    logic [31:0] s_axil_wdata;
    logic [3:0] s_axil_wstrb;
    logic s_axil_wvalid;
    logic s_axil_bready;
    logic [7:0] s_axil_araddr;
    logic s_axil_arvalid;
    logic s_axil_rready;
    logic m_axi_awready;
    logic m_axi_wready;
    logic [1:0] m_axi_bresp;
    logic m_axi_bvalid;
    logic m_axi_arready;
    logic [BusWidth-1:0] m_axi_rdata;
    logic [1:0] m_axi_rresp;
    logic m_axi_rlast;
    logic m_axi_rvalid;
  } inputs_t;

  typedef struct packed {
    logic s_axil_awready;
    logic s_axil_wready;
    logic [1:0] s_axil_bresp;
    logic s_axil_bvalid;
    logic s_axil_arready;
    logic [31:0] s_axil_rdata;
    logic [1:0] s_axil_rresp;
    logic s_axil_rvalid;
    logic [AddrWidth-1:0] m_axi_awaddr;
    logic [7:0] m_axi_awlen;
    logic m_axi_awvalid;
    logic [BusWidth-1:0] m_axi_wdata;
    logic [BusBytes-1:0] m_axi_wstrb;
    logic m_axi_wlast;
    logic m_axi_wvalid;
    logic m_axi_bready;
    logic [AddrWidth-1:0] m_axi_araddr;
    logic [7:0] m_axi_arlen;
    logic m_axi_arvalid;
    logic m_axi_rready;
    logic irq_o;
    logic [2:0] retire_o;
  } outputs_t;

  inputs_t in_q;
  outputs_t out, out_q;

  always_ff @(posedge clk_i) begin
    in_q <= {in_q[$bits(inputs_t)-2:0], scan_i};
    if (!rst_ni) out_q <= '0;
    else out_q <= out ^ {out_q[$bits(outputs_t)-2:0], in_q[$bits(inputs_t)-1]};
  end

  assign scan_o = out_q[$bits(outputs_t)-1];

  vta_top u_top (
    .clk_i,
    .rst_ni,
    .s_axil_awaddr(in_q.s_axil_awaddr),
    .s_axil_awvalid(in_q.s_axil_awvalid),
    .s_axil_awready(out.s_axil_awready),
    .s_axil_wdata(in_q.s_axil_wdata),
    .s_axil_wstrb(in_q.s_axil_wstrb),
    .s_axil_wvalid(in_q.s_axil_wvalid),
    .s_axil_wready(out.s_axil_wready),
    .s_axil_bresp(out.s_axil_bresp),
    .s_axil_bvalid(out.s_axil_bvalid),
    .s_axil_bready(in_q.s_axil_bready),
    .s_axil_araddr(in_q.s_axil_araddr),
    .s_axil_arvalid(in_q.s_axil_arvalid),
    .s_axil_arready(out.s_axil_arready),
    .s_axil_rdata(out.s_axil_rdata),
    .s_axil_rresp(out.s_axil_rresp),
    .s_axil_rvalid(out.s_axil_rvalid),
    .s_axil_rready(in_q.s_axil_rready),
    .m_axi_awaddr(out.m_axi_awaddr),
    .m_axi_awlen(out.m_axi_awlen),
    .m_axi_awsize(),
    .m_axi_awburst(),
    .m_axi_awcache(),
    .m_axi_awprot(),
    .m_axi_awvalid(out.m_axi_awvalid),
    .m_axi_awready(in_q.m_axi_awready),
    .m_axi_wdata(out.m_axi_wdata),
    .m_axi_wstrb(out.m_axi_wstrb),
    .m_axi_wlast(out.m_axi_wlast),
    .m_axi_wvalid(out.m_axi_wvalid),
    .m_axi_wready(in_q.m_axi_wready),
    .m_axi_bresp(in_q.m_axi_bresp),
    .m_axi_bvalid(in_q.m_axi_bvalid),
    .m_axi_bready(out.m_axi_bready),
    .m_axi_araddr(out.m_axi_araddr),
    .m_axi_arlen(out.m_axi_arlen),
    .m_axi_arsize(),
    .m_axi_arburst(),
    .m_axi_arcache(),
    .m_axi_arprot(),
    .m_axi_arvalid(out.m_axi_arvalid),
    .m_axi_arready(in_q.m_axi_arready),
    .m_axi_rdata(in_q.m_axi_rdata),
    .m_axi_rresp(in_q.m_axi_rresp),
    .m_axi_rlast(in_q.m_axi_rlast),
    .m_axi_rvalid(in_q.m_axi_rvalid),
    .m_axi_rready(out.m_axi_rready),
    .irq_o(out.irq_o),
    .retire_o(out.retire_o)
  );
endmodule
