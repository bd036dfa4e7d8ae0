#!/usr/bin/env python3
"""Prints what optional parts of the hardware save in cycles and cost in area.

    hardware/fpga/features.py [--update] [NAME ...]

NAME is as for `resources.py`. Without one: the designs of the table in `hardware/README.md`, which `--update`
rewrites. Networks are those of `vta zoo`, calibrated on noise: cycles depend on shapes, not on what a network
has learned. Needs what `resources.py` needs; takes some minutes a design.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from resources import XC7Z020, configure, listed, resources, update, vta

NETWORKS = {"resnet18": "ResNet-18", "mobilenet_v2": "MobileNetV2", "resnet8": "ResNet-8"}


def cycles(name, folder):
    """Cycles of each network on a memory without latency."""
    config, program = folder / "design.json", folder / "network.vta"
    configure(name, config)
    for network in NETWORKS:
        model = folder / f"{network}.onnx"
        if not model.exists():
            vta("zoo", network, "--seed", 1, "-o", model)
        vta("compile", model, "--config", config, "--calib", "synthetic:1", "-o", program)
        yield json.loads(vta("profile", program, "--latency", 0, "--json"))["total"]["cycles"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="rewrite the table in hardware/README.md")
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    columns = [*NETWORKS.values(), *XC7Z020]
    lines = ["| design | " + " | ".join(columns) + " |", "| --- | " + " | ".join("---:" for _ in columns) + " |"]
    with tempfile.TemporaryDirectory(prefix="vta-features-") as folder:
        for name in args.names or listed("features"):
            print(f"{name} ...", file=sys.stderr, flush=True)
            row = [*cycles(name, Path(folder)), *resources(name).values()]
            lines.append(f"| `{name}` | " + " | ".join(f"{cell:,g}" if cell < 1e6 else f"{cell:,}" for cell in row) + " |")
    print("\n".join(lines))
    if args.update and not args.names:
        update("features", lines)


if __name__ == "__main__":
    main()
