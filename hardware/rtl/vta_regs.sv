// The control port: an AXI4-Lite slave with the registers of hardware/README.md, and what starts, ends
// and watches a run.
//
// Cycle 0 is the cycle in which the launch is accepted (address and data ready). `run_no`, the
// reset of everything that belongs to a run, is high from cycle 2 until the run is over. A fault
// sets `halt_o`; the run is then over when the bursts under way have ended or, should the memory
// answer no more, after another period of the watchdog.
module vta_regs
  import vta_pkg::*;
(
  input  logic                 clk_i,
  input  logic                 rst_ni,
  // AXI4-Lite.
  input  logic [7:0]           s_axil_awaddr,
  input  logic                 s_axil_awvalid,
  output logic                 s_axil_awready,
  input  logic [31:0]          s_axil_wdata,
  input  logic [3:0]           s_axil_wstrb,
  input  logic                 s_axil_wvalid,
  output logic                 s_axil_wready,
  output logic [1:0]           s_axil_bresp,
  output logic                 s_axil_bvalid,
  input  logic                 s_axil_bready,
  input  logic [7:0]           s_axil_araddr,
  input  logic                 s_axil_arvalid,
  output logic                 s_axil_arready,
  output logic [31:0]          s_axil_rdata,
  output logic [1:0]           s_axil_rresp,
  output logic                 s_axil_rvalid,
  input  logic                 s_axil_rready,
  output logic                 irq_o,        // finished; until the next launch or acknowledgement
  // The run.
  output logic                 run_no,
  output logic                 tokens_no,    // reset of the token queues
  output logic                 halt_o,
  output logic [31:0]          insn_count_o,
  output logic [AddrWidth-1:0] insn_base_o,
  output logic [AddrWidth-1:0] uop_base_o,
  output logic [AddrWidth-1:0] inp_base_o,
  output logic [AddrWidth-1:0] wgt_base_o,
  output logic [AddrWidth-1:0] acc_base_o,
  output logic [AddrWidth-1:0] out_base_o,
  input  logic                 retire_i,     // R of any module
  input  logic                 finished_i,   // FINISH has retired
  input  logic                 empty_i,      // load and store hold no instruction
  input  logic                 quiet_i,      // no burst is under way
  input  logic                 slot_i,       // a GEMM or ALU slot is issued
  input  logic                 moved_i,      // for the watchdog: something moved
  // Faults, by module: fetch, load, compute, store; and the bus.
  input  logic   [3:0]         fault_i,
  input  fault_e [3:0]         fault_code_i,
  input  logic                 fault_bus_i
);
  localparam int unsigned Pointers = 6;
  localparam int unsigned Words = AddrWidth / 32;
  localparam logic [31:0] WatchdogReset = 32'd1 << 20;
  localparam logic [Pointers-1:0][7:0] PointerAddr = {
    RegOutBase, RegAccBase, RegWgtBase, RegInpBase, RegUopBase, RegInsnBase
  };

  typedef enum logic [1:0] {
    StIdle,
    StLaunch,  // cycle 1
    StRun,
    StHalt
  } state_e;

  state_e state_q;
  logic finish_q, finished_q;
  logic [31:0] event_q, slots_q, insn_count_q, watchdog_q;
  logic [Pointers-1:0][Words-1:0][31:0] pointer_q;
  fault_e fault_q;
  logic [1:0] fault_module_q;

  // The port. An access is accepted in the cycle after its address (and data) came, and answered
  // in the one after that.
  logic write, launch;
  logic [31:0] strobe;
  assign write = s_axil_awready;
  assign launch = write && s_axil_awaddr == RegControl && s_axil_wstrb[0] && s_axil_wdata[0]
      && state_q == StIdle;
  assign s_axil_wready = s_axil_awready;
  assign s_axil_bresp = 2'b00;
  assign s_axil_rresp = 2'b00;
  always_comb begin
    for (int unsigned i = 0; i < 32; i++) strobe[i] = s_axil_wstrb[i/8];
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      s_axil_awready <= 1'b0;
      s_axil_bvalid <= 1'b0;
      s_axil_arready <= 1'b0;
      s_axil_rvalid <= 1'b0;
    end else begin
      s_axil_awready <= s_axil_awvalid && s_axil_wvalid && !s_axil_awready && !s_axil_bvalid;
      s_axil_bvalid <= s_axil_awready || (s_axil_bvalid && !s_axil_bready);
      s_axil_arready <= s_axil_arvalid && !s_axil_arready && !s_axil_rvalid;
      s_axil_rvalid <= s_axil_arready || (s_axil_rvalid && !s_axil_rready);
    end
  end

  function automatic logic [31:0] merge(logic [31:0] old, logic [31:0] data, logic [31:0] mask);
    return (old & ~mask) | (data & mask);
  endfunction

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      insn_count_q <= '0;
      pointer_q <= '0;
      watchdog_q <= WatchdogReset;
    end else if (write) begin
      if (s_axil_awaddr == RegInsnCount) insn_count_q <= merge(insn_count_q, s_axil_wdata, strobe);
      if (s_axil_awaddr == RegWatchdog) watchdog_q <= merge(watchdog_q, s_axil_wdata, strobe);
      for (int unsigned p = 0; p < Pointers; p++) begin
        for (int unsigned word = 0; word < Words; word++) begin
          if (s_axil_awaddr == PointerAddr[p] + 8'(4 * word)) begin
            pointer_q[p][word] <= merge(pointer_q[p][word], s_axil_wdata, strobe);
          end
        end
      end
    end
  end

  logic [31:0] read;
  always_comb begin
    read = '0;
    unique case (s_axil_araddr)
      RegControl: read = {28'd0, state_q == StIdle && fault_q != FaultNone, 1'b0, finish_q, 1'b0};
      RegEventCounter: read = event_q;
      RegInsnCount: read = insn_count_q;
      RegUserCounter: read = slots_q;
      RegFault: read = {26'd0, fault_module_q, fault_q};
      RegWatchdog: read = watchdog_q;
      default: begin
        for (int unsigned p = 0; p < Pointers; p++) begin
          for (int unsigned word = 0; word < Words; word++) begin
            if (s_axil_araddr == PointerAddr[p] + 8'(4 * word)) read = pointer_q[p][word];
          end
        end
      end
    endcase
  end
  always_ff @(posedge clk_i) begin
    if (s_axil_arready) s_axil_rdata <= read;
  end

  assign insn_count_o = insn_count_q;
  assign insn_base_o = pointer_q[0];
  assign uop_base_o = pointer_q[1];
  assign inp_base_o = pointer_q[2];
  assign wgt_base_o = pointer_q[3];
  assign acc_base_o = pointer_q[4];
  assign out_base_o = pointer_q[5];

  // The run. `patience_q` counts down while nothing moves; it rests at 0 when the watchdog is off.
  logic [31:0] cycle_q, patience_q;
  logic expired, fault, over;
  fault_e code;
  logic [1:0] module_d;
  always_comb begin
    expired = patience_q == 32'd1;
    fault = 1'b1;
    module_d = 2'd0;
    if (fault_bus_i) begin
      code = FaultBus;
    end else if (fault_i != '0) begin
      code = FaultNone;
      for (int m = 3; m >= 0; m--) begin
        if (fault_i[m]) begin
          code = fault_code_i[m];
          module_d = 2'(m);
        end
      end
    end else begin
      code = FaultWatchdog;
      fault = expired;
    end
    over = state_q == StRun ? finished_q && empty_i && !fault
        : state_q == StHalt && (quiet_i || expired);
  end

  assign run_no = state_q == StRun || state_q == StHalt;
  assign halt_o = state_q == StHalt;
  assign irq_o = finish_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= StIdle;
      tokens_no <= 1'b0;
      finish_q <= 1'b0;
      finished_q <= 1'b0;
      fault_q <= FaultNone;
      fault_module_q <= '0;
      cycle_q <= '0;
      event_q <= '0;
      slots_q <= '0;
      patience_q <= '0;
    end else begin
      tokens_no <= !(launch && (s_axil_wdata[2] || fault_q != FaultNone));
      unique case (state_q)
        StIdle: if (launch) state_q <= StLaunch;
        StLaunch: state_q <= StRun;
        StRun: begin
          if (fault) state_q <= StHalt;
          else if (over) state_q <= StIdle;
        end
        default: if (over) state_q <= StIdle;
      endcase

      if (launch) begin
        finish_q <= 1'b0;
        finished_q <= 1'b0;
        fault_q <= FaultNone;
        fault_module_q <= '0;
        cycle_q <= 32'd1;
        event_q <= '0;
        slots_q <= '0;
      end else begin
        if (over) finish_q <= 1'b1;
        else if (write && s_axil_awaddr == RegControl && s_axil_wstrb[0] && s_axil_wdata[1]) begin
          finish_q <= 1'b0;
        end
        if (finished_i) finished_q <= 1'b1;
        if (state_q == StRun && fault) begin
          fault_q <= code;
          fault_module_q <= module_d;
        end
        cycle_q <= cycle_q + 32'd1;
        if (retire_i) event_q <= cycle_q + 32'd1;
        if (slot_i) slots_q <= slots_q + 32'd1;
      end

      if (!run_no || moved_i || expired) patience_q <= watchdog_q;
      else if (patience_q != '0) patience_q <= patience_q - 32'd1;
    end
  end
endmodule
