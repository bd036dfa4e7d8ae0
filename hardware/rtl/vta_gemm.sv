// The GEMM core: for each row of the batch and each output channel the exact sum of BLOCK_IN
// products. Operands that are on the ports at z + 5 have their sums there at z + 5 + p, where p =
// GemmPipeline; `valid_i` goes with the operands, and nothing switches without it. One register is
// at the sum; from p = 2 on another one is behind the multipliers, the rest are in the adder tree.
//
// A sign times a value is the value or its negative. Of a sign times a sign the tree has 0 for 1 and -1
// for -1, so that its sum is the number of those that differ, negative: BlockIn less twice as many is the
// sum of the products.
module vta_gemm
  import vta_pkg::*;
#(
  localparam int unsigned SumWidth = InpWidth + WgtWidth + $clog2(BlockIn)
) (
  input  logic clk_i,
  input  logic valid_i,
  input  logic [Batch-1:0][BlockIn-1:0][InpWidth-1:0] inp_i,
  input  logic [BlockOut-1:0][BlockIn-1:0][WgtWidth-1:0] wgt_i,
  output logic [Batch-1:0][BlockOut-1:0][SumWidth-1:0] sum_o
);
  localparam bit Signs = HasSignInp && HasSignWgt;
  localparam int unsigned ProductWidth = Signs ? 1 : InpWidth + WgtWidth;
  localparam bit ProductRegister = (GemmPipeline > 1);
  localparam int unsigned TreeStages = ProductRegister ? GemmPipeline - 1 : 1;
  // Two output channels share an input.
  localparam bit Pack = MulPack && (BlockOut > 1) && !HasSignInp && !HasSignWgt;

  // Bit s is high at z + 5 + s.
  logic [GemmPipeline-1:0] valid;
  if (GemmPipeline > 1) begin : gen_valid
    logic [GemmPipeline-2:0] valid_q;
    always_ff @(posedge clk_i) valid_q <= valid[GemmPipeline-2:0];
    assign valid = {valid_q, valid_i};
  end else begin : gen_no_valid
    assign valid = valid_i;
  end

  logic signed [ProductWidth-1:0] product[Batch][BlockOut][BlockIn];

  for (genvar b = 0; b < Batch; b++) begin : gen_row
    for (genvar k = 0; k < BlockIn; k++) begin : gen_input
      if (Pack) begin : gen_pairs
        for (genvar n = 0; n < BlockOut; n += 2) begin : gen_pair
          vta_mul_pair #(
            .XWidth(InpWidth),
            .YWidth(WgtWidth),
            .Register(ProductRegister)
          ) u_mul (
            .clk_i,
            .en_i(valid[0]),
            .x_i(inp_i[b][k]),
            .y0_i(wgt_i[n][k]),
            .y1_i(wgt_i[n+1][k]),
            .product0_o(product[b][n][k]),
            .product1_o(product[b][n+1][k])
          );
        end
      end else begin : gen_singles
        for (genvar n = 0; n < BlockOut; n++) begin : gen_single
          logic signed [ProductWidth-1:0] product_d;
          if (Signs) begin : gen_signs
            assign product_d = inp_i[b][k] ^ wgt_i[n][k];
          end else if (HasSignWgt) begin : gen_sign_wgt
            assign product_d = wgt_i[n][k] ? -ProductWidth'($signed(inp_i[b][k])) :
                ProductWidth'($signed(inp_i[b][k]));
          end else if (HasSignInp) begin : gen_sign_inp
            assign product_d = inp_i[b][k] ? -ProductWidth'($signed(wgt_i[n][k])) :
                ProductWidth'($signed(wgt_i[n][k]));
          end else begin : gen_product
            assign product_d = ProductWidth'($signed(inp_i[b][k])) *
                ProductWidth'($signed(wgt_i[n][k]));
          end
          if (ProductRegister) begin : gen_register
            always_ff @(posedge clk_i) if (valid[0]) product[b][n][k] <= product_d;
          end else begin : gen_wire
            assign product[b][n][k] = product_d;
          end
        end
      end
    end
    for (genvar n = 0; n < BlockOut; n++) begin : gen_sum
      logic signed [ProductWidth+$clog2(BlockIn)-1:0] sum;
      vta_adder_tree #(
        .Inputs(BlockIn),
        .InWidth(ProductWidth),
        .Stages(TreeStages)
      ) u_tree (
        .clk_i,
        .en_i(valid[GemmPipeline-1-:TreeStages]),
        .operands_i(product[b][n]),
        .sum_o(sum)
      );
      assign sum_o[b][n] = Signs ? SumWidth'({sum, 1'b0}) + SumWidth'(BlockIn) : SumWidth'(sum);
    end
  end
endmodule
