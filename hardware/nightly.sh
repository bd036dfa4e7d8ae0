#!/usr/bin/env bash
# What is too slow for CI: some hours of two processors.
#
#     hardware/nightly.sh [resources] [ecp5] [cosim] [mutate] [fuzz] [networks] [streams]
#
# Without arguments all parts run, whatever becomes of the ones before. Installs nothing: a part whose
# programs are missing says what they are, and fails. The last lines say how each part ended.
set -uo pipefail
cd "$(dirname "$0")/.."

vta() { cargo run --release --quiet --bin vta -- "$@"; }

# Yosys synthesizes five designs; the `pynq` preset has to fit its device.
resources() { python3 hardware/fpga/resources.py; }
# Yosys and nextpnr place and route 8x8 int8; it has to reach 75 MHz.
ecp5() { python3 hardware/fpga/ecp5.py; }
# 200 random programs on each design, 1000 on the default one; each thing of the coverage table 100 times.
cosim() { vta cosim --all --programs 200 --seed 1 --coverage --goal 100; }
# Each of the deliberate bugs is caught.
mutate() { vta mutate; }
# 2000 random networks agree in the integer interpreter and both simulators, on all designs in turn; 500 random
# schedules keep what their operators compute.
fuzz() { vta fuzz --networks 2000 --seed 1 && vta fuzz --schedules 500 --seed 1; }
# So do the networks of the data folder and of the zoo.
networks() { cargo test --release --quiet -p vta --test networks -- --include-ignored; }
# An hour of arbitrary bytes as streams, under the address sanitizer: nothing panics, leaves its memory or hangs, and
# every simulator says the same.
streams() {
    (cd fuzz && cargo run --quiet --example seeds) &&
        cargo +nightly fuzz run --no-trace-compares stream -- -max_total_time=3600 -timeout=15 -max_len=20000
}

parts=("$@")
[ $# -gt 0 ] || parts=(resources ecp5 cosim mutate fuzz networks streams)
for part in "${parts[@]}"; do
    case $part in
    resources | ecp5 | cosim | mutate | fuzz | networks | streams) ;;
    *)
        echo "error: no part \`$part\`; there are resources, ecp5, cosim, mutate, fuzz, networks and streams" >&2
        exit 2
        ;;
    esac
done

for program in cargo python3; do
    command -v "$program" >/dev/null && continue
    echo "error: no $program on the search path; README.md says what this project needs" >&2
    exit 1
done

summary=()
failed=0
for part in "${parts[@]}"; do
    echo "== $part"
    start=$SECONDS
    if "$part"; then outcome=passed; else
        outcome=FAILED
        failed=1
    fi
    summary+=("$(printf '%-10s %s, %d s' "$part" "$outcome" $((SECONDS - start)))")
done
echo
printf '%s\n' "${summary[@]}"
exit $failed
