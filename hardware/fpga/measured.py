"""The accelerator among registers, as it stands beside an interconnect, to measure its clock by.

Each input of `vta_top` comes from a chain of registers that is shifted in, each output goes to a register of a
signature. With all its ports on pins, placing would care for pins above all.
"""

import re

MODULE = """\
module vta_measured
  import vta_pkg::*;
  import vta_types_pkg::*;
(
  input  logic clk_i,
  input  logic rst_ni,
  input  logic scan_i,
  output logic scan_o
);
  typedef struct packed {{
{inputs}
  }} inputs_t;

  typedef struct packed {{
{outputs}
  }} outputs_t;

  inputs_t in_q;
  outputs_t out, out_q;

  always_ff @(posedge clk_i) begin
    in_q <= {{in_q[$bits(inputs_t)-2:0], scan_i}};
    if (!rst_ni) out_q <= '0;
    else out_q <= out ^ {{out_q[$bits(outputs_t)-2:0], in_q[$bits(inputs_t)-1]}};
  end

  assign scan_o = out_q[$bits(outputs_t)-1];

  vta_top u_top (
    .clk_i,
    .rst_ni,
{connections}
  );
endmodule
"""


def measured(top):
    """The module around `vta_top`, whose source is `top`."""
    header = top[top.index("module vta_top") : top.index(");")]
    ports = re.findall(r"^  (input|output) +(logic(?: \[[^]]+\])?) +(\w+)", header, re.MULTILINE)
    # What never changes is left open.
    constant = set(re.findall(r"^  assign (\w+) = \d+'", top, re.MULTILINE))
    bus = [port for port in ports if port[2] not in ("clk_i", "rst_ni")]

    def members(of):
        return "\n".join(f"    {ty} {name};" for way, ty, name in bus if way == of and name not in constant)

    def connection(way, name):
        return "" if name in constant else f"{'in_q' if way == 'input' else 'out'}.{name}"

    connections = ",\n".join(f"    .{name}({connection(way, name)})" for way, _, name in bus)
    return MODULE.format(inputs=members("input"), outputs=members("output"), connections=connections)
