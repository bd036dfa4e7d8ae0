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
  localparam int unsigned CountWidth = $clog2(Depth + 1);

  logic valid, ready;
  logic [Kinds-1:0] kind, ended;

  vta_fifo #(
    .T(logic [Kinds-1:0]),
    .Depth(Depth)
  ) u_kinds (
    .clk_i,
    .rst_ni,
    .push_i(|start_i),
    .data_i(start_i),
    .ready_o(ready),
    .valid_o(valid),
    .data_o(kind),
    .pop_i(done_o)
  );

  assign done_o = valid && |(kind & ended);

  for (genvar k = 0; k < Kinds; k++) begin : gen_kind
    logic [CountWidth-1:0] early_q;
    assign ended[k] = end_i[k] || early_q != '0;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) early_q <= '0;
      else early_q <= early_q + CountWidth'(end_i[k]) - CountWidth'(done_o && kind[k]);
    end
  end

  logic unused;
  assign unused = ready;
endmodule
