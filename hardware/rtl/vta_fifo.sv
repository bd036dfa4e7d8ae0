// A first-in first-out queue with the head at its output. What is pushed at t is at the head, when
// its turn comes, from t + 1. Pushing when not ready, or popping when not valid, is an error of
// whoever does it.
module vta_fifo #(
  parameter type T = logic,
  parameter int unsigned Depth = 2
) (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic push_i,
  input  T     data_i,
  output logic ready_o,
  output logic valid_o,
  output T     data_o,
  input  logic pop_i
);
  localparam int unsigned PtrWidth = Depth > 1 ? $clog2(Depth) : 1;
  localparam int unsigned CountWidth = $clog2(Depth + 1);
  localparam logic [PtrWidth-1:0] Last = PtrWidth'(Depth - 1);

  T mem[Depth];
  logic [PtrWidth-1:0] head_q, tail_q;
  logic [CountWidth-1:0] count_q;

  assign ready_o = count_q != CountWidth'(Depth);
  assign valid_o = count_q != '0;
  assign data_o  = mem[head_q];

  always_ff @(posedge clk_i) begin
    if (push_i) mem[tail_q] <= data_i;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      head_q  <= '0;
      tail_q  <= '0;
      count_q <= '0;
    end else begin
      if (push_i) tail_q <= tail_q == Last ? '0 : tail_q + 1'b1;
      if (pop_i) head_q <= head_q == Last ? '0 : head_q + 1'b1;
      count_q <= count_q + CountWidth'(push_i) - CountWidth'(pop_i);
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(push_i && !ready_o));
      assert (!(pop_i && !valid_o));
    end
  end
`endif
endmodule
