// Two signed products with a common factor from one multiplier: the other factors are packed into
// one word, far enough apart for the products not to meet. For 8-bit values that is 25 by 8 bits,
// a DSP48. `Register` puts a register behind the multiplier.
module vta_mul_pair #(
  parameter int unsigned XWidth = 8,
  parameter int unsigned YWidth = 8,
  parameter bit Register = 1'b1,
  localparam int unsigned ProductWidth = XWidth + YWidth
) (
  input  logic                           clk_i,
  input  logic                           en_i,
  input  logic signed [XWidth-1:0]       x_i,
  input  logic signed [YWidth-1:0]       y0_i,
  input  logic signed [YWidth-1:0]       y1_i,
  output logic signed [ProductWidth-1:0] product0_o,
  output logic signed [ProductWidth-1:0] product1_o
);
  localparam int unsigned PackedWidth = ProductWidth + YWidth + 1;
  localparam int unsigned WideWidth = PackedWidth + XWidth;

  logic signed [PackedWidth-1:0] y;
  logic signed [WideWidth-1:0] product_d, product;

  assign y = PackedWidth'($signed({y1_i, {ProductWidth{1'b0}}})) + PackedWidth'(y0_i);
  assign product_d = WideWidth'(x_i) * WideWidth'(y);

  if (Register) begin : gen_register
    always_ff @(posedge clk_i) if (en_i) product <= product_d;
  end else begin : gen_wire
    logic unused;
    assign unused = ^{clk_i, en_i};
    assign product = product_d;
  end

  // A negative low product has borrowed from the high one.
  assign product0_o = product[ProductWidth-1:0];
  assign product1_o = product[2*ProductWidth-1:ProductWidth] +
      ProductWidth'(product[ProductWidth-1]);

  logic unused_sign;
  assign unused_sign = ^product[WideWidth-1:2*ProductWidth];
endmodule
