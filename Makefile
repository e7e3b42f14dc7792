# `make figures` draws every figure, `make test` proves the library: each does all of its own set-up.
PYTHON ?= python3
SIZE   ?= paper
DATA   ?= digits
OUT    ?= figures/out
# What pip installs for PyTorch; torch==2.13.0 may name a build for the CPU alone.
TORCH  ?= torch

VENV := .venv
BIN  := $(VENV)/bin
RUN  := $(BIN)/python

.PHONY: figures networks-figures test test-networks test-shuffled shuffled test-oldest test-newest \
  test-pythons lint types unit coverage notebooks docs dist verify-seeds mutants bench scale clean

figures: $(VENV)/.figures
	$(RUN) -m figures --size $(SIZE) --data $(DATA) --out $(OUT)

networks-figures: $(VENV)/.networks
	$(RUN) -m experiments figures --size $(SIZE) --out $(OUT)/networks

test: lint types unit coverage notebooks

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

# Two processes share the processors: one BLAS thread each, or they wait for one another.
unit: $(VENV)/.test
	OPENBLAS_NUM_THREADS=1 $(RUN) -m pytest -q -n 2 --dist worksteal

# Coverage is measured with the JIT off: compiled lines leave no trace.
coverage: $(VENV)/.test
	$(BIN)/coverage erase
	OPENBLAS_NUM_THREADS=1 NUMBA_DISABLE_JIT=1 \
	  $(BIN)/coverage run -m pytest -q -n 2 --dist worksteal -m "not large" tests lth_sketch
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

# Those that need PyTorch are run by `make docs`, as all others are once more.
notebooks: $(VENV)/.test
	MPLBACKEND=Agg $(RUN) docs/notebooks/pruning_is_sketching.py

# Tests and doctests of what needs PyTorch: small networks, which threads only make wait.
test-networks: $(VENV)/.networks
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(RUN) -m pytest -q tests/networks lth_sketch/networks \
	  docs/site/source/guide/prune_a_module.md

# Nothing may be refuted, whatever the seed.
verify-seeds: $(VENV)/.test
	@for seed in $$(seq 0 19); do \
	  found=$$($(BIN)/lth-sketch verify --data $(DATA) --rng $$seed 2>&1) || { echo "$$found"; exit 1; }; \
	  echo "$$found" | tail -n 1; \
	done

# The suite in random order, RUNS times, the seeds 1, 2, ...; in an environment of its own, for
# pytest-randomly shuffles wherever it is installed.
RUNS ?= 10
test-shuffled:
	$(MAKE) VENV=$(VENV)-shuffled shuffled

shuffled: $(VENV)/.shuffled
	for seed in $$(seq $(RUNS)); do \
	  OPENBLAS_NUM_THREADS=1 $(RUN) -m pytest -q -n 2 --randomly-seed=$$seed || exit 1; \
	done

# The site, in docs/site/out: offline once node_modules is there; any warning is an error.
docs: $(VENV)/.docs docs/site/node_modules/.katex
	MPLBACKEND=Agg OPENBLAS_NUM_THREADS=1 $(RUN) docs/site/build.py

docs/site/node_modules/.katex: docs/site/package.json
	@command -v npm >/dev/null || { echo "make docs needs Node.js 18 or newer, which renders the mathematics"; exit 1; }
	npm install --prefix docs/site --no-audit --no-fund --no-save --silent
	@touch $@

# What strangers get: both archives are checked, and each is installed by itself and put to work.
dist: $(VENV)/.dist
	rm -rf dist build
	$(RUN) -m build --quiet
	$(BIN)/twine check --strict dist/*
	for archive in dist/*.whl dist/*.tar.gz; do \
	  rm -rf $(VENV)-empty && $(PYTHON) -m venv $(VENV)-empty && \
	  $(VENV)-empty/bin/pip install --quiet --disable-pip-version-check "$$archive[figures]" && \
	  (cd $(VENV)-empty && bin/lth-sketch verify --statements S0 S1 --trials 100) || exit 1; \
	done

# The suite with the lowest versions that setup.cfg declares, and with the newest that there are,
# each in an environment of its own; PYTHON=python3.13 names another interpreter.
test-oldest:
	$(MAKE) VENV=$(VENV)-oldest PINS='--constraint tests/oldest.txt' unit

test-newest:
	rm -f $(VENV)-newest-$(notdir $(PYTHON))/.test
	$(MAKE) VENV=$(VENV)-newest-$(notdir $(PYTHON)) PINS='--upgrade --upgrade-strategy eager' unit

# The newest versions on other Pythons: those at hand, or what uv can fetch.
PYTHONS ?= 3.12 3.13
test-pythons: $(VENV)/.made
	$(RUN) -m pip install --quiet --disable-pip-version-check uv
	for version in $(PYTHONS); do \
	  $(BIN)/uv python find $$version || $(BIN)/uv python install $$version || exit 1; \
	  mkdir -p $(VENV)-pythons; \
	  ln -sf $$($(BIN)/uv python find $$version) $(VENV)-pythons/python$$version; \
	  $(MAKE) PYTHON=$(VENV)-pythons/python$$version test-newest || exit 1; \
	done

bench: $(VENV)/.test
	$(RUN) -m benchmarks

# Rows and weights that do not fit, at a size for two cores.
scale: $(VENV)/.test
	$(RUN) -m benchmarks.scale
	$(RUN) -m benchmarks.cluster

# Faults in scratch copies of the library, which its tests must notice: two hours; MUTANTS=25 takes half an hour.
MUTANTS ?= 100
mutants: $(VENV)/.mutants
	$(RUN) -m mutants --size $(MUTANTS)

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "lth_sketch needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv;"; \
	  echo "or name another interpreter: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	@touch $@

# One stamp for each extra; it is made again when setup.cfg changes.
$(VENV)/.figures $(VENV)/.test $(VENV)/.shuffled $(VENV)/.mutants $(VENV)/.dist: \
  $(VENV)/.%: setup.cfg $(VENV)/.made
	$(RUN) -m pip install --quiet --disable-pip-version-check $(PINS) --editable '.[$*]'
	@touch $@

$(VENV)/.docs: setup.cfg $(VENV)/.networks
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

# PyTorch first and by itself: it decides which build is taken.
$(VENV)/.networks: setup.cfg $(VENV)/.test
	$(RUN) -m pip install --quiet --disable-pip-version-check '$(TORCH)'
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[networks,exports]'
	@touch $@

clean:
	rm -rf docs/site/out docs/site/made docs/site/node_modules
	rm -rf $(VENV) $(VENV)-* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
