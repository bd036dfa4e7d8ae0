// A command queue: instructions between fetch (D) and a module (P). The memory is a synchronous
// RAM; what is pushed at D is at the output, when its turn comes, from D + 2, one instruction a
// cycle. An instruction counts against the depth until it retires: `ready_o` is a register that
// tells of pushes and retirements in earlier cycles.
module vta_cmd_queue
  import vta_pkg::insn_t;
#(
  parameter int unsigned Depth = 1
) (
  input  logic  clk_i,
  input  logic  rst_ni,
  // From fetch.
  input  logic  push_i,    // D; ready_o must be set
  input  insn_t insn_i,
  output logic  ready_o,
  // To the module.
  output logic  valid_o,
  output insn_t insn_o,
  input  logic  pop_i,     // P
  input  logic  retire_i,  // R
  output logic  empty_o    // none is queued or in flight
);
  localparam int unsigned PtrWidth = Depth > 1 ? $clog2(Depth) : 1;
  localparam int unsigned CountWidth = $clog2(Depth + 1);

  function automatic logic [PtrWidth-1:0] after(logic [PtrWidth-1:0] ptr);
    return ptr == PtrWidth'(Depth - 1) ? '0 : ptr + 1'b1;
  endfunction

  insn_t mem[Depth];
  // `next_q` is the address after `head_q`: the read address is one multiplexer away from pop_i.
  logic [PtrWidth-1:0] head_q, next_q, tail_q, read_addr;
  // Instructions in the memory; those, and the ones that the module has taken and not retired.
  logic [CountWidth-1:0] stored_q, held_q, held_d;

  assign read_addr = pop_i ? next_q : head_q;
  assign held_d = held_q + CountWidth'(push_i) - CountWidth'(retire_i);

  always_ff @(posedge clk_i) begin
    if (push_i) mem[tail_q] <= insn_i;
    insn_o <= mem[read_addr];
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      head_q <= '0;
      next_q <= after('0);
      tail_q <= '0;
      stored_q <= '0;
      held_q <= '0;
      valid_o <= 1'b0;
      ready_o <= 1'b1;
      empty_o <= 1'b1;
    end else begin
      if (push_i) tail_q <= after(tail_q);
      if (pop_i) begin
        head_q <= next_q;
        next_q <= after(next_q);
      end
      stored_q <= stored_q + CountWidth'(push_i) - CountWidth'(pop_i);
      held_q <= held_d;
      valid_o <= stored_q > CountWidth'(pop_i);
      ready_o <= held_d != CountWidth'(Depth);
      empty_o <= held_d == '0;
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin
    if (rst_ni) begin
      assert (!(push_i && !ready_o));
      assert (!(pop_i && !valid_o));
      assert (!(retire_i && empty_o));
    end
  end
`endif
endmodule
