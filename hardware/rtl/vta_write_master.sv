// Collects units into beats and writes them to DRAM in bursts. A unit that is taken at t is in the
// write register at t + 1; a complete beat is on the bus from that cycle on (F), together with the
// address if it is the first of its burst, and while it waits no unit is taken. A burst starts only
// while fewer than MaxOutstanding others wait for their response. Address and data are accepted
// independently of each other, but the next burst waits for both.
module vta_write_master
  import vta_pkg::*;
  import vta_types_pkg::*;
(
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  halt_i,  // start no further burst

  input  logic                  unit_valid_i,
  input  write_unit_t           unit_i,
  input  logic [BusWidth-1:0]   unit_data_i,
  output logic                  unit_ready_o,

  output logic [AddrWidth-1:0]  m_axi_awaddr,
  output logic [7:0]            m_axi_awlen,
  output logic                  m_axi_awvalid,
  input  logic                  m_axi_awready,
  output logic [BusWidth-1:0]   m_axi_wdata,
  output logic [BusBytes-1:0]   m_axi_wstrb,
  output logic                  m_axi_wlast,
  output logic                  m_axi_wvalid,
  input  logic                  m_axi_wready,
  input  logic [1:0]            m_axi_bresp,
  input  logic                  m_axi_bvalid,
  output logic                  m_axi_bready,

  output logic                  sent_o,      // E of the last burst of an instruction
  output logic                  response_o,  // the response to it
  output logic                  quiet_o,     // no burst is under way
  output logic                  fault_o      // an error response
);
  // The write register: whether its beat is complete, ends the burst, ends the instruction.
  logic full_q, last_q, insn_last_q;
  // The burst: its units are arriving; its address is still to be accepted; its first beat has been.
  logic active_q, address_q, open_q;

  logic room, waiting, insn_last;
  logic write, write_last, address;
  assign m_axi_wvalid = full_q && (open_q || room);
  assign m_axi_wlast = last_q;
  assign m_axi_awvalid = address_q && (open_q || (full_q && room));
  assign m_axi_bready = 1'b1;
  assign write = m_axi_wvalid && m_axi_wready;
  assign write_last = write && last_q;
  assign address = m_axi_awvalid && m_axi_awready;

  logic take;
  assign unit_ready_o = (!full_q || write) &&
      !(unit_i.burst_first && (halt_i || (address_q && !address)));
  assign take = unit_valid_i && unit_ready_o;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      full_q <= 1'b0;
      active_q <= 1'b0;
      address_q <= 1'b0;
      open_q <= 1'b0;
    end else begin
      full_q <= take ? unit_i.beat_last : full_q && !write;
      active_q <= (take && unit_i.burst_first) || (active_q && !write_last);
      address_q <= (take && unit_i.burst_first) || (address_q && !address);
      open_q <= !(take && unit_i.burst_first) && (open_q || write);
    end
    if (take) begin
      last_q <= unit_i.burst_last;
      insn_last_q <= unit_i.burst.last;
      for (int unsigned b = 0; b < BusBytes; b++) begin
        if (unit_i.strb[b]) m_axi_wdata[8*b+:8] <= unit_data_i[8*b+:8];
        if (unit_i.strb[b]) m_axi_wstrb[b] <= 1'b1;
        else if (unit_i.beat_first) m_axi_wstrb[b] <= 1'b0;
      end
      if (unit_i.burst_first) begin
        m_axi_awaddr <= unit_i.burst.addr;
        m_axi_awlen <= unit_i.burst.beats;
      end
    end
  end

  // The bursts that wait for their response, and whether it is the last one of an instruction.
  vta_fifo #(
    .Depth(MaxOutstanding)
  ) u_responses (
    .clk_i,
    .rst_ni,
    .push_i(write_last),
    .data_i(insn_last_q),
    .ready_o(room),
    .valid_o(waiting),
    .data_o(insn_last),
    .pop_i(m_axi_bvalid)
  );

  assign sent_o = write_last && insn_last_q;
  assign response_o = m_axi_bvalid && insn_last;
  assign quiet_o = !active_q && !address_q && !waiting;

  always_ff @(posedge clk_i) fault_o <= rst_ni && m_axi_bvalid && m_axi_bresp[1];

  logic unused;
  assign unused = ^{unit_i, m_axi_bresp};
endmodule
