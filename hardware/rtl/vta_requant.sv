// One lane of a rescaling STORE: min(max((x * mult + add) >> shift, lo), hi), exact. What is on the ports in
// one cycle is out five cycles later, of those with `en_i`: operands, the products with the halves of
// `mult`, their sum, that with `add`, and the shifted one are in registers, and the bounds follow. Without
// `rescale_i` x passes.
module vta_requant
  import vta_pkg::*;
  import vta_types_pkg::*;
(
  input  logic                       clk_i,
  input  logic                       en_i,
  input  logic                       rescale_i,
  input  logic signed [AccWidth-1:0] x_i,
  input  rescaling_t                 record_i,
  output logic [OutWidth-1:0]        y_o
);
  localparam int unsigned Half = 16;
  localparam int unsigned PartWidth = AccWidth + Half + 1;
  localparam int unsigned ProductWidth = AccWidth + 32;
  // The sum of 64 bits and a product of as many.
  localparam int unsigned SumWidth = 65;

  // What a stage still needs of the record, and of x if it passes.
  typedef struct packed {
    logic rescale;
    logic [OutWidth-1:0] x;
    logic signed [7:0] hi;
    logic signed [7:0] lo;
    logic [5:0] shift;
  } rest_t;

  rest_t rest, rest_1_q, rest_2_q, rest_3_q, rest_4_q, rest_5_q;
  assign rest = '{
    rescale: rescale_i,
    x: x_i[OutWidth-1:0],
    hi: record_i.hi,
    lo: record_i.lo,
    shift: record_i.shift
  };

  logic signed [AccWidth-1:0] x_1_q;
  logic signed [31:0] mult_1_q;
  logic signed [63:0] add_1_q, add_2_q, add_3_q;
  logic signed [PartWidth-1:0] low_2_q, high_2_q;
  logic signed [ProductWidth-1:0] product_3_q;
  logic signed [SumWidth-1:0] sum_4_q, shifted_5_q;

  always_ff @(posedge clk_i) begin
    if (en_i) begin
      rest_1_q <= rest;
      x_1_q <= x_i;
      mult_1_q <= record_i.mult;
      add_1_q <= record_i.add;

      rest_2_q <= rest_1_q;
      low_2_q <= PartWidth'(x_1_q) * PartWidth'($signed({1'b0, mult_1_q[Half-1:0]}));
      high_2_q <= PartWidth'(x_1_q) * PartWidth'($signed(mult_1_q[31:Half]));
      add_2_q <= add_1_q;

      rest_3_q <= rest_2_q;
      product_3_q <= (ProductWidth'(high_2_q) <<< Half) + ProductWidth'(low_2_q);
      add_3_q <= add_2_q;

      rest_4_q <= rest_3_q;
      sum_4_q <= SumWidth'(product_3_q) + SumWidth'(add_3_q);

      rest_5_q <= rest_4_q;
      shifted_5_q <= sum_4_q >>> rest_4_q.shift;
    end
  end

  logic signed [7:0] raised, clipped;
  always_comb begin
    raised = shifted_5_q < SumWidth'(rest_5_q.lo) ? rest_5_q.lo : shifted_5_q[7:0];
    clipped = shifted_5_q > SumWidth'(rest_5_q.hi) || rest_5_q.lo > rest_5_q.hi ? rest_5_q.hi : raised;
    y_o = rest_5_q.rescale ? clipped[OutWidth-1:0] : rest_5_q.x;
  end

  logic unused;
  assign unused = ^{record_i.rsv_0, record_i.rsv_1, rest_5_q.shift, clipped};
endmodule
