// One lane of the result loop. At most one operation is asked for; none gives zero. GEMM asks for an
// addition, of its sum, to the accumulator or to zero. All wrap at the width of an accumulator. Combinational. The product is last to
// come, so that it goes its own way, asked for or not: whoever takes the result joins the two.
module vta_alu
  import vta_pkg::*;
(
  input  logic [4:0]                 op_i,  // one bit for each operation, by alu_op_e
  input  logic                       multiply_i,  // GEMM: add `sum_i`, not `b_i`
  input  logic                       overwrite_i,  // GEMM: add to zero, not to `a_i`
  input  logic signed [AccWidth-1:0] a_i,
  input  logic signed [AccWidth-1:0] b_i,
  input  logic signed [AccWidth-1:0] sum_i,
  output logic [AccWidth-1:0]        product_o,
  output logic [AccWidth-1:0]        other_o
);
  localparam int unsigned LogWidth = $clog2(AccWidth);
  localparam int unsigned Half = AccWidth / 2;

  logic [AccWidth-1:0] smaller, larger, sum, shifted;

  if (AluHasMin || AluHasMax) begin : gen_compare
    logic less;
    assign less = a_i < b_i;
    assign smaller = AluHasMin ? (less ? a_i : b_i) : '0;
    assign larger = AluHasMax ? (less ? b_i : a_i) : '0;
  end else begin : gen_no_compare
    assign smaller = '0;
    assign larger = '0;
  end

  assign sum = (overwrite_i ? '0 : a_i) + (multiply_i ? sum_i : b_i);

  // A window of AccWidth bits slides over twice as many. For amounts from -AccWidth to AccWidth - 1
  // the low bits of the amount are its position: shifting {a, 0} right by AccWidth + amount is
  // shifting a left by -amount. Beyond, all that is left is the sign, or zeros.
  if (AluHasShr) begin : gen_shift
    logic left, far;
    logic [AccWidth-1:0] sign, high, low;
    logic [2*AccWidth-1:0] slid;
    assign left = b_i[AccWidth-1];
    assign far = b_i[AccWidth-1:LogWidth] != {(AccWidth - LogWidth) {left}};
    assign sign = {AccWidth{a_i[AccWidth-1]}};
    assign high = left ? (far ? '0 : a_i) : sign;
    assign low = left ? '0 : (far ? sign : a_i);
    assign slid = {high, low} >> b_i[LogWidth-1:0];
    assign shifted = slid[AccWidth-1:0];

    logic unused_high;
    assign unused_high = ^slid[2*AccWidth-1:AccWidth];
  end else begin : gen_no_shift
    assign shifted = '0;
  end

  // Schoolbook on halves, without the part that only matters above the accumulator's width: three
  // multipliers side by side, not four in a row.
  if (AluHasMul) begin : gen_multiply
    logic [AccWidth-1:0] low;
    logic [Half-1:0] high;
    assign low = AccWidth'(a_i[Half-1:0]) * AccWidth'(b_i[Half-1:0]);
    assign high = a_i[AccWidth-1:Half] * b_i[Half-1:0] + a_i[Half-1:0] * b_i[AccWidth-1:Half];
    assign product_o = {low[AccWidth-1:Half] + high, low[Half-1:0]};
  end else begin : gen_no_multiply
    assign product_o = '0;
  end

  assign other_o = (smaller & {AccWidth{op_i[AluMin]}}) | (larger & {AccWidth{op_i[AluMax]}}) |
      (sum & {AccWidth{op_i[AluAdd]}}) | (shifted & {AccWidth{op_i[AluShr]}});

  logic unused;
  assign unused = op_i[AluMul];
endmodule
