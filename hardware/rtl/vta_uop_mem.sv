// The micro-op memory: as many banks as a beat has micro-ops, neighbours in neighbouring banks, so
// that a beat is written in one cycle wherever its micro-ops lie in it and wherever they go. A read
// that is presented at z is on the port from z + 2: out of the banks at z + 1, registered at z + 2.
module vta_uop_mem
  import vta_pkg::*;
#(
  localparam int unsigned Lanes = BusWidth / 32,
  localparam int unsigned LogLanes = $clog2(Lanes)
) (
  input  logic                     clk_i,
  // Lanes `lane_lo_i` to `lane_hi_i` of the beat go to consecutive micro-ops from `waddr_i` on.
  input  logic                     we_i,
  input  logic [LogUopDepth-1:0]   waddr_i,
  input  logic [LogLanes-1:0]      lane_lo_i,
  input  logic [LogLanes-1:0]      lane_hi_i,
  input  logic [Lanes-1:0][31:0]   beat_i,

  input  logic                     re_i,
  input  logic [LogUopDepth-1:0]   raddr_i,
  output uop_t                     uop_o
);
  // No more banks than micro-ops.
  localparam int unsigned LogBanks = (LogLanes < LogUopDepth) ? LogLanes : LogUopDepth;
  localparam int unsigned Banks = 1 << LogBanks;
  localparam int unsigned Rows = UopDepth >> LogBanks;
  localparam int unsigned RowWidth = (Rows > 1) ? $clog2(Rows) : 1;

  logic [31:0] rdata[Banks];
  logic [LogBanks-1:0] bank_q;

  for (genvar b = 0; b < Banks; b++) begin : gen_bank
    // How far this bank's micro-op is from the first one, and so in which lane and at which index.
    logic [LogBanks-1:0] distance;
    logic [LogLanes:0] lane;
    logic [LogUopDepth-1:0] waddr;
    assign distance = LogBanks'(b) - waddr_i[LogBanks-1:0];
    assign lane = {1'b0, lane_lo_i} + (LogLanes + 1)'(distance);
    assign waddr = waddr_i + LogUopDepth'(distance);

    vta_sram #(
      .Width(32),
      .Depth(Rows)
    ) u_mem (
      .clk_i,
      .we_i(we_i && lane <= {1'b0, lane_hi_i}),
      .waddr_i(RowWidth'(waddr >> LogBanks)),
      .wdata_i(beat_i[lane[LogLanes-1:0]]),
      .re_i,
      .raddr_i(RowWidth'(raddr_i >> LogBanks)),
      .rdata_o(rdata[b])
    );
  end

  always_ff @(posedge clk_i) begin
    bank_q <= raddr_i[LogBanks-1:0];
    uop_o <= rdata[bank_q];
  end
endmodule
