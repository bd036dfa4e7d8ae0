// The parameters of a design, its encodings, and the layouts of its words.
// Printed by `vta config --sv`; not edited by hand.
package vta_pkg;

  // Widths of values, bits, and the shape of a tensor register.
  localparam int unsigned InpWidth = 8;
  localparam int unsigned WgtWidth = 8;
  localparam int unsigned AccWidth = 32;
  localparam int unsigned OutWidth = 8;
  localparam int unsigned Batch = 1;
  localparam int unsigned BlockIn = 16;
  localparam int unsigned BlockOut = 16;

  // Elements of the scratchpads.
  localparam int unsigned LogUopDepth = 13;
  localparam int unsigned UopDepth = 8192;
  localparam int unsigned LogInpDepth = 11;
  localparam int unsigned InpDepth = 2048;
  localparam int unsigned LogWgtDepth = 10;
  localparam int unsigned WgtDepth = 1024;
  localparam int unsigned LogAccDepth = 11;
  localparam int unsigned AccDepth = 2048;
  localparam int unsigned LogRqtDepth = 10;
  localparam int unsigned RqtDepth = 1024;

  // Elements in DRAM: log2 of bytes, and bits.
  localparam int unsigned LogUopBytes = 2;
  localparam int unsigned LogInpBytes = 4;
  localparam int unsigned LogWgtBytes = 8;
  localparam int unsigned LogAccBytes = 6;
  localparam int unsigned LogOutBytes = 4;
  localparam int unsigned LogAcc8Bytes = 4;
  localparam int unsigned LogRqtBytes = 4;
  localparam int unsigned InpBits = 128;
  localparam int unsigned WgtBits = 2048;
  localparam int unsigned AccBits = 512;
  localparam int unsigned OutBits = 128;
  localparam int unsigned RqtBits = 128;

  // The memory bus. No burst leaves an aligned block of 2^LogBurstBytes bytes.
  localparam int unsigned AddrWidth = 32;
  localparam int unsigned BusWidth = 64;
  localparam int unsigned LogBusBytes = 3;
  localparam int unsigned LogBurstBytes = 8;
  localparam int unsigned MaxOutstanding = 8;

  // Queues, of instructions and of tokens.
  localparam int unsigned CmdQueueDepth = 512;
  localparam int unsigned DepQueueDepth = 255;

  // The datapath.
  localparam int unsigned GemmPipeline = 3;
  localparam bit MulPack = 1'b1;
  localparam bit HasAcc8 = 1'b1;
  localparam bit AluHasMin = 1'b1;
  localparam bit AluHasMax = 1'b1;
  localparam bit AluHasAdd = 1'b1;
  localparam bit AluHasShr = 1'b1;
  localparam bit AluHasMul = 1'b1;

  // Optional parts.
  localparam bit HasRequantStore = 1'b0;
  localparam bit HasLoadPad = 1'b0;
  localparam bit HasSignInp = 1'b0;
  localparam bit HasSignWgt = 1'b0;
  localparam bit HasGemmOverwrite = 1'b0;

  // The control port: addresses of its registers, bytes.
  localparam logic [7:0] RegControl = 8'h00;
  localparam logic [7:0] RegEventCounter = 8'h04;
  localparam logic [7:0] RegInsnCount = 8'h08;
  localparam logic [7:0] RegInsnBase = 8'h0c;
  localparam logic [7:0] RegUopBase = 8'h10;
  localparam logic [7:0] RegInpBase = 8'h14;
  localparam logic [7:0] RegWgtBase = 8'h18;
  localparam logic [7:0] RegAccBase = 8'h1c;
  localparam logic [7:0] RegOutBase = 8'h20;
  localparam logic [7:0] RegUserCounter = 8'h24;
  localparam logic [7:0] RegFault = 8'h28;
  localparam logic [7:0] RegWatchdog = 8'h2c;

  typedef enum logic [2:0] {
    OpLoad = 3'd0,
    OpStore = 3'd1,
    OpGemm = 3'd2,
    OpFinish = 3'd3,
    OpAlu = 3'd4
  } opcode_e;

  typedef enum logic [2:0] {
    MemUop = 3'd0,
    MemWgt = 3'd1,
    MemInp = 3'd2,
    MemAcc = 3'd3,
    MemOut = 3'd4,
    MemAcc8 = 3'd5,
    MemRqt = 3'd6
  } mem_e;

  typedef enum logic [2:0] {
    AluMin = 3'd0,
    AluMax = 3'd1,
    AluAdd = 3'd2,
    AluShr = 3'd3,
    AluMul = 3'd4
  } alu_op_e;

  typedef enum logic [3:0] {
    FaultNone = 4'd0,
    FaultOpcode = 4'd1,
    FaultMemType = 4'd2,
    FaultSram = 4'd3,
    FaultUopRange = 4'd4,
    FaultIndex = 4'd5,
    FaultAluOp = 4'd6,
    FaultStorePad = 4'd7,
    FaultAddress = 4'd8,
    FaultBus = 4'd9,
    FaultFinish = 4'd10,
    FaultWatchdog = 4'd11
  } fault_e;

  typedef struct packed {
    logic [120:0] body;
    logic push_next;
    logic push_prev;
    logic pop_next;
    logic pop_prev;
    logic [2:0] opcode;
  } insn_t;

  typedef struct packed {
    logic [3:0] x_pad_1;
    logic [3:0] x_pad_0;
    logic [3:0] y_pad_1;
    logic [3:0] y_pad_0;
    logic [15:0] x_stride;
    logic [15:0] x_size;
    logic [15:0] y_size;
    logic [5:0] rsv_0;
    logic [31:0] dram_base;
    logic [15:0] sram_base;
    logic [2:0] memory_type;
    logic push_next;
    logic push_prev;
    logic pop_next;
    logic pop_prev;
    logic [2:0] opcode;
  } mem_insn_t;

  typedef struct packed {
    logic [3:0] x_pad_1;
    logic [3:0] x_pad_0;
    logic [3:0] y_pad_1;
    logic [3:0] y_pad_0;
    logic [15:0] x_stride;
    logic [15:0] x_size;
    logic [15:0] y_size;
    logic [5:0] rsv_0;
    logic [31:0] dram_base;
    logic [15:0] sram_base;
    logic [2:0] memory_type;
    logic push_next;
    logic push_prev;
    logic pop_next;
    logic pop_prev;
    logic [2:0] opcode;
  } store_insn_t;

  typedef struct packed {
    logic [9:0] wgt_factor_in;
    logic [9:0] wgt_factor_out;
    logic [10:0] src_factor_in;
    logic [10:0] src_factor_out;
    logic [10:0] dst_factor_in;
    logic [10:0] dst_factor_out;
    logic rsv_0;
    logic [13:0] iter_in;
    logic [13:0] iter_out;
    logic [13:0] uop_end;
    logic [12:0] uop_begin;
    logic reset;
    logic push_next;
    logic push_prev;
    logic pop_next;
    logic pop_prev;
    logic [2:0] opcode;
  } gemm_insn_t;

  typedef struct packed {
    logic signed [15:0] imm;
    logic use_imm;
    logic [2:0] alu_opcode;
    logic [10:0] src_factor_in;
    logic [10:0] src_factor_out;
    logic [10:0] dst_factor_in;
    logic [10:0] dst_factor_out;
    logic rsv_0;
    logic [13:0] iter_in;
    logic [13:0] iter_out;
    logic [13:0] uop_end;
    logic [12:0] uop_begin;
    logic reset;
    logic push_next;
    logic push_prev;
    logic pop_next;
    logic pop_prev;
    logic [2:0] opcode;
  } alu_insn_t;

  typedef struct packed {
    logic [9:0] wgt;
    logic [10:0] src;
    logic [10:0] dst;
  } uop_t;
endpackage
