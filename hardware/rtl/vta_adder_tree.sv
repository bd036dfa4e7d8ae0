// The sum of a power of two of signed numbers, exact, through `Stages` registers, at least one. They
// are spread over the levels of the tree, the last one at its root; those that outnumber the levels
// follow it. Each has an enable.
module vta_adder_tree #(
  parameter int unsigned Inputs = 16,
  parameter int unsigned InWidth = 16,
  parameter int unsigned Stages = 2,
  localparam int unsigned Levels = $clog2(Inputs),
  localparam int unsigned OutWidth = InWidth + Levels
) (
  input  logic                       clk_i,
  input  logic [Stages-1:0]          en_i,
  input  logic signed [InWidth-1:0]  operands_i[Inputs],
  output logic signed [OutWidth-1:0] sum_o
);
  // How many registers lie up to a level, the leaves being level 0.
  function automatic int unsigned registers(int unsigned level);
    return (Stages < Levels) ? level * Stages / Levels : level;
  endfunction
  localparam int unsigned Delays = Stages - registers(Levels);

  for (genvar l = 0; l <= Levels; l++) begin : gen_level
    logic signed [InWidth+l-1:0] node[Inputs>>l];
    if (l == 0) begin : gen_leaves
      for (genvar i = 0; i < Inputs; i++) begin : gen_leaf
        assign node[i] = operands_i[i];
      end
    end else begin : gen_adders
      localparam int unsigned Stage = registers(l) - 1;
      for (genvar i = 0; i < Inputs >> l; i++) begin : gen_adder
        logic signed [InWidth+l-1:0] sum;
        assign sum = (InWidth + l)'(gen_level[l-1].node[2*i]) +
            (InWidth + l)'(gen_level[l-1].node[2*i+1]);
        if (registers(l) > registers(l - 1)) begin : gen_register
          always_ff @(posedge clk_i) if (en_i[Stage]) node[i] <= sum;
        end else begin : gen_wire
          assign node[i] = sum;
        end
      end
    end
  end

  logic signed [OutWidth-1:0] delayed[Delays+1];
  assign delayed[0] = gen_level[Levels].node[0];
  for (genvar d = 0; d < Delays; d++) begin : gen_delay
    always_ff @(posedge clk_i) if (en_i[Stages-Delays+d]) delayed[d+1] <= delayed[d];
  end
  assign sum_o = delayed[Delays];
endmodule
