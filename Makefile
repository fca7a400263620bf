# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
#
# A thin front for CMake and the scripts: `make help` lists what there is. BUILD is the build folder.

BUILD ?= build
PREFIX ?= /usr/local
PYTHON := /usr/bin/python3

.PHONY: all build demo test test-quick test-policies test-cpython bench wheel install analyze format clean help

all: ## set up this machine for building, then build the libraries and the command (the default)
	@scripts/setup build
	@$(MAKE) --no-print-directory build

build: ## build without looking at the machine's packages
	@cmake --preset release -B $(BUILD) --log-level=WARNING
	@cmake --build $(BUILD)

demo: ## index the Python standard library on stock Python and on Cairn, and compare
	@scripts/setup build demo
	@$(MAKE) --no-print-directory build
	@$(PYTHON) demo/demo.py --build $(BUILD)

test: ## every test in every build (gcc, sanitizers with every assertion, clang, valgrind); half an hour on two cores
	@scripts/setup build test
	@BUILD=$(BUILD) scripts/test

test-quick: ## the release build's unit, model and tree checks
	@scripts/setup build test
	@BUILD=$(BUILD) scripts/test quick

test-policies: ## unit, model and program tests under every fit and geometry, with pools and without; two hours
	@scripts/setup build test
	@BUILD=$(BUILD) scripts/test policies

test-cpython: ## CPython's whole test-suite on Cairn and on stock Python (GC=snapshot: with the snapshot collector); long
	@scripts/setup build test
	@$(MAKE) --no-print-directory build
	@$(PYTHON) tests/cpython/run.py --build $(BUILD) $(if $(GC),--gc $(GC))

bench: ## programs on Cairn and the allocators Debian packages, into docs/benchmarks.md; half an hour and more
	@scripts/setup build bench
	@$(MAKE) --no-print-directory build
	@$(PYTHON) bench/run.py --build $(BUILD) --markdown docs/benchmarks.md

wheel: build ## the Python package, from what is built, into BUILD/dist
	@CAIRN_BUILD=$(BUILD) $(PYTHON) -m pip wheel --quiet --no-deps --no-index --wheel-dir $(BUILD)/dist .

install: ## install to PREFIX (default /usr/local), below DESTDIR if set
	@cmake --preset release -B $(BUILD) --log-level=WARNING -DCMAKE_INSTALL_PREFIX=$(PREFIX)
	@cmake --build $(BUILD)
	@DESTDIR=$(DESTDIR) cmake --install $(BUILD)
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

analyze: ## clang-tidy and gcc's analyzer over the sources
	@scripts/setup build test
	@BUILD=$(BUILD) scripts/analyze

format: ## lay out every C source by .clang-format
	@scripts/setup build test
	@scripts/format

clean: ## remove the build folder
	@cmake -E rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16
