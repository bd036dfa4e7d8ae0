// Puts a unit of a load where it belongs in its scratchpad element: the bytes of a beat that are a
// narrow element, or a beat as one slice of a wide one. Padding is all slices, of zeros or, where a
// LOAD can say so, of its value. Combinational.
module vta_place
  import vta_pkg::*;
  import vta_types_pkg::*;
#(
  parameter int unsigned LogElemBytes = 4,
  parameter int unsigned ValueWidth = 8,  // of the values of an element; 0 if padding is always zeros
  localparam int unsigned ElemBits = 8 << LogElemBytes,
  localparam int unsigned Slices = (ElemBits > BusWidth) ? ElemBits / BusWidth : 1
) (
  input  load_write_t         write_i,
  output logic [Slices-1:0]   enable_o,  // with write_i.we
  output logic [ElemBits-1:0] elem_o
);
  logic [BusWidth-1:0] data, padding;
  if (HasLoadPad && ValueWidth > 0) begin : gen_padding
    assign padding = {(BusWidth / ValueWidth) {ValueWidth'(write_i.pad_value)}};
  end else begin : gen_zeros
    assign padding = '0;
  end
  assign data = write_i.zero ? padding : write_i.data;

  if (Slices > 1) begin : gen_slices
    for (genvar s = 0; s < Slices; s++) begin : gen_slice
      assign enable_o[s] = write_i.we && (write_i.zero || write_i.slice == 9'(s));
    end
    assign elem_o = {Slices{data}};
  end else if (ElemBits == BusWidth) begin : gen_beat
    assign enable_o = write_i.we;
    assign elem_o = data;
  end else begin : gen_lanes
    localparam int unsigned Lanes = BusWidth / ElemBits;
    logic [Lanes-1:0][ElemBits-1:0] lanes;
    assign lanes = data;
    assign enable_o = write_i.we;
    assign elem_o = lanes[write_i.first[LogBusBytes-1:LogElemBytes]];
  end

  logic unused;
  assign unused = ^write_i;
endmodule
