# Every target makes its own virtual environment in .venv and installs what it needs.
VENV   ?= .venv
PYTHON ?= python3
RUN     = $(VENV)/bin/python
DEMO   ?= runs/demo
# A process a core, each with one thread: two threads in each would wait for one another.
TESTS   = OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test check format lint types fast gpu clean

help:            ## list the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: $(VENV)/.runtime  ## train one IRM on six tasks of synthetic people, evaluate each, write runs/demo/report.html
	$(RUN) -m tools.synthesize --out $(DEMO)/data --preset demo
	$(RUN) -m tools.train configs/irm/demo.yaml --data $(DEMO)/data --out $(DEMO)/run --resume
	$(RUN) -m tools.evaluate $(DEMO)/run --data $(DEMO)/data --untrained --re-score 8 --reuse \
	  --json $(DEMO)/report.json --html $(DEMO)/report.html

test: $(VENV)/.dev  ## the whole default test suite
	$(TESTS)

fast: $(VENV)/.dev  ## the tests, without those of whole programs
	$(TESTS) -m "not slow"

gpu: $(VENV)/.dev  ## on a CUDA device: its tests, then the training step at full size, compared with hardware limits
	@$(RUN) -c "import torch, sys; torch.cuda.is_available() or sys.exit('error: torch sees no CUDA device here; make check runs everywhere')"
	$(RUN) -m pytest -m gpu
	$(RUN) -m benchmarks.train_step
	$(RUN) -m benchmarks.train_step --compile

check: lint types test  ## format, lint, types, tests (what CI runs)

lint: $(VENV)/.dev  ## ruff: format and rules
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .

types: $(VENV)/.dev  ## mypy, strict
	$(VENV)/bin/mypy

format: $(VENV)/.dev  ## apply the code format
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.txt | $(VENV)/bin/python
	$(RUN) -m pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime | $(VENV)/bin/python
	$(RUN) -m pip install --quiet -r requirements-dev.txt
	@touch $@

clean:           ## remove caches (never runs, data or .venv)
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
