PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test install clean

demo: .venv/installed
	$(BIN)/graft run support

test: .venv/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses 2

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt | .venv/bin/pip
	$(call install,.)
	touch $@

.venv/installed-for-tests: pyproject.toml constraints.txt | .venv/bin/pip
	$(call install,.[test])
	touch .venv/installed $@

.venv/bin/pip:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "graft needs Python 3.11 or newer; try make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

# pip compiles on one core, and takes as long for that as for all the rest. Some packages carry files that are no Python.
define install
	@echo "installing into .venv: about 2.5 GB, a few minutes"
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '$(1)'
	@$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true
endef

clean:
	rm -rf .venv
