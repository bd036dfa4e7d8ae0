#!/usr/bin/env python3
"""Prints what optional parts of the hardware save in cycles and cost in area.

    hardware/fpga/features.py [--update] [NAME ...]

NAME is as for `resources.py`. Without one: the designs of the tables in `hardware/README.md`, which `--update`
rewrites, and what `load_pad` saves layer by layer. Networks are those of `vta zoo`, calibrated on noise: cycles
depend on shapes, not on what a network has learned. Designs of signs run the binarized one. Needs what
`resources.py` needs; takes some minutes a design.
"""

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

from resources import XC7Z020, configure, listed, resources, update, vta

NETWORKS = {"resnet18": "ResNet-18", "mobilenet_v2": "MobileNetV2", "resnet8": "ResNet-8"}
SIGNS = {"binarynet": "BinaryNet"}
# The designs whose layers are compared, without and with `load_pad`.
PADDING = ["pynq+requant_store+gemm_overwrite", "pynq+requant_store+load_pad+gemm_overwrite"]


def profile(name, network, folder):
    """What `vta profile` says of a network on a memory without latency."""
    config, program, model = folder / "design.json", folder / "network.vta", folder / f"{network}.onnx"
    configure(name, config)
    if not model.exists():
        vta("zoo", network, "--seed", 1, "-o", model)
    # A binarized network brings its scales.
    calibration = [] if network in SIGNS else ["--calib", "synthetic:1"]
    vta("compile", model, "--config", config, *calibration, "-o", program)
    return json.loads(vta("profile", program, "--latency", 0, "--json"))


def table(headers, rows):
    """A table of the page: what the rows are of, then numbers."""
    shown = lambda cell: cell if isinstance(cell, str) else f"{cell:,g}" if cell < 1e6 else f"{cell:,}"
    lines = [headers, ["---"] + ["---:"] * (len(headers) - 1), *([shown(cell) for cell in row] for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def designs(names, networks, folder):
    """Cycles of the networks and area of each design."""
    rows = []
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        cycles = [profile(name, network, folder)["total"]["cycles"] for network in networks]
        rows.append([f"`{name}`", *cycles, *resources(name).values()])
    return table(["design", *networks.values(), *XC7Z020], rows)


def padding(folder):
    """Cycles and bytes of MobileNetV2's depthwise layers, those of the same extents as one."""
    sums = {}
    for at, name in enumerate(PADDING):
        for layer in profile(name, "mobilenet_v2", folder)["operators"]:
            found = re.match(r"1x\d+x(\d+x\d+).*groups", layer["shape"] or "")
            if found and "spent" in layer:
                row = sums.setdefault(found[1] + (", stride 2" if "stride" in layer["shape"] else ""), [0, 0, 0, 0])
                row[at] += layer["spent"]["cycles"]
                row[2 + at] += layer["spent"]["read_bytes"]
    headers = ["depthwise layers on", "cycles", "with `load_pad`", "bytes read", "with `load_pad`"]
    return table(headers, [[extents, *row] for extents, row in sums.items()])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="rewrite the tables in hardware/README.md")
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vta-features-") as folder:
        folder = Path(folder)
        if args.names:
            config = folder / "design.json"
            for name in args.names:
                configure(name, config)
                signs = any(part.startswith("sign_") for part in json.loads(config.read_text())["FEATURES"])
                print("\n".join(designs([name], SIGNS if signs else NETWORKS, folder)))
            return
        tables = {
            "features": designs(listed("features"), NETWORKS, folder),
            "padding": padding(folder),
            "signs": designs(listed("signs"), SIGNS, folder),
        }
    for what, lines in tables.items():
        print("\n".join(lines))
        if args.update:
            update(what, lines)


if __name__ == "__main__":
    main()
