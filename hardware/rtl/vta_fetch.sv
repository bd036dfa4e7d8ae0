// Reads the instruction stream and hands each instruction to the command queue of its module. A
// piece of the stream is requested as soon as the buffer has room for all of it, so fetch takes
// whatever the bus brings. An instruction that is taken whole at t is dispatched at D, t + 1 or
// later: that is `push_o`, when its queue is ready.
//
// In reset, fetch follows the pointer and the count; after it, it starts: the first request is valid in
// the first cycle after reset.
module vta_fetch
  import vta_pkg::*;
  import vta_types_pkg::*;
(
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 halt_i,        // dispatch nothing more
  input  logic [AddrWidth-1:0] base_i,        // of the stream; a multiple of 16
  input  logic [31:0]          count_i,       // instructions
  // To the read master.
  output logic                 req_valid_o,
  output burst_t               req_o,
  input  logic                 req_ready_i,
  input  logic                 unit_valid_i,
  input  unit_t                unit_i,
  input  logic [BusWidth-1:0]  unit_data_i,
  output logic                 unit_ready_o,
  // To the command queues: load, compute, store.
  output logic [2:0]           push_o,
  output insn_t                insn_o,
  input  logic [2:0]           ready_i,
  output logic                 fault_o,
  output fault_e               fault_code_o
);
  localparam int unsigned LogInsnBytes = 4;
  localparam int unsigned BufferDepth = 32;
  // A piece ends at the multiples of 16 instructions, 256 bytes.
  localparam int unsigned PieceDepth = 16;

  typedef logic [4:0] piece_t;
  function automatic piece_t at_most(piece_t most, logic [31:0] n);
    return n < 32'(most) ? n[4:0] : most;
  endfunction

  // Requests: where the next piece begins, what is left from there, how long it is; and the room
  // in the buffer that no piece has claimed.
  logic [AddrWidth-1:LogInsnBytes] addr_q;
  logic [31:0] left_q, left_d;
  piece_t piece_q;
  logic [5:0] room_q;
  logic request, dispatch;

  assign left_d = left_q - 32'(piece_q);
  assign req_valid_o = piece_q != '0 && room_q >= 6'(piece_q);
  assign request = req_valid_o && req_ready_i;

  logic [7:0] from, to;  // the first and last byte of the piece in its 256
  always_comb begin
    from = {addr_q[7:LogInsnBytes], 4'h0};
    to = {addr_q[7:LogInsnBytes] + piece_q[3:0] - 4'd1, 4'hf};
    req_o = '0;
    req_o.addr = {addr_q, 4'h0};
    req_o.addr[LogBusBytes-1:0] = '0;
    req_o.beats = (to >> LogBusBytes) - (from >> LogBusBytes);
    req_o.serial = LogBusBytes > LogInsnBytes;
    req_o.step = LogBusBytes'(1 << LogInsnBytes);
    req_o.units = req_o.serial ? 12'(piece_q) - 12'd1 : 12'(req_o.beats);
    req_o.first = from[LogBusBytes-1:0];
    req_o.tail = to[LogBusBytes-1:0];
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      addr_q <= base_i[AddrWidth-1:LogInsnBytes];
      left_q <= count_i;
      piece_q <= at_most(piece_t'(PieceDepth) - piece_t'(base_i[7:LogInsnBytes]), count_i);
      room_q <= 6'(BufferDepth);
    end else begin
      if (request) begin
        addr_q <= addr_q + (AddrWidth - LogInsnBytes)'(piece_q);
        left_q <= left_d;
        piece_q <= at_most(piece_t'(PieceDepth), left_d);
      end
      room_q <= room_q - (request ? 6'(piece_q) : 6'd0) + 6'(dispatch);
    end
  end

  // Units into instructions: a lane of the beat, or two beats.
  logic whole;
  insn_t insn;
  assign unit_ready_o = 1'b1;

  if (LogBusBytes < LogInsnBytes) begin : gen_half
    logic half_q;
    logic [BusWidth-1:0] low_q;
    assign whole = unit_valid_i && half_q;
    assign insn  = {unit_data_i, low_q};
    always_ff @(posedge clk_i) begin
      if (!rst_ni) half_q <= 1'b0;
      else if (unit_valid_i) half_q <= !half_q;
      if (unit_valid_i) low_q <= unit_data_i;
    end
  end else begin : gen_lanes
    assign whole = unit_valid_i;
    always_comb begin
      insn = '0;
      for (int unsigned lane = 0; lane < BusBytes / 16; lane++) begin
        if (32'(unit_i.first) == lane * 16) insn |= unit_data_i[lane*128+:128];
      end
    end
  end

  logic head_valid, buffer_ready;
  vta_fifo #(
    .T(insn_t),
    .Depth(BufferDepth)
  ) u_buffer (
    .clk_i,
    .rst_ni,
    .push_i(whole),
    .data_i(insn),
    .ready_o(buffer_ready),
    .valid_o(head_valid),
    .data_o(insn_o),
    .pop_i(dispatch)
  );

  // Decode: which module, and that FINISH is the last instruction and only that.
  mem_insn_t mem_insn;
  logic [2:0] target;
  logic known, is_finish, in_place;
  logic [31:0] after_q;  // instructions after the one at the head
  logic last_q, ended_q;

  always_comb begin
    mem_insn = mem_insn_t'(insn_o);
    known = 1'b1;
    unique case (insn_o.opcode)
      OpLoad: begin
        target = mem_insn.memory_type == MemInp || mem_insn.memory_type == MemWgt ||
            (HasRequantStore && mem_insn.memory_type == MemRqt) ? 3'b001 : 3'b010;
      end
      OpStore: target = 3'b100;
      OpGemm, OpAlu, OpFinish: target = 3'b010;
      default: begin
        target = 3'b000;
        known = 1'b0;
      end
    endcase
    is_finish = insn_o.opcode == OpFinish;
    in_place = is_finish == last_q;
    dispatch = head_valid && !halt_i && in_place && (target & ready_i) != '0;
    push_o = dispatch ? target : '0;

    fault_o = ended_q || (head_valid && !(known && in_place));
    fault_code_o = ended_q || known ? FaultFinish : FaultOpcode;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      after_q <= count_i - 32'd1;
      last_q <= count_i == 32'd1;
      ended_q <= count_i == '0;
    end else if (dispatch) begin
      after_q <= after_q - 32'd1;
      last_q <= after_q == 32'd1;
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (!(whole && !buffer_ready));
  end
`endif
endmodule
