.PHONY: demo test check bench docs clean
PYTHON ?= python3
BIN := .venv/bin
NOT_IMPORTED := /(tests|pip|setuptools|mypy|mypyc|sklearn|transformers/models|torch/testing)/

demo: .venv/demo.stamp  ## Pre-train, fine-tune and report on two cores, in minutes
	$(BIN)/fastitpn demo

test: .venv/dev.stamp  ## Run all tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: .venv/dev.stamp  ## Lint, types, tests
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(MAKE) test

bench: .venv/dev.stamp  ## Speed against the literal reference
	$(BIN)/python -m benchmarks.inference

docs: .venv/dev.stamp  ## Build the documentation: open site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	touch $@

.venv/dev.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e '.[dev]'
	$(BIN)/python -m compileall -qq -j 0 -x '$(NOT_IMPORTED)' .venv/lib || true  # by all cores; some are no Python
	touch $@ .venv/demo.stamp

clean:
	rm -rf .venv runs build dist site .pytest_cache .mypy_cache .ruff_cache
