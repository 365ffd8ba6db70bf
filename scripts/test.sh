#!/bin/bash
# Every test of the workspace, as `cargo test --workspace`, but with as many test programs at once as the machine has cores: some end with
# one long test. Prints what a program that fails says, every skip, and the seconds of each program. Exit code 0: all passed.
#   usage: scripts/test.sh
set -euo pipefail
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
# Those with the longest single tests start first.
first="top bundle llama attention_core_x formal_axi attn skip formal_ctrl"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
$cargo test --workspace --no-run --quiet --message-format=json-render-diagnostics >"$work/built"

# Of each test program a line: its package's folder, a space, its path.
programs=$(sed -n '/"profile":{[^}]*"test":true}/s/.*"manifest_path":"\([^"]*\)\/Cargo.toml".*"executable":"\([^"]*\)".*/\1 \2/p' "$work/built")
for name in $first; do
    grep "/$name-[0-9a-f]*\$" <<<"$programs" || { echo "error: scripts/test.sh: no test program $name" >&2; exit 1; }
done >"$work/queue"
grep -vxFf "$work/queue" <<<"$programs" >>"$work/queue"

# Runs one of them as cargo would: in its package's folder, with the package's name.
one() {
    local folder=$1 program=$2 start=$SECONDS rc=0
    local name=${program##*/}
    local said=$work/$name.said
    cd "$folder"
    CARGO_MANIFEST_DIR=$folder CARGO_PKG_NAME=$(sed -n 's/^name = "\(.*\)"/\1/p' Cargo.toml | head -n 1) "$program" >"$said" 2>&1 || rc=$?
    if [ $rc -eq 0 ]; then
        grep -o 'SKIPPED.*' "$said" || true
        printf '%4d s  %s %s\n' $((SECONDS - start)) "${name%-*}" "$(grep -o '[0-9]* passed' "$said")"
    else
        printf '%s\n%4d s  %s FAILED with exit code %d: %s\n' "$(cat "$said")" $((SECONDS - start)) "${name%-*}" $rc "$program"
        echo "${name%-*}" >>"$work/failed"
    fi
}
export -f one
export work
xargs -L 1 -P "$(nproc)" bash -c 'one "$@"' one <"$work/queue"

# Examples in the documentation, which cargo alone can build.
$cargo test --workspace --doc --quiet >"$work/doc" 2>&1 || { cat "$work/doc"; echo "examples in the documentation" >>"$work/failed"; }
if [ -e "$work/failed" ]; then
    echo "error: failed: $(paste -sd ' ' "$work/failed")" >&2
    exit 1
fi
