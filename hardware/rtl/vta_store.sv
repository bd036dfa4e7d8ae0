// The store module: reads outputs from the out memory and writes them to DRAM. Taken at P, an
// instruction's first unit is read from P + 2 on and is in the write master's register at P + 5, or where a
// STORE can rescale at P + 10; then it is one unit a cycle over the ends of beats, bursts and rows. While a
// beat waits for the memory, all of this pipeline waits.
module vta_store
  import vta_pkg::*;
  import vta_types_pkg::*;
(
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   halt_i,  // take nothing more, start no further burst

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
  input  logic [MirrorBits-1:0]  out_rdata_i,
  output logic [RowAddrWidth-1:0] row_addr_o,
  input  rescaling_t [RowRecords-1:0] row_rdata_i,

  // AXI4, but for the constant signals.
  output logic [AddrWidth-1:0]   m_axi_awaddr,
  output logic [7:0]             m_axi_awlen,
  output logic                   m_axi_awvalid,
  input  logic                   m_axi_awready,
  output logic [BusWidth-1:0]    m_axi_wdata,
  output logic [BusBytes-1:0]    m_axi_wstrb,
  output logic                   m_axi_wlast,
  output logic                   m_axi_wvalid,
  input  logic                   m_axi_wready,
  input  logic [1:0]             m_axi_bresp,
  input  logic                   m_axi_bvalid,
  output logic                   m_axi_bready,

  output logic                   quiet_o,  // no burst is under way
  output logic                   fault_o,
  output fault_e                 fault_code_o
);
  localparam int unsigned Window = 4;
  localparam bit Serial = (LogOutBytes < LogBusBytes);
  // Units of an element that is wider than a beat.
  localparam int unsigned LogSlices = Serial ? 0 : LogOutBytes - LogBusBytes;
  localparam int unsigned SliceWidth = (LogSlices > 0) ? LogSlices : 1;
  // The last place in a beat at which an element begins.
  localparam logic [LogBusBytes-1:0] LastPlace =
      Serial ? LogBusBytes'(BusBytes - (1 << LogOutBytes)) : '0;

  // P: take and retire. One instruction at a time until all of it is sent.
  logic in_flight, busy_q, empty_q, nothing_q, sent, response, response_q, done;
  mem_insn_t insn;
  logic nothing, padded, wrong_memory, no_entry, empty;
  logic [2:0] no_next;
  assign insn = mem_insn_t'(insn_i);
  assign nothing = insn.x_size == '0;
  assign wrong_memory = insn.memory_type != MemOut;
  assign padded = !HasRequantStore &&
      {insn.y_pad_0, insn.y_pad_1, insn.x_pad_0, insn.x_pad_1} != '0;
  assign empty = nothing || insn.y_size == '0;

  vta_issue #(
    .Window(Window)
  ) u_issue (
    .clk_i,
    .rst_ni,
    .halt_i,
    .valid_i(insn_valid_i),
    .pop_prev_i(insn.pop_prev),
    .pop_next_i(1'b0),
    .push_prev_i(insn.push_prev),
    .push_next_i(1'b0),
    .prev_avail_i,
    .next_avail_i(1'b0),
    .prev_room_i,
    .next_room_i(1'b0),
    .pop_prev_o,
    .pop_next_o(no_next[0]),
    .reserve_prev_o,
    .reserve_next_o(no_next[1]),
    .push_prev_o,
    .push_next_o(no_next[2]),
    .free_i(!busy_q),
    .take_o,
    .finished_i(done),
    .retire_o,
    .busy_o(in_flight)
  );

  vta_in_order #(
    .Depth(Window),
    .Kinds(2)
  ) u_in_order (
    .clk_i,
    .rst_ni,
    .start_i({take_o && empty, take_o && !empty}),
    .end_i({nothing_q, response_q}),
    .done_o(done)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      busy_q <= 1'b0;
      empty_q <= 1'b0;
      nothing_q <= 1'b0;
      response_q <= 1'b0;
    end else begin
      busy_q <= take_o || (busy_q && !empty_q && !sent);
      empty_q <= take_o && empty;
      nothing_q <= empty_q;
      response_q <= response;
    end
  end

  // P + 2: which unit of which burst is read, and from where.
  logic en, burst_valid, burst_fault, burst_free;
  burst_t burst;
  write_unit_t unit;

  vta_burst #(
    .Memories(8'(1 << MemOut))
  ) u_burst (
    .clk_i,
    .rst_ni,
    .take_i(take_o),
    .insn_i(insn),
    .base_i(out_base_i),
    .free_o(burst_free),
    .valid_o(burst_valid),
    .burst_o(burst),
    .ready_i(en && unit.burst_last),
    .fault_o(burst_fault)
  );

  typedef logic [LogBusBytes-1:0] place_t;

  logic [11:0] unit_q;
  place_t place_q, place;
  logic [SliceWidth-1:0] slice_q;
  logic [16:0] addr_q;

  always_comb begin
    place = (unit_q == '0) ? burst.first : place_q;
    unit = '0;
    unit.burst = burst;
    unit.burst_first = unit_q == '0;
    unit.burst_last = unit_q == burst.units;
    unit.beat_first = unit.burst_first || place == '0;
    unit.beat_last = unit.burst_last || place == LastPlace;
    for (int unsigned b = 0; b < BusBytes; b++) begin
      unit.strb[b] = !Serial || ((b ^ 32'(place)) >> LogOutBytes) == 0;
    end
  end

  logic step;
  assign step = en && burst_valid;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || take_o) begin
      unit_q <= '0;
      slice_q <= '0;
    end else if (step) begin
      unit_q <= unit.burst_last ? '0 : unit_q + 1'b1;
      if (LogSlices > 0) slice_q <= slice_q + 1'b1;
    end
    if (take_o) addr_q <= 17'(insn.sram_base);
    else if (step && (LogSlices == 0 || &slice_q)) addr_q <= addr_q + 1'b1;
    if (step) place_q <= place + LogBusBytes'(1 << LogOutBytes);
  end

  assign out_en_o = en;
  assign out_addr_o = addr_q[LogAccDepth-1:0];

  // P + 3, P + 4: out of the memory, registered.
  logic [1:0] valid_q;
  write_unit_t unit_1_q, unit_2_q;
  logic [SliceWidth-1:0] slice_1_q, slice_2_q;
  logic [UnitLanes-1:0][MirrorWidth-1:0] lanes;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else if (en) valid_q <= {valid_q[0], burst_valid};
    if (en) begin
      unit_1_q <= unit;
      unit_2_q <= unit_1_q;
      slice_1_q <= slice_q;
      slice_2_q <= slice_1_q;
    end
  end

  if (LogSlices == 0) begin : gen_element
    assign lanes = out_rdata_i;
  end else begin : gen_slices
    logic [(1<<LogSlices)-1:0][UnitLanes*MirrorWidth-1:0] slices;
    assign slices = out_rdata_i;
    assign lanes = slices[slice_2_q];
  end

  // The values of the unit: the low bits of what is in the memory, or from P + 9 on what is made of it.
  logic unit_valid;
  write_unit_t unit_out;
  logic [UnitLanes-1:0][OutWidth-1:0] values;

  if (HasRequantStore) begin : gen_requant
    localparam int unsigned Stages = 5;
    localparam int unsigned Entries = RqtDepth / BlockOut;
    // Rows of the table that are the rescalings of a block.
    localparam int unsigned LogRows = $clog2(BlockOut / RowRecords);

    store_insn_t store_insn;
    logic rescale_q;
    logic [14:0] entry_q;
    logic [Stages-1:0] valid_3_q;
    write_unit_t unit_3_q[Stages];

    assign store_insn = store_insn_t'(insn_i);
    assign no_entry = store_insn.requant && 32'(store_insn.entry) >= Entries;
    assign row_addr_o = RowAddrWidth'(
        (32'(entry_q) << LogRows) | (32'(slice_q) & ((32'd1 << LogRows) - 32'd1)));

    always_ff @(posedge clk_i) begin
      if (take_o) begin
        rescale_q <= store_insn.requant;
        entry_q <= store_insn.entry;
      end
      if (!rst_ni) valid_3_q <= '0;
      else if (en) valid_3_q <= {valid_3_q[Stages-2:0], valid_q[1]};
      if (en) begin
        unit_3_q[0] <= unit_2_q;
        for (int unsigned s = 1; s < Stages; s++) unit_3_q[s] <= unit_3_q[s-1];
      end
    end
    assign unit_valid = valid_3_q[Stages-1];
    assign unit_out = unit_3_q[Stages-1];

    for (genvar i = 0; i < UnitLanes; i++) begin : gen_lane
      vta_requant u_requant (
        .clk_i,
        .en_i(en),
        .rescale_i(rescale_q),
        .x_i(lanes[i]),
        .record_i(row_rdata_i[i%RowRecords]),
        .y_o(values[i])
      );
    end

    logic unused_insn;
    assign unused_insn = ^store_insn;
  end else begin : gen_low_bits
    assign no_entry = 1'b0;
    assign row_addr_o = '0;
    assign unit_valid = valid_q[1];
    assign unit_out = unit_2_q;
    assign values = lanes;

    logic unused_row;
    assign unused_row = ^row_rdata_i;
  end

  logic [BusWidth-1:0] data;
  if (Serial) begin : gen_lanes
    assign data = {(BusWidth / OutBits) {values}};
  end else begin : gen_beat
    assign data = values;
  end

  // The write register.
  logic unit_ready, bus_fault;
  assign en = unit_ready || !unit_valid;

  vta_write_master u_write_master (
    .clk_i,
    .rst_ni,
    .halt_i,
    .unit_valid_i(unit_valid),
    .unit_i(unit_out),
    .unit_data_i(data),
    .unit_ready_o(unit_ready),
    .m_axi_awaddr,
    .m_axi_awlen,
    .m_axi_awvalid,
    .m_axi_awready,
    .m_axi_wdata,
    .m_axi_wstrb,
    .m_axi_wlast,
    .m_axi_wvalid,
    .m_axi_wready,
    .m_axi_bresp,
    .m_axi_bvalid,
    .m_axi_bready,
    .sent_o(sent),
    .response_o(response),
    .quiet_o,
    .fault_o(bus_fault)
  );

  logic memory_fault_q, pad_fault_q, entry_fault_q, sram_fault_q, address_fault_q;
  always_ff @(posedge clk_i) begin
    memory_fault_q <= rst_ni && take_o && !nothing && wrong_memory;
    pad_fault_q <= rst_ni && take_o && !nothing && padded;
    entry_fault_q <= rst_ni && take_o && !nothing && no_entry;
    sram_fault_q <= rst_ni && step && |(addr_q >> LogAccDepth);
    address_fault_q <= rst_ni && burst_fault;
  end

  assign fault_o = memory_fault_q || pad_fault_q || entry_fault_q || sram_fault_q ||
      address_fault_q || bus_fault;
  always_comb begin
    if (memory_fault_q) fault_code_o = FaultMemType;
    else if (pad_fault_q) fault_code_o = FaultStorePad;
    else if (entry_fault_q || sram_fault_q) fault_code_o = FaultSram;
    else if (address_fault_q) fault_code_o = FaultAddress;
    else fault_code_o = FaultBus;
  end

  logic unused;
  assign unused = ^{insn, slice_2_q, no_next, in_flight};

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (!(take_o && !burst_free));
  end
`endif
endmodule
