#!/bin/sh
# Fuzzes the GGUF reader for SECONDS (default 20) on the stable toolchain. The corpus begins with small random models
# and is kept in target/fuzz/corpus. Exit code 0: nothing found; else the input that fails lies in target/fuzz.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-20}
host=$(rustc -vV | sed -n 's/^host: //p')
work=$PWD/target/fuzz
mkdir -p "$work/corpus"

# Seeds: files that pass the parser, small enough to be changed often, in every storage type.
for kind in tq2_0 tq1_0 q8_0 f16; do
    cargo run -q -p tritforge -- synth-model --type "$kind" --out "$work/corpus/seed-$kind.gguf" \
        --shape layers=1,dim=32,heads=1,ffn=32,vocab=8,ctx=8 >/dev/null
done
cargo run -q -p tritforge -- synth-model --type tq1_0 --out "$work/corpus/seed-rows-of-256.gguf" \
    --shape layers=1,dim=256,heads=1,head_dim=2,ffn=2,vocab=4,ctx=8 >/dev/null

# cargo-fuzz's instrumentation without its nightly sanitizer; --target keeps it out of build scripts.
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table" \
    cargo build -q --release --manifest-path fuzz/Cargo.toml --target "$host" --target-dir "$work"
if RAYON_NUM_THREADS=1 "$work/$host/release/gguf" "$work/corpus" -max_total_time="$seconds" -rss_limit_mb=512 \
    -malloc_limit_mb=256 -max_len=16384 -timeout=10 -artifact_prefix="$work/" -print_final_stats=1 >"$work/log" 2>&1
then
    grep '^stat::' "$work/log"
else
    tail -n 60 "$work/log" >&2
    echo "error: the GGUF reader failed on an input in $work: run $work/$host/release/gguf on that file" >&2
    exit 1
fi
