// Puts the ends of instructions in the order of their starts. Instructions of one kind end in order
// among themselves, but one kind may overtake another; an end that came early waits for those
// before it. `done_o` is high at most once a cycle, in the cycle of the end itself if nothing is
// before it.
module vta_in_order #(
  parameter int unsigned Depth = 4,  // instructions between start and end
  parameter int unsigned Kinds = 2
) (
  input  logic             clk_i,
  input  logic             rst_ni,
  input  logic [Kinds-1:0] start_i,  // at most one of them
  input  logic [Kinds-1:0] end_i,    // after the start
  output logic             done_o
);
  localparam int unsigned PtrWidth = (Depth > 1) ? $clog2(Depth) : 1;
  localparam int unsigned CountWidth = $clog2(Depth + 1);
  localparam logic [PtrWidth-1:0] Last = PtrWidth'(Depth - 1);

  logic [Kinds-1:0] kind_q[Depth];
  logic [PtrWidth-1:0] head_q, tail_q;
  logic [CountWidth-1:0] count_q;

  logic [Kinds-1:0] ended, head_kind;
  assign head_kind = (count_q != '0) ? kind_q[head_q] : '0;
  assign done_o = |(head_kind & ended);

  for (genvar k = 0; k < Kinds; k++) begin : gen_kind
    logic [CountWidth-1:0] early_q;
    assign ended[k] = end_i[k] || early_q != '0;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) early_q <= '0;
      else early_q <= early_q + CountWidth'(end_i[k]) - CountWidth'(done_o && head_kind[k]);
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      head_q <= '0;
      tail_q <= '0;
      count_q <= '0;
    end else begin
      if (|start_i) tail_q <= (tail_q == Last) ? '0 : tail_q + 1'b1;
      if (done_o) head_q <= (head_q == Last) ? '0 : head_q + 1'b1;
      count_q <= count_q + CountWidth'(|start_i) - CountWidth'(done_o);
    end
    if (|start_i) kind_q[tail_q] <= start_i;
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (!(|start_i && !done_o && count_q == CountWidth'(Depth)));
  end
`endif
endmodule
