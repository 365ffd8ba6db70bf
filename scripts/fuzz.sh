#!/bin/bash
# Fuzzes the readers of files from outside on the stable toolchain: each target of fuzz/ for SECONDS (default 20), or only
# TARGET; as many targets at once as the machine has cores. A corpus begins with fuzz/corpus (and small random models, for GGUF)
# and is kept in target/fuzz/corpus. `build` builds the targets only. Exit code 0: nothing found; else the input that fails lies in target/fuzz.
#   usage: scripts/fuzz.sh [SECONDS [TARGET] | build]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-20}
targets=${2:-gguf safetensors tokenizer template trace}
host=$(rustc -vV | sed -n 's/^host: //p')
work=$PWD/target/fuzz

# cargo-fuzz's instrumentation without its nightly sanitizer; --target keeps it out of build scripts.
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table" \
    cargo build -q --release --manifest-path fuzz/Cargo.toml --target "$host" --target-dir "$work"
test "$seconds" != build || exit 0

for target in $targets; do
    mkdir -p "$work/corpus/$target"
    test ! -d "fuzz/corpus/$target" || cp fuzz/corpus/"$target"/* "$work/corpus/$target/"
done

# Seeds: files that pass the parser, small enough to be changed often, in every storage type.
case " $targets " in *" gguf "*)
    # The program as the tests have it: `cargo run` would build it and its dependencies once more, with other features.
    cargo test -q --workspace --test generated --no-run
    seed() {
        "${CARGO_TARGET_DIR:-target}/debug/tritforge" synth-model --force --type "$2" --shape "$3" --out "$work/corpus/gguf/seed-$1.gguf" >/dev/null
    }
    for kind in tq2_0 tq1_0 q8_0 f16; do
        seed $kind $kind layers=1,dim=32,heads=1,ffn=32,vocab=8,ctx=8
    done
    seed rows-of-256 tq1_0 layers=1,dim=256,heads=1,head_dim=2,ffn=2,vocab=4,ctx=8
esac

one() {
    local target=$1 memory=512 block=256
    # A template may build 256 MiB (src/model/chat/guard.rs), others nothing large.
    test "$target" != template || { memory=1024 block=600; }
    if RAYON_NUM_THREADS=1 "$program/$target" "$work/corpus/$target" -max_total_time="$seconds" -rss_limit_mb=$memory \
        -malloc_limit_mb=$block -max_len=16384 -timeout=20 -artifact_prefix="$work/$target-" -print_final_stats=1 \
        >"$work/$target.log" 2>&1
    then
        grep '^stat::' "$work/$target.log" | sed "s/^stat::/$target: /"
    else
        tail -n 60 "$work/$target.log" >&2
        echo "error: $target failed on an input in $work: run $program/$target on that file" >&2
        return 1
    fi
}
export -f one
export program=$work/$host/release seconds work
printf '%s\n' $targets | xargs -n 1 -P "$(nproc)" bash -c 'one "$1"' one
