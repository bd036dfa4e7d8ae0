// The rescaling table, in rows of as many records as a unit of a STORE has columns. Load writes records; a row
// whose address is presented at t with `en_i` is on the port from t + 2, both steps of the read only with
// `en_i`.
module vta_table
  import vta_pkg::*;
  import vta_types_pkg::*;
(
  input  logic                        clk_i,
  input  load_write_t                 write_i,
  input  logic                        en_i,
  input  logic [RowAddrWidth-1:0]     addr_i,
  output rescaling_t [RowRecords-1:0] row_o
);
  localparam int unsigned Slices = (RqtBits > BusWidth) ? RqtBits / BusWidth : 1;
  localparam int unsigned RowBits = RowRecords * RqtBits;

  logic [Slices-1:0] slices;
  logic [RqtBits-1:0] record;
  logic [RowRecords-1:0][Slices-1:0] we;

  vta_place #(
    .LogElemBytes(LogRqtBytes),
    .ValueWidth(0)
  ) u_place (
    .write_i,
    .enable_o(slices),
    .elem_o(record)
  );

  for (genvar r = 0; r < RowRecords; r++) begin : gen_record
    assign we[r] = write_i.mem == MemRqt && 32'(write_i.addr) % RowRecords == r ? slices : '0;
  end

  rescaling_t [RowRecords-1:0] row;
  vta_sram #(
    .Width(RowBits),
    .Depth(RowDepth),
    .Slices(RowRecords * Slices),
    .Style("distributed")
  ) u_rqt (
    .clk_i,
    .we_i(we),
    .waddr_i(RowAddrWidth'(write_i.addr >> LogRowRecords)),
    .wdata_i({RowRecords{record}}),
    .re_i(en_i),
    .raddr_i(addr_i),
    .rdata_o(row)
  );

  always_ff @(posedge clk_i) if (en_i) row_o <= row;
endmodule
