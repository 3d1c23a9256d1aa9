# make demo: watch a GAN learn real pictures.  make test: the tests.  make check: all that CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two workers with one thread each: on two cores, two threads each would only wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal
STAMP := $(VENV)/.installed
RUN ?= runs/demo

.PHONY: demo test opinfo test-fast check bench gates-page lock clean

demo: $(STAMP)
	$(BIN)/backlit train demo --run $(RUN)

test: $(STAMP)
	$(PYTEST) -m "not opinfo"

# PyTorch's own sample inputs for every operation that has a gate: some minutes on one core.
opinfo: $(STAMP)
	$(PYTEST) -m opinfo

test-fast: $(STAMP)
	$(PYTEST) -m "not slow and not opinfo"

# What CI runs.
check: $(STAMP)
	$(BIN)/python tools/check_install.py
	$(BIN)/ruff check src tests bench tools
	$(BIN)/ruff format --check src tests bench tools
	$(BIN)/mypy
	$(MAKE) opinfo
	$(MAKE) test

bench: $(STAMP)
	$(BIN)/python bench/run.py

# Everything is pinned in constraints.txt; torch stands on the same line, so that no other build
# of it (nor a CUDA package) can come in.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else \
	  "Backlit needs Python 3.11 or newer; %s is %d.%d. Try: make PYTHON=python3.11" \
	  % (sys.executable, v[0], v[1]))'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0 -e ".[dev]"
	@touch $(STAMP)

gates-page: $(STAMP)
	$(BIN)/python tools/gates_page.py

lock: $(STAMP)
	$(BIN)/python tools/lock.py > constraints.txt

clean:
	rm -rf $(VENV)
