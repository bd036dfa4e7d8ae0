// One affine index of the loop nest: o * factor_out + i * factor_in + the micro-op's field. The
// offset follows the loops with one addition a step. Bit `Width` of an index is set from the
// overflow on that first takes it past `Width` bits, however far it goes.
module vta_index #(
  parameter int unsigned Width = 11
) (
  input  logic             clk_i,
  // The loops start, with these factors; the inner loop steps; the outer loop steps and the inner
  // one starts anew. What is asked for at t shows in the index of a slot that is issued at t + 1.
  input  logic             start_i,
  input  logic [Width-1:0] factor_out_i,
  input  logic [Width-1:0] factor_in_i,
  input  logic             step_in_i,
  input  logic             step_out_i,
  // Of the slot that was issued two cycles before.
  input  logic [Width-1:0] base_i,
  // Of the slot that was issued three cycles before.
  output logic [Width:0]   index_o
);
  logic [Width-1:0] factor_out, factor_in;
  logic [Width:0] offset, outer, stepped, offset_1, offset_2;

  function automatic logic [Width:0] add(logic [Width:0] index, logic [Width-1:0] by);
    logic [Width:0] sum;
    sum = {1'b0, index[Width-1:0]} + {1'b0, by};
    return {index[Width] | sum[Width], sum[Width-1:0]};
  endfunction

  assign stepped = step_out_i ? add(outer, factor_out) : add(offset, factor_in);

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      factor_out <= factor_out_i;
      factor_in <= factor_in_i;
      offset <= '0;
      outer <= '0;
    end else begin
      if (step_out_i) outer <= stepped;
      if (step_out_i || step_in_i) offset <= stepped;
    end
    offset_1 <= offset;
    offset_2 <= offset_1;
    index_o <= add(offset_2, base_i);
  end
endmodule
