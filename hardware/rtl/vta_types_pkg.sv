// What the modules tell one another about transfers: bursts, the units that arrive, and the
// writes to scratchpads that come of them. Tables by memory type are indexed by `mem_e`.
package vta_types_pkg;
  import vta_pkg::*;

  localparam int unsigned BusBytes = BusWidth / 8;

  // log2 of the bytes of a DRAM element, and of the depth, by memory type.
  localparam logic [7:0][3:0] LogBytes = {
    4'd0,
    4'(LogRqtBytes),
    4'(LogAcc8Bytes),
    4'(LogOutBytes),
    4'(LogAccBytes),
    4'(LogInpBytes),
    4'(LogWgtBytes),
    4'(LogUopBytes)
  };
  localparam logic [7:0][4:0] LogDepth = {
    5'd0,
    5'(LogRqtDepth),
    5'(LogAccDepth),
    5'(LogAccDepth),
    5'(LogAccDepth),
    5'(LogInpDepth),
    5'(LogWgtDepth),
    5'(LogUopDepth)
  };

  // Bits of a value in the out memory: what is rescaled comes whole.
  localparam int unsigned MirrorWidth = HasRequantStore ? AccWidth : OutWidth;
  localparam int unsigned MirrorBits = Batch * BlockOut * MirrorWidth;

  // A STORE takes the outputs of a beat at a time, or those of an element if it is smaller. Rows of the
  // rescaling table have as many records as there are columns among them.
  localparam int unsigned UnitLanes =
      (OutBits < BusWidth) ? Batch * BlockOut : BusWidth / OutWidth;
  localparam int unsigned RowRecords = (BlockOut < UnitLanes) ? BlockOut : UnitLanes;
  localparam int unsigned LogRowRecords = $clog2(RowRecords);
  localparam int unsigned RowDepth = RqtDepth >> LogRowRecords;
  localparam int unsigned RowAddrWidth = (RowDepth > 1) ? $clog2(RowDepth) : 1;

  // A record of the rescaling table.
  typedef struct packed {
    logic [7:0] rsv_1;
    logic signed [7:0] hi;
    logic signed [7:0] lo;
    logic [1:0] rsv_0;
    logic [5:0] shift;
    logic signed [31:0] mult;
    logic signed [63:0] add;
  } rescaling_t;

  // Whether the units of a memory are elements, several in a beat; else they are beats.
  function automatic logic is_serial(int unsigned mem);
    return mem != 32'(MemUop) && 32'(LogBytes[mem]) < LogBusBytes;
  endfunction

  // A burst: the piece of a row that lies in one block of 2^LogBurstBytes bytes.
  typedef struct packed {
    logic [AddrWidth-1:0] addr;  // of the first beat
    logic [7:0] beats;  // less one
    logic [11:0] units;  // less one
    logic serial;  // units are elements of `step` bytes, else beats
    logic [LogBusBytes-1:0] step;
    logic [LogBusBytes-1:0] first;  // the byte of the first beat where the data begin
    logic [LogBusBytes-1:0] tail;  // the last byte of data in the last beat
    logic row_end;  // the last burst of its row
    logic last;  // the last burst of its instruction
  } burst_t;

  // A unit in the beat on the bus: its bytes first to tail.
  typedef struct packed {
    logic [LogBusBytes-1:0] first;
    logic [LogBusBytes-1:0] tail;
    logic row_end;  // the last unit of its row
    logic last;  // the last unit of its instruction
  } unit_t;

  // A write to a scratchpad, in the cycle in which the memory registers it.
  //
  // Elements smaller than a beat: the bytes from `first` on, an element long, go to `addr`.
  // Elements of a beat or more: the beat goes to slice `slice` of `addr`.
  // Micro-ops: those at the bytes first to tail go to `addr` and the addresses after it.
  // With `zero` set, the whole element `addr` (of micro-ops: one) is padding, each value `pad_value`.
  typedef struct packed {
    logic we;
    logic [2:0] mem;  // mem_e
    logic [15:0] addr;
    logic zero;
    logic signed [7:0] pad_value;
    logic [8:0] slice;
    logic [LogBusBytes-1:0] first;
    logic [LogBusBytes-1:0] tail;
    logic [BusWidth-1:0] data;
  } load_write_t;

  // A unit on its way to DRAM.
  typedef struct packed {
    burst_t burst;
    logic burst_first;  // the first unit of its burst
    logic burst_last;
    logic beat_first;  // the first unit of its beat
    logic beat_last;
    logic [BusBytes-1:0] strb;  // its bytes in the beat
  } write_unit_t;

  // What one slot of compute does to the register file.
  typedef struct packed {
    logic write;  // modifies the accumulator at `addr`
    logic source;  // holds the accumulator at `addr` as the operand of the writes after it
    logic multiply;  // the operand is the sum of the GEMM core
    logic overwrite;  // the result is the operand, not added to the accumulator
    logic use_imm;  // the operand is `imm`
    logic signed [15:0] imm;
    logic [4:0] op;  // the operation, by alu_op_e; none: the result is zero
    logic [LogAccDepth-1:0] addr;
  } slot_t;
endpackage
