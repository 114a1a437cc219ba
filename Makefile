# Each target creates and fills the environment that it needs, with pip alone. `make` lists them.
PYTHON ?= python3
export PIP_CONSTRAINT = constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK = 1

BASE := .venv/base.stamp
TEST := .venv/test.stamp
CHECK := .venv/check.stamp
MODEL := .venv/model.stamp
WITNESS := .venv-witness/witness.stamp
NATIVE := native/CMakeLists.txt $(wildcard native/src/*)

.PHONY: help review test witness check sanitize arm64 avx512 bench clean

help:
	@echo "make review    the main job: review the default model, from nothing to an explained verdict"
	@echo "make test      the tests (no torch), but for whole exams and the longest simulations"
	@echo "make witness   the tests against transformers, llama.cpp and gguf; whole exams, the longest simulations"
	@echo "make check     ruff, mypy --strict, import-linter"
	@echo "make sanitize  the kernels' own tests under the address, undefined-behaviour and thread sanitizers"
	@echo "make arm64     the same tests of the arm64 kernels, built here and run in qemu"
	@echo "make avx512    the same tests of the AVX-512 kernels, run in AVX2 by emulation"
	@echo "make bench     measured beside the peers, into benchmarks/results.json and RESULTS.md (ONLY=decode,... some parts)"

review: $(BASE)
	.venv/bin/greenlight review smollm2 --pull

# A process for each CPU: threads of BLAS besides would only get in each other's way. Compiled modules are kept, whatever
# the caller's environment says, since the tests start many processes.
test: export OPENBLAS_NUM_THREADS = 1
test: export PYTHONDONTWRITEBYTECODE =
test: $(TEST) $(MODEL)
	.venv/bin/python -m pytest -n auto --dist loadfile -m "not slow"

check: $(CHECK)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

witness: $(WITNESS)
	.venv-witness/bin/greenlight pull smollm2
	.venv-witness/bin/python -m pytest tests/witness --override-ini addopts="-q --strict-markers -p no:cacheprovider"
	OPENBLAS_NUM_THREADS=1 .venv-witness/bin/python -m pytest -n auto --dist loadfile -m slow

# What the tests under Python cannot see: reads past a buffer, undefined arithmetic, races. docs/kernels.md.
sanitize:
	for kind in address undefined thread; do \
	  cmake -S native -B build/sanitize-$$kind -DGREENLIGHT_TESTS=ON -DGREENLIGHT_SANITIZER=$$kind && \
	  cmake --build build/sanitize-$$kind --parallel && build/sanitize-$$kind/native_tests || exit 1; \
	done

# Debian has both: g++-aarch64-linux-gnu and qemu-user. The last lines print a digest of all values: it is that of x86-64.
arm64:
	cmake -S native -B build/arm64 -DGREENLIGHT_TESTS=ON -DCMAKE_BUILD_TYPE=Release -DCMAKE_SYSTEM_NAME=Linux \
	  -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_EXE_LINKER_FLAGS=-static
	cmake --build build/arm64 --parallel
	qemu-aarch64 -cpu max build/arm64/native_tests

# For a CPU without AVX-512; Debian has the emulation: libsimde-dev. The lines named avx512vnni print the same digests.
avx512:
	cmake -S native -B build/avx512 -DGREENLIGHT_TESTS=ON -DGREENLIGHT_EMULATE_AVX512=ON -DCMAKE_BUILD_TYPE=Release \
	  -DCMAKE_CXX_FLAGS_RELEASE=-O2
	cmake --build build/avx512 --parallel
	build/avx512/native_tests

bench: $(WITNESS)
	.venv-witness/bin/greenlight pull smollm2
	.venv-witness/bin/python benchmarks/run.py $(if $(ONLY),--only $(ONLY))

clean:
	rm -rf .venv .venv-witness build

.venv/bin/python:
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install -q --upgrade "pip>=25.1"

.venv-witness/bin/python:
	$(PYTHON) -m venv .venv-witness
	.venv-witness/bin/python -m pip install -q --upgrade "pip>=25.1"

$(BASE): .venv/bin/python pyproject.toml constraints.txt $(NATIVE)
	.venv/bin/python -m pip install -q --editable .
	touch $@

$(TEST): $(BASE)
	.venv/bin/python -m pip install -q --group test --group browser
	touch $@

$(CHECK): $(BASE)
	.venv/bin/python -m pip install -q --group check --group test
	touch $@

$(MODEL): $(BASE)
	.venv/bin/greenlight pull smollm2
	touch $@

# torch first and alone: a plain resolution would fetch a build for accelerators. llama.cpp is built for this CPU, never
# taken from pip's cache, whose wheels may have been built on another one; and without AMX: what gcc 12 makes of its tile
# code dies of an illegal instruction on CPUs that have it.
ifeq ($(shell uname -m),x86_64)
NO_AMX := -mno-amx-tile -mno-amx-int8 -mno-amx-bf16
$(WITNESS): export CMAKE_ARGS = -DCMAKE_C_FLAGS='$(NO_AMX)' -DCMAKE_CXX_FLAGS='$(NO_AMX)'
endif
$(WITNESS): .venv-witness/bin/python pyproject.toml constraints.txt $(NATIVE)
	.venv-witness/bin/python -m pip install -q torch==2.13.0
	.venv-witness/bin/python -m pip install -q --no-cache-dir --no-binary llama-cpp-python llama-cpp-python==0.3.36
	.venv-witness/bin/python -m pip install -q --group test --group browser --group witness --editable .
	touch $@
