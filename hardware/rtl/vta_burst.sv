// Cuts the rows of a transfer into bursts, at the multiples of the burst block. Taken at P, the
// first burst is valid from P + 2; after the one that goes at G (valid and ready) the next is valid
// from G + 1. `free_o` is set again at G + 1 of the last burst, at P + 2 if there is none.
//
// A step of the walk is one comparison of block numbers: a burst goes to the end of the row if that
// lies in the block of its start, else to the end of the block.
module vta_burst
  import vta_pkg::*;
  import vta_types_pkg::*;
#(
  parameter logic [7:0] Memories = 8'h00  // the memory types that occur, by mem_e
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 take_i,   // P; free_o must be set
  input  mem_insn_t            insn_i,
  input  logic [AddrWidth-1:0] base_i,   // OR-ed to addresses; a multiple of 4096
  output logic                 free_o,
  output logic                 valid_o,
  output burst_t               burst_o,
  input  logic                 ready_i,
  output logic                 fault_o   // the burst that would be next is past the address width
);
  function automatic int unsigned max_log_bytes();
    int unsigned log;
    log = 0;
    for (int unsigned m = 0; m < 8; m++) begin
      if (Memories[m] && 32'(LogBytes[m]) > log) log = 32'(LogBytes[m]);
    end
    return log;
  endfunction

  // A row starts and ends less than 2^33 elements from address 0.
  localparam int unsigned ByteWidth = 33 + max_log_bytes();
  typedef logic [ByteWidth-1:0] byte_addr_t;
  typedef logic [11:0] offset_t;  // in a block, which has at most 4096 bytes
  localparam offset_t BlockEnd = 12'((32'd1 << LogBurstBytes) - 32'd1);

  // Bytes in `n` elements, and the last byte of element `n`.
  function automatic byte_addr_t to_bytes(logic [2:0] mem, logic [32:0] n);
    byte_addr_t bytes;
    bytes = '0;
    for (int unsigned m = 0; m < 8; m++) begin
      if (Memories[m] && mem == 3'(m)) bytes |= byte_addr_t'(n) << LogBytes[m];
    end
    return bytes;
  endfunction

  function automatic byte_addr_t last_byte(logic [2:0] mem, logic [32:0] n);
    byte_addr_t bytes;
    bytes = to_bytes(mem, n);
    for (int unsigned m = 0; m < 8; m++) begin
      if (Memories[m] && mem == 3'(m)) bytes |= (byte_addr_t'(1) << LogBytes[m]) - byte_addr_t'(1);
    end
    return bytes;
  endfunction

  // The walk. `row_q` and `last_q` are the first and last byte of a row, `addr_q` where the next
  // burst begins in it; `rows_q` counts this row and those after it.
  logic walk_q;
  logic [2:0] mem_q;
  logic [15:0] rows_q;
  byte_addr_t row_q, last_q, addr_q, stride_q;
  logic [AddrWidth-1:0] base_q;

  // The burst at `addr_q`.
  logic row_end;
  offset_t from, to;
  burst_t burst;
  logic beyond;

  always_comb begin
    row_end = addr_q[ByteWidth-1:LogBurstBytes] == last_q[ByteWidth-1:LogBurstBytes];
    from = offset_t'(addr_q[LogBurstBytes-1:0]);
    to = row_end ? offset_t'(last_q[LogBurstBytes-1:0]) : BlockEnd;
    beyond = |(64'(addr_q) >> AddrWidth);

    burst = '0;
    burst.addr = base_q | AddrWidth'({addr_q[ByteWidth-1:LogBusBytes], LogBusBytes'(0)});
    burst.beats = 8'((to >> LogBusBytes) - (from >> LogBusBytes));
    burst.units = 12'(burst.beats);
    burst.first = from[LogBusBytes-1:0];
    burst.tail = to[LogBusBytes-1:0];
    burst.row_end = row_end;
    burst.last = row_end && rows_q == 16'd1;
    for (int unsigned m = 0; m < 8; m++) begin
      if (Memories[m] && is_serial(m) && mem_q == 3'(m)) begin
        burst.serial = 1'b1;
        burst.step = LogBusBytes'(1 << LogBytes[m]);
        burst.units = (to >> LogBytes[m]) - (from >> LogBytes[m]);
      end
    end
  end

  logic next_q, beyond_q;
  burst_t burst_q;
  logic advance, more;
  assign advance = !next_q || (ready_i && !beyond_q);
  assign more = walk_q && rows_q != '0;

  assign free_o = !walk_q && !next_q;
  assign valid_o = next_q && !beyond_q;
  assign fault_o = next_q && beyond_q;
  assign burst_o = burst_q;

  byte_addr_t row_d;
  assign row_d = row_q + stride_q;

  always_ff @(posedge clk_i) begin
    if (advance) begin
      burst_q <= burst;
      beyond_q <= beyond;
    end
    if (take_i) begin
      mem_q <= insn_i.memory_type;
      base_q <= base_i;
      rows_q <= insn_i.x_size != '0 && Memories[insn_i.memory_type] ? insn_i.y_size : '0;
      row_q <= to_bytes(insn_i.memory_type, {1'b0, insn_i.dram_base});
      addr_q <= to_bytes(insn_i.memory_type, {1'b0, insn_i.dram_base});
      last_q <= last_byte(insn_i.memory_type, {1'b0, insn_i.dram_base} + 33'(insn_i.x_size) - 33'd1);
      stride_q <= to_bytes(insn_i.memory_type, 33'(insn_i.x_stride));
    end else if (advance && more) begin
      if (row_end) begin
        row_q <= row_d;
        addr_q <= row_d;
        last_q <= last_q + stride_q;
        rows_q <= rows_q - 1'b1;
      end else begin
        addr_q <= {addr_q[ByteWidth-1:LogBurstBytes] + 1'b1, LogBurstBytes'(0)};
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      walk_q <= 1'b0;
      next_q <= 1'b0;
    end else begin
      if (take_i) begin
        walk_q <= 1'b1;
      end else if (advance) begin
        walk_q <= more && !burst.last;
      end
      if (advance) next_q <= more;
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (!(take_i && !free_o));
  end
`endif
endmodule
