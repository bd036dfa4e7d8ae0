// Takes, commits and retires the instructions of one module: P, C and R of hardware/README.md. The
// module says when it could take one (`free_i`) and when the oldest that it has not finished is
// finished (`finished_i`); what it is to do it reads from the head of its queue in the cycle of
// `take_o`.
//
// All inputs but `free_i` and `finished_i` are registers of others. `take_o` (P) pops the command
// queue and the tokens, the reserves are at C, `retire_o` (R) pushes tokens and frees the slot in
// the command queue. `finished_i` may come in the cycle after P at the earliest; an instruction
// that is committed then retires in that same cycle, if those before it have.
module vta_issue #(
  parameter int unsigned Window = 4  // instructions in flight, from P to R
) (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic halt_i,         // take nothing more
  // The head of the command queue; flags that have no meaning for the module tied low.
  input  logic valid_i,
  input  logic pop_prev_i,
  input  logic pop_next_i,
  input  logic push_prev_i,
  input  logic push_next_i,
  // Token queues.
  input  logic prev_avail_i,
  input  logic next_avail_i,
  input  logic prev_room_i,
  input  logic next_room_i,
  output logic pop_prev_o,
  output logic pop_next_o,
  output logic reserve_prev_o,
  output logic reserve_next_o,
  output logic push_prev_o,
  output logic push_next_o,
  // The module.
  input  logic free_i,         // its front end can take an instruction in this cycle
  output logic take_o,
  input  logic finished_i,     // in order, one a cycle
  output logic retire_o,
  output logic busy_o          // instructions are in flight
);
  localparam int unsigned PtrWidth = Window > 1 ? $clog2(Window) : 1;
  localparam int unsigned CountWidth = $clog2(Window + 1);
  localparam logic [PtrWidth-1:0] Last = PtrWidth'(Window - 1);

  // The tokens that the instructions in flight push, by slot.
  logic [Window-1:0] push_prev_q, push_next_q;
  logic [PtrWidth-1:0] head_q, tail_q;
  logic [CountWidth-1:0] flight_q, finished_q;

  // Only the youngest can be waiting to commit.
  logic waiting_q, wait_prev_q, wait_next_q;

  logic room, commit;
  assign room = (prev_room_i || !wait_prev_q) && (next_room_i || !wait_next_q);
  assign commit = waiting_q && room;
  assign reserve_prev_o = commit && wait_prev_q;
  assign reserve_next_o = commit && wait_next_q;

  logic tokens;
  assign tokens = (prev_avail_i || !pop_prev_i) && (next_avail_i || !pop_next_i);
  assign take_o = valid_i && tokens && free_i && !halt_i && (!waiting_q || room)
      && flight_q != CountWidth'(Window);
  assign pop_prev_o = take_o && pop_prev_i;
  assign pop_next_o = take_o && pop_next_i;

  logic committed;
  assign committed = !waiting_q || room || flight_q > CountWidth'(1);
  assign retire_o = committed && (finished_q != '0 || finished_i);
  assign push_prev_o = retire_o && push_prev_q[head_q];
  assign push_next_o = retire_o && push_next_q[head_q];
  assign busy_o = flight_q != '0;

  always_ff @(posedge clk_i) begin
    if (take_o) begin
      push_prev_q[tail_q] <= push_prev_i;
      push_next_q[tail_q] <= push_next_i;
      wait_prev_q <= push_prev_i;
      wait_next_q <= push_next_i;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      head_q <= '0;
      tail_q <= '0;
      flight_q <= '0;
      finished_q <= '0;
      waiting_q <= 1'b0;
    end else begin
      if (take_o) tail_q <= tail_q == Last ? '0 : tail_q + 1'b1;
      if (retire_o) head_q <= head_q == Last ? '0 : head_q + 1'b1;
      flight_q <= flight_q + CountWidth'(take_o) - CountWidth'(retire_o);
      finished_q <= finished_q + CountWidth'(finished_i) - CountWidth'(retire_o);
      waiting_q <= take_o || (waiting_q && !room);
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (!(finished_i && finished_q == flight_q));
  end
`endif
endmodule
