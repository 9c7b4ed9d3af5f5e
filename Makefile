# Everything runs in .venv, which the first target that needs it makes. Python 3.11 or newer and make are enough.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-full test-arm lint docs bench clean

demo: .venv/installed
	$(BIN)/tinylm demo
	$(BIN)/tinylm train python-reference --minutes 1.5 --out runs/python-reference --force
	$(BIN)/tinylm predict runs/python-reference "This object is c"
	$(BIN)/tinylm generate runs/python-reference "If the" --max-tokens 300 --temperature 0.5 --seed 1

test: .venv/tested-with lint
	$(BIN)/pytest -n 2 --dist loadgroup -m "not slow"

test-full: .venv/tested-with lint
	$(BIN)/pytest -n 2 --dist loadgroup

# tinylm on an emulated ARM processor, made of Debian's packages and wheels of PyPI in a cache folder.
test-arm: .venv/tested-with
	$(BIN)/python tests/platforms/arm.py

lint: .venv/tested-with
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# The documentation as a site that opens offline: site/index.html. A broken link or reference fails; `make test` builds it, too.
docs: .venv/tested-with
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The short ones; `.venv/bin/python -m benchmarks` lists them all.
bench: .venv/installed
	$(BIN)/python -m benchmarks throughput
	$(BIN)/python -m benchmarks notebook

# torch goes first and by its exact version: a bare "torch" may bring gigabytes of GPU libraries.
.venv/torch: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "tinylm needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet $$(grep '^torch==' constraints.txt)
	touch $@

.venv/installed: .venv/torch pyproject.toml
	$(BIN)/pip install --quiet -c constraints.txt -e .
	touch $@

.venv/tested-with: .venv/installed
	$(BIN)/pip install --quiet -c constraints.txt -e ".[test]"
	touch $@

clean:
	rm -rf .venv build site src/*.egg-info
