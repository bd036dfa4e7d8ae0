// The accelerator: registers, fetch, three modules with their queues, scratchpads, the bus. All
// ports are those of AXI4 and AXI4-Lite, but for the interrupt and `retire_o`: bit 0 load, 1 compute,
// 2 store, high in the cycle R of an instruction.
module vta_top
  import vta_pkg::*;
  import vta_types_pkg::*;
(
  input  logic                  clk_i,
  input  logic                  rst_ni,
  // Control.
  input  logic [7:0]            s_axil_awaddr,
  input  logic                  s_axil_awvalid,
  output logic                  s_axil_awready,
  input  logic [31:0]           s_axil_wdata,
  input  logic [3:0]            s_axil_wstrb,
  input  logic                  s_axil_wvalid,
  output logic                  s_axil_wready,
  output logic [1:0]            s_axil_bresp,
  output logic                  s_axil_bvalid,
  input  logic                  s_axil_bready,
  input  logic [7:0]            s_axil_araddr,
  input  logic                  s_axil_arvalid,
  output logic                  s_axil_arready,
  output logic [31:0]           s_axil_rdata,
  output logic [1:0]            s_axil_rresp,
  output logic                  s_axil_rvalid,
  input  logic                  s_axil_rready,
  // Memory.
  output logic [AddrWidth-1:0]  m_axi_awaddr,
  output logic [7:0]            m_axi_awlen,
  output logic [2:0]            m_axi_awsize,
  output logic [1:0]            m_axi_awburst,
  output logic [3:0]            m_axi_awcache,
  output logic [2:0]            m_axi_awprot,
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
  output logic [AddrWidth-1:0]  m_axi_araddr,
  output logic [7:0]            m_axi_arlen,
  output logic [2:0]            m_axi_arsize,
  output logic [1:0]            m_axi_arburst,
  output logic [3:0]            m_axi_arcache,
  output logic [2:0]            m_axi_arprot,
  output logic                  m_axi_arvalid,
  input  logic                  m_axi_arready,
  input  logic [BusWidth-1:0]   m_axi_rdata,
  input  logic [1:0]            m_axi_rresp,
  input  logic                  m_axi_rlast,
  input  logic                  m_axi_rvalid,
  output logic                  m_axi_rready,
  output logic                  irq_o,
  output logic [2:0]            retire_o
);
  localparam int unsigned AccSlices = AccBits > BusWidth ? AccBits / BusWidth : 1;

  // Bursts of whole beats at incrementing addresses, bufferable and modifiable.
  assign m_axi_awsize = 3'(LogBusBytes);
  assign m_axi_arsize = 3'(LogBusBytes);
  assign m_axi_awburst = 2'b01;
  assign m_axi_arburst = 2'b01;
  assign m_axi_awcache = 4'b0011;
  assign m_axi_arcache = 4'b0011;
  assign m_axi_awprot = 3'b000;
  assign m_axi_arprot = 3'b000;

  // Modules, in the order of their bits: load, compute, store.
  localparam int unsigned Load = 0;
  localparam int unsigned Compute = 1;
  localparam int unsigned Store = 2;

  logic run_n, tokens_n, halt;
  logic [31:0] insn_count;
  logic [AddrWidth-1:0] insn_base, uop_base, inp_base, wgt_base, acc_base, out_base;

  // Command queues.
  insn_t fetched;
  logic [2:0] push, push_ready, insn_valid, take, empty;
  insn_t insn[3];
  for (genvar i = 0; i < 3; i++) begin : gen_cmd_queue
    vta_cmd_queue #(
      .Depth(CmdQueueDepth)
    ) u_cmd_queue (
      .clk_i,
      .rst_ni(run_n),
      .push_i(push[i]),
      .insn_i(fetched),
      .ready_o(push_ready[i]),
      .valid_o(insn_valid[i]),
      .insn_o(insn[i]),
      .pop_i(take[i]),
      .retire_i(retire_o[i]),
      .empty_o(empty[i])
    );
  end

  // Token queues, by producer and consumer.
  localparam int unsigned LoadToCompute = 0;
  localparam int unsigned ComputeToLoad = 1;
  localparam int unsigned ComputeToStore = 2;
  localparam int unsigned StoreToCompute = 3;
  logic [3:0] token_reserve, token_push, token_pop, token_room, token_avail;
  for (genvar i = 0; i < 4; i++) begin : gen_token_queue
    vta_token_queue #(
      .Depth(DepQueueDepth)
    ) u_token_queue (
      .clk_i,
      .rst_ni(tokens_n),
      .reserve_i(token_reserve[i]),
      .push_i(token_push[i]),
      .pop_i(token_pop[i]),
      .room_o(token_room[i]),
      .avail_o(token_avail[i])
    );
  end

  // Clients of the read master.
  localparam int unsigned ReadFetch = 0;
  localparam int unsigned ReadCompute = 1;
  localparam int unsigned ReadLoad = 2;
  logic [2:0] req_valid, req_ready, unit_valid, unit_ready;
  burst_t [2:0] req;
  unit_t unit;
  logic [BusWidth-1:0] unit_data;
  logic read_quiet, read_fault;

  vta_read_master u_read_master (
    .clk_i,
    .rst_ni(run_n),
    .halt_i(halt),
    .req_valid_i(req_valid),
    .req_i(req),
    .req_ready_o(req_ready),
    .unit_valid_o(unit_valid),
    .unit_o(unit),
    .unit_data_o(unit_data),
    .unit_ready_i(unit_ready),
    .m_axi_araddr,
    .m_axi_arlen,
    .m_axi_arvalid,
    .m_axi_arready,
    .m_axi_rdata,
    .m_axi_rresp,
    .m_axi_rlast,
    .m_axi_rvalid,
    .m_axi_rready,
    .quiet_o(read_quiet),
    .fault_o(read_fault)
  );

  // Faults, in the numbering of the fault register: fetch, load, compute, store.
  logic [3:0] fault;
  fault_e [3:0] fault_code;

  vta_fetch u_fetch (
    .clk_i,
    .rst_ni(run_n),
    .halt_i(halt),
    .base_i(insn_base),
    .count_i(insn_count),
    .req_valid_o(req_valid[ReadFetch]),
    .req_o(req[ReadFetch]),
    .req_ready_i(req_ready[ReadFetch]),
    .unit_valid_i(unit_valid[ReadFetch]),
    .unit_i(unit),
    .unit_data_i(unit_data),
    .unit_ready_o(unit_ready[ReadFetch]),
    .push_o(push),
    .insn_o(fetched),
    .ready_i(push_ready),
    .fault_o(fault[0]),
    .fault_code_o(fault_code[0])
  );

  load_write_t load_write;
  vta_load u_load (
    .clk_i,
    .rst_ni(run_n),
    .halt_i(halt),
    .insn_valid_i(insn_valid[Load]),
    .insn_i(insn[Load]),
    .take_o(take[Load]),
    .retire_o(retire_o[Load]),
    .next_avail_i(token_avail[ComputeToLoad]),
    .next_room_i(token_room[LoadToCompute]),
    .pop_next_o(token_pop[ComputeToLoad]),
    .reserve_next_o(token_reserve[LoadToCompute]),
    .push_next_o(token_push[LoadToCompute]),
    .inp_base_i(inp_base),
    .wgt_base_i(wgt_base),
    .req_valid_o(req_valid[ReadLoad]),
    .req_o(req[ReadLoad]),
    .req_ready_i(req_ready[ReadLoad]),
    .unit_valid_i(unit_valid[ReadLoad]),
    .unit_i(unit),
    .unit_data_i(unit_data),
    .unit_ready_o(unit_ready[ReadLoad]),
    .write_o(load_write),
    .fault_o(fault[1]),
    .fault_code_o(fault_code[1])
  );

  logic inp_re, wgt_re, out_en;
  logic [LogInpDepth-1:0] inp_addr;
  logic [LogWgtDepth-1:0] wgt_addr;
  logic [LogAccDepth-1:0] out_waddr, out_addr;
  logic [InpBits-1:0] inp_rdata;
  logic [WgtBits-1:0] wgt_rdata;
  logic [MirrorBits-1:0] out_wdata, out_rdata;
  logic [RowAddrWidth-1:0] row_addr;
  rescaling_t [RowRecords-1:0] row_rdata;
  logic [AccSlices-1:0] out_we;
  logic slot, compute_load_we, finished;

  vta_compute u_compute (
    .clk_i,
    .rst_ni(run_n),
    .halt_i(halt),
    .insn_valid_i(insn_valid[Compute]),
    .insn_i(insn[Compute]),
    .take_o(take[Compute]),
    .retire_o(retire_o[Compute]),
    .prev_avail_i(token_avail[LoadToCompute]),
    .next_avail_i(token_avail[StoreToCompute]),
    .prev_room_i(token_room[ComputeToLoad]),
    .next_room_i(token_room[ComputeToStore]),
    .pop_prev_o(token_pop[LoadToCompute]),
    .pop_next_o(token_pop[StoreToCompute]),
    .reserve_prev_o(token_reserve[ComputeToLoad]),
    .reserve_next_o(token_reserve[ComputeToStore]),
    .push_prev_o(token_push[ComputeToLoad]),
    .push_next_o(token_push[ComputeToStore]),
    .uop_base_i(uop_base),
    .acc_base_i(acc_base),
    .req_valid_o(req_valid[ReadCompute]),
    .req_o(req[ReadCompute]),
    .req_ready_i(req_ready[ReadCompute]),
    .unit_valid_i(unit_valid[ReadCompute]),
    .unit_i(unit),
    .unit_data_i(unit_data),
    .unit_ready_o(unit_ready[ReadCompute]),
    .inp_re_o(inp_re),
    .inp_addr_o(inp_addr),
    .inp_rdata_i(inp_rdata),
    .wgt_re_o(wgt_re),
    .wgt_addr_o(wgt_addr),
    .wgt_rdata_i(wgt_rdata),
    .out_we_o(out_we),
    .out_waddr_o(out_waddr),
    .out_wdata_o(out_wdata),
    .slot_o(slot),
    .load_we_o(compute_load_we),
    .finished_o(finished),
    .fault_o(fault[2]),
    .fault_code_o(fault_code[2])
  );

  logic write_quiet;
  vta_store u_store (
    .clk_i,
    .rst_ni(run_n),
    .halt_i(halt),
    .insn_valid_i(insn_valid[Store]),
    .insn_i(insn[Store]),
    .take_o(take[Store]),
    .retire_o(retire_o[Store]),
    .prev_avail_i(token_avail[ComputeToStore]),
    .prev_room_i(token_room[StoreToCompute]),
    .pop_prev_o(token_pop[ComputeToStore]),
    .reserve_prev_o(token_reserve[StoreToCompute]),
    .push_prev_o(token_push[StoreToCompute]),
    .out_base_i(out_base),
    .out_en_o(out_en),
    .out_addr_o(out_addr),
    .out_rdata_i(out_rdata),
    .row_addr_o(row_addr),
    .row_rdata_i(row_rdata),
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
    .quiet_o(write_quiet),
    .fault_o(fault[3]),
    .fault_code_o(fault_code[3])
  );

  vta_scratchpads u_scratchpads (
    .clk_i,
    .load_write_i(load_write),
    .inp_re_i(inp_re),
    .inp_addr_i(inp_addr),
    .inp_rdata_o(inp_rdata),
    .wgt_re_i(wgt_re),
    .wgt_addr_i(wgt_addr),
    .wgt_rdata_o(wgt_rdata),
    .out_we_i(out_we),
    .out_waddr_i(out_waddr),
    .out_wdata_i(out_wdata),
    .out_en_i(out_en),
    .out_addr_i(out_addr),
    .out_rdata_o(out_rdata),
    .row_addr_i(row_addr),
    .row_rdata_o(row_rdata)
  );

  logic moved;
  assign moved = retire_o != '0 || slot || load_write.we || compute_load_we
      || (m_axi_arvalid && m_axi_arready)
      || (m_axi_rvalid && m_axi_rready) || (m_axi_awvalid && m_axi_awready)
      || (m_axi_wvalid && m_axi_wready) || (m_axi_bvalid && m_axi_bready);

  vta_regs u_regs (
    .clk_i,
    .rst_ni,
    .s_axil_awaddr,
    .s_axil_awvalid,
    .s_axil_awready,
    .s_axil_wdata,
    .s_axil_wstrb,
    .s_axil_wvalid,
    .s_axil_wready,
    .s_axil_bresp,
    .s_axil_bvalid,
    .s_axil_bready,
    .s_axil_araddr,
    .s_axil_arvalid,
    .s_axil_arready,
    .s_axil_rdata,
    .s_axil_rresp,
    .s_axil_rvalid,
    .s_axil_rready,
    .irq_o,
    .run_no(run_n),
    .tokens_no(tokens_n),
    .halt_o(halt),
    .insn_count_o(insn_count),
    .insn_base_o(insn_base),
    .uop_base_o(uop_base),
    .inp_base_o(inp_base),
    .wgt_base_o(wgt_base),
    .acc_base_o(acc_base),
    .out_base_o(out_base),
    .retire_i(retire_o != '0),
    .finished_i(finished),
    .empty_i(empty[Load] && empty[Store]),
    .quiet_i(read_quiet && write_quiet),
    .slot_i(slot),
    .moved_i(moved),
    .fault_i(fault),
    .fault_code_i(fault_code),
    .fault_bus_i(read_fault)
  );
endmodule
