// One write and one read port on one clock; reads take one cycle. An address that is presented at t
// with `re_i` has its word on `rdata_o` from t + 1 until the next read. A word is written in slices,
// each with an enable; what is written at t is read from t + 1. What a read gets that meets a write
// to the same word is left open, so that any block RAM will do.
module vta_sram #(
  parameter int unsigned Width = 32,
  parameter int unsigned Depth = 512,
  parameter int unsigned Slices = 1,
  parameter string Style = "block",  // what an FPGA makes it of
  localparam int unsigned AddrWidth = (Depth > 1) ? $clog2(Depth) : 1
) (
  input  logic                 clk_i,
  input  logic [Slices-1:0]    we_i,
  input  logic [AddrWidth-1:0] waddr_i,
  input  logic [Width-1:0]     wdata_i,
  input  logic                 re_i,
  input  logic [AddrWidth-1:0] raddr_i,
  output logic [Width-1:0]     rdata_o
);
  localparam int unsigned SliceWidth = Width / Slices;

  (* ram_style = Style, no_rw_check *)
  logic [Width-1:0] mem[Depth];

  always_ff @(posedge clk_i) begin
    for (int unsigned s = 0; s < Slices; s++) begin
      if (we_i[s]) mem[waddr_i][s*SliceWidth+:SliceWidth] <= wdata_i[s*SliceWidth+:SliceWidth];
    end
    if (re_i) rdata_o <= mem[raddr_i];
  end
endmodule
