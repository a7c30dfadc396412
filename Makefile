# vcam_talker: plain `make` prints what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

BIN := .venv/bin
BENCHES ?= pacing latency av-sync idle start render face loop cache obs chat llm lipsync
ARGS ?=
# Of pyproject.toml: asr (hearing with faster-whisper or pocketsphinx), llm (a language model on this machine),
# openvino (often quicker lips), gpu, prune.
EXTRAS ?=
comma := ,
# The presenters' lips are drawn by a network. Two builds of its runtime would overwrite each other.
ALL_EXTRAS := $(if $(findstring gpu,$(EXTRAS)),$(EXTRAS),$(if $(EXTRAS),$(EXTRAS)$(comma))lips)

# Stamps make a second `make run` start at once. Those of the system's packages lie outside .venv, which
# install-python.sh may have to make anew.
PINS := pyproject.toml constraints.txt scripts/install-python.sh scripts/find-python.sh
# A .venv whose interpreter is gone (an upgraded or removed Python) is repaired.
BROKEN := $(shell test -x $(BIN)/python || echo always)

.PHONY: help run install test lint format bench pins studio lips-train lips-evaluate clean always

help: ## print this
	@echo "vcam_talker, a talking person on your virtual webcam and microphone"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22
	@echo "Options of vcam-talker go into ARGS:  make run ARGS='--camera null --for 60'"

run: .venv/.installed ## install what is missing, then go on air
	@$(BIN)/vcam-talker run $(ARGS)

install: ## install system packages, .venv and vcam-talker, look at everything again (EXTRAS=asr,llm)
	@rm -f build/.system-run .venv/.installed
	@$(MAKE) --no-print-directory .venv/.installed
	@echo "Installed: $(BIN)/vcam-talker"

test: build/.system-test .venv/.installed-dev ## install what tests need, then run all of them
	scripts/test.sh $(ARGS)

lint: .venv/.installed-dev ## ruff, mypy, import-linter, shellcheck: what pre-commit and CI run
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck scripts/*.sh .ci/run

format: .venv/.installed-dev ## format the code, mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/.installed ## measure the figures of docs/benchmarks.md, but those of studio (BENCHES=idle: only that; loop, llm and lipsync need EXTRAS=asr,llm,openvino,prune)
	@failed=; for name in $(BENCHES); do $(BIN)/vcam-talker bench $$name $(ARGS) || failed=1; done; test -z "$$failed"

pins: .venv/.installed-dev ## write the versions now in .venv to constraints.txt
	scripts/pin.sh

studio: .venv/.installed ## install what makes presenters and training truth (PACK=folder or archive of the head pack)
	@scripts/install-python.sh studio,$(ALL_EXTRAS)
	@scripts/install-studio.sh $(PACK)

lips-train: ## draw the truth, train every network of the lips and put it in its place (hours; needs make studio EXTRAS=prune,asr)
	scripts/train-lips.sh

lips-evaluate: ## state how good the lips that ship are (an hour; the same)
	scripts/evaluate-lips.sh

clean: ## remove .venv, stamps, caches and built files (system packages stay)
	rm -rf .venv build dist out .vm .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

build/.system-run: scripts/install-system.sh
	@scripts/install-system.sh run
	@mkdir -p build && touch $@

build/.system-test: scripts/install-system.sh
	@scripts/install-system.sh test
	@mkdir -p build && touch build/.system-run $@

# Order-only: packages may be looked at again without pip running again.
.venv/.installed: $(PINS) $(BROKEN) | build/.system-run
	@scripts/install-python.sh $(ALL_EXTRAS)
	@touch $@

.venv/.installed-dev: $(PINS) $(BROKEN) | build/.system-run
	@scripts/install-python.sh dev
	@touch .venv/.installed $@
