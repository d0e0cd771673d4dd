# Each target sets up what it needs in .venv: a fresh clone, make and Python 3.11 or newer are enough.
# Another interpreter: make test PYTHON=python3.12
PYTHON ?= python3
EXTRAS ?= dev
BIN := .venv/bin
INSTALLED := .venv/installed-$(EXTRAS)

export OMP_NUM_THREADS ?= 1
# An activated environment or a stray path must not leak into ours.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.PHONY: help install demo test check format clean

help:
	@echo "make demo     evolve the shipped model on this machine and print the result table"
	@echo "make test     run the test suite"
	@echo "make check    format, lint, types, tests"
	@echo "make format   rewrite the sources in the project's format"
	@echo "make install  only set up .venv"
	@echo "make clean    remove .venv; runs/ is kept"

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make install PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

demo: install
	HF_HUB_OFFLINE=1 $(BIN)/python tools/evolve.py recipes/tiny.yaml --out runs/demo

test: install
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(MAKE) --no-print-directory test

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv visplay.egg-info
