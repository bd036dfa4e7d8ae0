// The read half of the AXI4 master, for fetch, compute and load (clients 0, 1, 2, and the order of
// their priority). A burst that is granted at G (valid and ready) is on the address pins from G + 1;
// at most MaxOutstanding are granted and not ended. Bursts are answered in the order of their
// grants. Each beat is unpacked where it stands on the pins: a unit is taken in the cycle in which its
// client is ready, and `m_axi_rready` goes with the last unit of the beat.
module vta_read_master
  import vta_pkg::*;
  import vta_types_pkg::*;
(
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 halt_i,        // grant nothing more
  // Requests.
  input  logic   [2:0]         req_valid_i,
  input  burst_t [2:0]         req_i,
  output logic   [2:0]         req_ready_o,
  // Units, all of the client that is valid; `unit_ready_i` is a register of the client.
  output logic   [2:0]         unit_valid_o,
  output unit_t                unit_o,
  output logic [BusWidth-1:0]  unit_data_o,
  input  logic   [2:0]         unit_ready_i,
  // AXI4.
  output logic [AddrWidth-1:0] m_axi_araddr,
  output logic [7:0]           m_axi_arlen,
  output logic                 m_axi_arvalid,
  input  logic                 m_axi_arready,
  input  logic [BusWidth-1:0]  m_axi_rdata,
  input  logic [1:0]           m_axi_rresp,
  input  logic                 m_axi_rlast,
  input  logic                 m_axi_rvalid,
  output logic                 m_axi_rready,
  output logic                 quiet_o,       // no burst is outstanding
  output logic                 fault_o        // a beat came with an error, the cycle before
);
  localparam int unsigned CountWidth = $clog2(MaxOutstanding + 1);

  typedef struct packed {
    logic [AddrWidth-1:0] addr;
    logic [7:0] len;
  } address_t;

  typedef struct packed {
    logic [2:0] client;  // one of them
    logic [11:0] units;
    logic serial;
    logic [LogBusBytes-1:0] step;
    logic [LogBusBytes-1:0] first;
    logic [LogBusBytes-1:0] tail;
    logic row_end;
    logic last;
  } order_t;

  // Arbiter.
  logic [CountWidth-1:0] outstanding_q;
  logic spare_valid_q;
  logic open, granted;
  logic [2:0] grant;
  assign open = !halt_i && !spare_valid_q && outstanding_q != CountWidth'(MaxOutstanding);
  assign grant = req_valid_i & ~(req_valid_i - 3'd1);  // the lowest
  assign granted = open && req_valid_i != '0;
  assign req_ready_o = open ? grant : '0;

  burst_t burst;
  always_comb begin
    burst = '0;
    for (int unsigned i = 0; i < 3; i++) begin
      if (grant[i]) burst |= req_i[i];
    end
  end

  // The address pins, and a second register for an address that finds them taken.
  address_t address, address_q, spare_q;
  assign address = '{addr: burst.addr, len: burst.beats};
  assign m_axi_araddr = address_q.addr;
  assign m_axi_arlen = address_q.len;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      m_axi_arvalid <= 1'b0;
      spare_valid_q <= 1'b0;
    end else if (m_axi_arready || !m_axi_arvalid) begin
      m_axi_arvalid <= spare_valid_q || granted;
      spare_valid_q <= 1'b0;
    end else if (granted) begin
      spare_valid_q <= 1'b1;
    end
    if (m_axi_arready || !m_axi_arvalid) address_q <= spare_valid_q ? spare_q : address;
    if (!spare_valid_q) spare_q <= address;
  end

  // Bursts that are under way. `rest_q` is what is still to come of the one whose data are next.
  order_t order_in, order, rest_q;
  logic order_valid, order_ready, order_pop, active_q;
  assign order_in = '{
    client: grant,
    units: burst.units,
    serial: burst.serial,
    step: burst.step,
    first: burst.first,
    tail: burst.tail,
    row_end: burst.row_end,
    last: burst.last
  };

  vta_fifo #(
    .T(order_t),
    .Depth(MaxOutstanding)
  ) u_orders (
    .clk_i,
    .rst_ni,
    .push_i(granted),
    .data_i(order_in),
    .ready_o(order_ready),
    .valid_o(order_valid),
    .data_o(order),
    .pop_i(order_pop)
  );

  logic [LogBusBytes-1:0] first_d;
  logic ready, take, burst_end, beat_end;
  always_comb begin
    first_d = rest_q.serial ? rest_q.first + rest_q.step : '0;
    burst_end = rest_q.units == '0;
    beat_end = burst_end || first_d == '0;
    ready = active_q && (rest_q.client & unit_ready_i) != '0;
    take = m_axi_rvalid && ready;

    unit_valid_o = m_axi_rvalid && active_q ? rest_q.client : '0;
    unit_o.first = rest_q.first;
    unit_o.tail = burst_end ? rest_q.tail : '1;
    unit_o.row_end = burst_end && rest_q.row_end;
    unit_o.last = burst_end && rest_q.last;
    order_pop = order_valid && (!active_q || (take && burst_end));
  end
  assign unit_data_o = m_axi_rdata;
  assign m_axi_rready = ready && beat_end;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      active_q <= 1'b0;
      outstanding_q <= '0;
      fault_o <= 1'b0;
    end else begin
      if (order_pop) active_q <= 1'b1;
      else if (take && burst_end) active_q <= 1'b0;
      outstanding_q <= outstanding_q + CountWidth'(granted) - CountWidth'(take && burst_end);
      fault_o <= m_axi_rvalid && m_axi_rready && m_axi_rresp[1];
    end
    if (order_pop) begin
      rest_q <= order;
    end else if (take) begin
      rest_q.units <= rest_q.units - 1'b1;
      rest_q.first <= first_d;
    end
  end
  assign quiet_o = outstanding_q == '0;

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(granted && !order_ready));
      if (m_axi_rvalid && m_axi_rready) assert (m_axi_rlast == burst_end);
    end
  end
`endif
endmodule
