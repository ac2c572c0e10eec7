# backflow. `make` installs it into .venv and runs the main job; `make test` checks it (a quick part: `.venv/bin/pytest -m "not slow"`),
# `make course` runs every lesson of the course (DATA_DIR=FOLDER, with JSB_Chorales.mat, for the one on music).

PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/pytest --numprocesses=auto --dist=worksteal

.PHONY: run test types tests course docs install lock clean
.DEFAULT_GOAL := run

run: install ## The main job: where does each cell's gradient die?
	$(BIN)/python -m experiments.gradient_flow

test: install ## Format, lint, imports, types, tests.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache --no-logo
	@$(MAKE) --no-print-directory --jobs=2 types tests

types:
	$(BIN)/pyright

tests:
	$(PYTEST)

course: install ## Every claim, tested: one page. What is there is not run again.
	$(BIN)/python -m experiments.course --data_dir="$(DATA_DIR)" --results=results/course --resume
	@echo "Open results/course/index.html; to run it all again, remove results/course."

docs: install ## The API reference, with search: build/docs/index.html, which opens offline.
	$(BIN)/python .ci/docs/build.py

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "backflow needs Python 3.11 or newer as $(PYTHON); found: $$($(PYTHON) --version 2>&1)." \
	         "Name another: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing backflow into .venv, as pinned by requirements.lock"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

lock: ## Rewrite requirements.lock with the newest releases that pyproject.toml allows.
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	printf "hatchling\neditables\n" | $(BIN)/uv pip compile pyproject.toml - --extra test --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade --quiet \
	  --custom-compile-command "make lock" --output-file requirements.lock

clean:
	rm -rf .venv
