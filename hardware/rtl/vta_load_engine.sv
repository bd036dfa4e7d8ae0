// Moves rows from DRAM to scratchpads and writes the padding around them; load has one, compute has
// one. The front end (`vta_burst`) asks the read master for bursts from P + 2 on; the back end takes
// their units from A on, A = max(P + 3, done of the instruction before + 1), and writes a zero of the
// padding in every other cycle until there are none left. `done_o` is set in the last cycle that takes
// a unit or writes a zero, and in cycle A if there is neither.
//
// `write_o` is a register: what is taken at c is on it at c + 1, where the memory registers it. A
// range that leaves the scratchpad is found by the writes themselves.
module vta_load_engine
  import vta_pkg::*;
  import vta_types_pkg::*;
#(
  parameter logic [7:0] Memories = 8'h00,  // the memory types that it loads, by mem_e
  parameter int unsigned Depth = 1         // instructions between P and done
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  // The instruction, at P.
  input  logic                 take_i,
  input  mem_insn_t            insn_i,
  input  logic [AddrWidth-1:0] base_i,        // OR-ed to its addresses
  output logic                 free_o,        // another may be taken in this cycle
  // To the read master: a burst is granted when valid and ready.
  output logic                 req_valid_o,
  output burst_t               req_o,
  input  logic                 req_ready_i,
  // From the read master: a unit is taken when valid and ready.
  input  logic                 unit_valid_i,
  input  unit_t                unit_i,
  input  logic [BusWidth-1:0]  unit_data_i,
  output logic                 unit_ready_o,
  // To the memories.
  output load_write_t          write_o,
  output logic                 done_o,
  output logic                 fault_o,
  output fault_e               fault_code_o
);
  // Indices have a bit more than `sram_base`: 2^16 is past the end of every scratchpad, and
  // `Past` stands for everything beyond.
  localparam int unsigned IndexWidth = 17;
  typedef logic [IndexWidth-1:0] index_t;
  localparam index_t Past = '1;

  function automatic index_t saturate(logic [22:0] n);
    return |(n >> IndexWidth) ? Past : n[IndexWidth-1:0];
  endfunction

  // Front end.
  logic burst_fault;
  vta_burst #(
    .Memories(Memories)
  ) u_burst (
    .clk_i,
    .rst_ni,
    .take_i,
    .insn_i,
    .base_i,
    .free_o,
    .valid_o(req_valid_o),
    .burst_o(req_o),
    .ready_i(req_ready_i),
    .fault_o(burst_fault)
  );

  // Between the ends: what the back end needs of an instruction. One that moves nothing, or cannot
  // be, has neither rows nor padding.
  typedef struct packed {
    logic [2:0] mem;
    logic signed [7:0] pad_value;
    logic [15:0] sram;
    logic [15:0] rows;
    logic [15:0] x;
    logic [3:0] y_pad_0;
    logic [3:0] y_pad_1;
    logic [3:0] x_pad_0;
    logic [3:0] x_pad_1;
  } job_t;

  logic nothing, known;
  assign nothing = insn_i.x_size == '0;
  assign known = Memories[insn_i.memory_type];

  logic signed [7:0] pad_value;
  if (HasLoadPad) begin : gen_pad_value
    assign pad_value = insn_i.pad_value;
  end else begin : gen_no_pad_value
    assign pad_value = '0;
  end

  job_t job_in, job;
  always_comb begin
    job_in = '0;
    job_in.mem = insn_i.memory_type;
    job_in.pad_value = pad_value;
    job_in.sram = 16'(insn_i.sram_base);
    if (!nothing && known) begin
      job_in.rows = insn_i.y_size;
      job_in.x = insn_i.x_size;
      job_in.y_pad_0 = insn_i.y_pad_0;
      job_in.y_pad_1 = insn_i.y_pad_1;
      job_in.x_pad_0 = insn_i.x_pad_0;
      job_in.x_pad_1 = insn_i.x_pad_1;
    end
  end

  logic job_valid, job_ready, job_pop;
  vta_fifo #(
    .T(job_t),
    .Depth(Depth)
  ) u_jobs (
    .clk_i,
    .rst_ni,
    .push_i(take_i),
    .data_i(job_in),
    .ready_o(job_ready),
    .valid_o(job_valid),
    .data_o(job),
    .pop_i(job_pop)
  );

  // First stage: sums and the product. Without rows, all padding is on top.
  typedef struct packed {
    logic [2:0] mem;
    logic signed [7:0] pad_value;
    logic [15:0] sram;
    logic [15:0] x;
    logic [15:0] rows;
    index_t width;       // of a row with its padding
    logic [15:0] area;   // elements of data; of the excess, only that writing them ends in a fault
    logic [4:0] top;     // rows of zeros before the data
    logic [3:0] bottom;  // and after
    logic [3:0] left;    // zeros before the data of a row
    logic [3:0] right;   // and after
  } shape_t;

  shape_t shape_d, shape_q;
  always_comb begin
    shape_d.mem = job.mem;
    shape_d.pad_value = job.pad_value;
    shape_d.sram = job.sram;
    shape_d.x = job.x;
    shape_d.rows = job.rows;
    shape_d.width = IndexWidth'(job.x) + IndexWidth'(job.x_pad_0) + IndexWidth'(job.x_pad_1);
    shape_d.area = job.rows * job.x;
    shape_d.top = 5'(job.y_pad_0) + (job.rows == '0 ? 5'(job.y_pad_1) : 5'd0);
    shape_d.bottom = job.rows == '0 ? 4'd0 : job.y_pad_1;
    shape_d.left = job.rows == '0 ? 4'd0 : job.x_pad_0;
    shape_d.right = job.rows == '0 ? 4'd0 : job.x_pad_1;
  end

  // Second stage: the runs of zeros. A run before the data; one between a row and the next, if the
  // rows have any padding; one after the data.
  typedef enum logic [1:0] {
    RunBefore,
    RunBetween,
    RunAfter
  } run_e;

  logic shape_valid_q, shape_pop;
  logic [22:0] zeros_before, zeros_after;
  logic [4:0] gap;
  logic has_before, has_between, has_after;
  always_comb begin
    zeros_before = 23'(shape_q.top) * 23'(shape_q.width) + 23'(shape_q.left);
    zeros_after = 23'(shape_q.bottom) * 23'(shape_q.width) + 23'(shape_q.right);
    gap = 5'(shape_q.left) + 5'(shape_q.right);
    has_before = shape_q.top != '0 || shape_q.left != '0;
    has_between = gap != '0 && shape_q.rows > 16'd1;
    has_after = shape_q.bottom != '0 || shape_q.right != '0;
  end

  // Back end. `data_*` is where the next unit goes, `zero_*` the next zero.
  logic active_q;
  logic [2:0] mem_q;
  logic signed [7:0] pad_value_q;
  logic data_q;            // units are still to come
  index_t data_index_q;
  logic [8:0] slice_q;
  logic [4:0] gap_q;

  logic zero_q;            // zeros are still to be written
  run_e run_q;
  index_t zero_index_q;
  index_t run_left_q;      // zeros of this run, this one included
  logic [15:0] rows_left_q;  // runs between rows, this one included
  index_t x_q, after_q;
  logic [15:0] skip_q;     // from the run before the data to the next
  logic has_between_q, has_after_q;

  logic take, zero, data_done, zero_done;
  logic run_end, last_run;
  always_comb begin
    take = unit_valid_i && active_q && data_q;
    zero = active_q && zero_q && !take;
    run_end = run_left_q == IndexWidth'(1);
    unique case (run_q)
      RunBefore: last_run = !has_between_q && !has_after_q;
      RunBetween: last_run = rows_left_q == 16'd1 && !has_after_q;
      default: last_run = 1'b1;
    endcase
    data_done = !data_q || (take && unit_i.last);
    zero_done = !zero_q || (zero && run_end && last_run);
  end

  assign unit_ready_o = active_q && data_q;
  assign done_o = active_q && data_done && zero_done;
  assign shape_pop = shape_valid_q && (!active_q || done_o);
  assign job_pop = job_valid && (!shape_valid_q || shape_pop);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      shape_valid_q <= 1'b0;
      active_q <= 1'b0;
    end else begin
      if (job_pop) shape_valid_q <= 1'b1;
      else if (shape_pop) shape_valid_q <= 1'b0;
      if (shape_pop) active_q <= 1'b1;
      else if (done_o) active_q <= 1'b0;
    end
    if (job_pop) shape_q <= shape_d;
  end

  // The slices of an element, less one, and the elements of a unit.
  logic [8:0] last_slice;
  logic [LogBusBytes-1:0] unit_more;
  always_comb begin
    last_slice = '0;
    for (int unsigned m = 0; m < 8; m++) begin
      if (Memories[m] && 32'(LogBytes[m]) > LogBusBytes && mem_q == 3'(m)) begin
        last_slice = 9'((32'd1 << (32'(LogBytes[m]) - LogBusBytes)) - 32'd1);
      end
    end
    unit_more = mem_q == MemUop
        ? (unit_i.tail >> LogUopBytes) - (unit_i.first >> LogUopBytes) : '0;
  end

  always_ff @(posedge clk_i) begin
    if (shape_pop) begin
      mem_q <= shape_q.mem;
      pad_value_q <= shape_q.pad_value;
      data_q <= shape_q.rows != '0;
      data_index_q <= saturate(23'(shape_q.sram) + zeros_before);
      slice_q <= '0;
      gap_q <= gap;
    end else if (take) begin
      data_q <= !unit_i.last;
      slice_q <= slice_q == last_slice ? '0 : slice_q + 1'b1;
      if (slice_q == last_slice) begin
        data_index_q <= data_index_q + IndexWidth'(unit_more) + IndexWidth'(1)
            + (unit_i.row_end ? IndexWidth'(gap_q) : '0);
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (shape_pop) begin
      zero_q <= has_before || has_between || has_after;
      x_q <= IndexWidth'(shape_q.x);
      skip_q <= has_between ? shape_q.x : shape_q.area;
      after_q <= saturate(zeros_after);
      has_between_q <= has_between;
      has_after_q <= has_after;
      rows_left_q <= shape_q.rows - 1'b1;
      if (has_before) begin
        run_q <= RunBefore;
        zero_index_q <= IndexWidth'(shape_q.sram);
        run_left_q <= saturate(zeros_before);
      end else if (has_between) begin
        run_q <= RunBetween;
        zero_index_q <= IndexWidth'(shape_q.sram) + IndexWidth'(shape_q.x);
        run_left_q <= IndexWidth'(gap);
      end else begin
        run_q <= RunAfter;
        zero_index_q <= IndexWidth'(shape_q.sram) + IndexWidth'(shape_q.area);
        run_left_q <= saturate(zeros_after);
      end
    end else if (zero) begin
      if (!run_end) begin
        zero_index_q <= zero_index_q + IndexWidth'(1);
        run_left_q <= run_left_q - IndexWidth'(1);
      end else begin
        zero_q <= !last_run;
        zero_index_q <= zero_index_q + IndexWidth'(1)
            + (run_q == RunBefore ? IndexWidth'(skip_q) : x_q);
        if (run_q == RunBefore ? has_between_q : rows_left_q != 16'd1) begin
          run_q <= RunBetween;
          run_left_q <= IndexWidth'(gap_q);
        end else begin
          run_q <= RunAfter;
          run_left_q <= after_q;
        end
        if (run_q == RunBetween) rows_left_q <= rows_left_q - 1'b1;
      end
    end
  end

  // The write, and whether its last element is past the end.
  load_write_t write_q;
  logic past_q;  // the bit of the index above `addr`
  logic [LogBusBytes-1:0] more_q;
  logic beyond;

  assign write_o = write_q;
  always_comb begin
    beyond = 1'b0;
    for (int unsigned m = 0; m < 8; m++) begin
      if (Memories[m] && write_q.mem == 3'(m)) begin
        beyond = |(({past_q, write_q.addr} + IndexWidth'(more_q)) >> LogDepth[m]);
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      write_q.we <= 1'b0;
    end else begin
      write_q.we <= take || zero;
    end
    write_q.mem <= mem_q;
    write_q.zero <= zero;
    write_q.pad_value <= pad_value_q;
    write_q.slice <= slice_q;
    write_q.first <= zero ? '0 : unit_i.first;
    write_q.tail <= zero ? LogBusBytes'(3) : unit_i.tail;
    write_q.data <= unit_data_i;
    write_q.addr <= zero ? zero_index_q[15:0] : data_index_q[15:0];
    past_q <= zero ? zero_index_q[16] : data_index_q[16];
    more_q <= zero ? '0 : unit_more;
  end

  // Faults.
  logic unknown_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) unknown_q <= 1'b0;
    else unknown_q <= take_i && !nothing && !known;
  end

  always_comb begin
    fault_o = 1'b1;
    if (unknown_q) fault_code_o = FaultMemType;
    else if (burst_fault) fault_code_o = FaultAddress;
    else begin
      fault_code_o = FaultSram;
      fault_o = write_q.we && beyond;
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i) begin
    if (rst_ni) assert (!(take_i && !job_ready));
  end
`endif
endmodule
