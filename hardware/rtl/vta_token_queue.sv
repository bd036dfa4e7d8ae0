// One of the four token queues, which has nothing to hold but numbers of tokens. A producer sets
// room aside at its C and pushes at its R; the consumer pops at its P. `avail_o` and `room_o` are
// registers: they tell of everything that happened in earlier cycles and of nothing that happens
// in this one.
module vta_token_queue #(
  parameter int unsigned Depth = 1
) (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic reserve_i,  // C: one token is committed; room_o must be set
  input  logic push_i,     // R: a committed token is there from the next cycle on
  input  logic pop_i,      // P: avail_o must be set
  output logic room_o,     // committed and not popped: fewer than Depth
  output logic avail_o     // pushed and not popped: at least one
);
  localparam int unsigned Width = $clog2(Depth + 1);

  logic [Width-1:0] committed_q, committed_d, pushed_q, pushed_d;

  always_comb begin
    committed_d = committed_q + Width'(reserve_i) - Width'(pop_i);
    pushed_d = pushed_q + Width'(push_i) - Width'(pop_i);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      committed_q <= '0;
      pushed_q <= '0;
      room_o <= 1'b1;
      avail_o <= 1'b0;
    end else begin
      committed_q <= committed_d;
      pushed_q <= pushed_d;
      room_o <= committed_d != Width'(Depth);
      avail_o <= pushed_d != '0;
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(reserve_i && !room_o));
      assert (!(pop_i && !avail_o));
      assert (pushed_q <= committed_q);
    end
  end
`endif
endmodule
