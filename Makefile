# make run: a working post office in var/demo.   make test: everything checked.   make help: the rest.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := var/demo

# of the machine on which it is to be installed
TARGET_PYTHON ?= /usr/bin/python3
PREFIX ?= /opt/yizhan
DESTDIR ?=

.PHONY: help run demo test check unit soak audit bench docs deb install lock clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: $(VENV)/.installed ## set up and serve the demo office until Ctrl-C
	@scripts/require gpg
	@test -e $(DEMO)/yizhan.toml || $(BIN)/yizhan demo --make $(DEMO)
	@exec $(BIN)/yizhan serve --config $(DEMO)/yizhan.toml

demo: $(VENV)/.installed ## play the demo story against the running post office
	@$(BIN)/yizhan demo --config $(DEMO)/yizhan.toml

test: debian $(VENV)/.dev check unit ## set up, then lint, types, layers and all tests

debian: # Debian packages for the tests: installed when root, named otherwise
	@scripts/install-debian-packages

check: $(VENV)/.dev ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/.dev ## all tests (in the order of the folders: the longest files come first)
	@# Hundreds of processes read the program: compiled once, whatever the environment says.
	PYTHONDONTWRITEBYTECODE= TMPDIR=$$(scripts/scratch) $(BIN)/python -m pytest \
		-n 3 --dist loadfile --no-loadscope-reorder -m "not soak"

soak: $(VENV)/.dev ## long runs, and two hundred times the fuzzing
	$(BIN)/python -m pytest -m soak --timeout 7200
	YIZHAN_FUZZ=200 $(BIN)/python -m pytest tests/fuzz --timeout 7200

audit: $(VENV)/.dev ## the lock files: hashes, licences, advisories (pip-audit too, if installed)
	@$(BIN)/python scripts/audit.py

bench: $(VENV)/.dev ## measure memory, throughput beside Postfix, a notice to many units, growth, search (hours)
	$(BIN)/python -m bench.memory
	$(BIN)/python -m bench.idle
	$(BIN)/python -m bench.compare
	$(BIN)/python -m bench.compare --bare
	$(BIN)/python -m bench.submit --notice 44 1000
	$(BIN)/python -m bench.growth
	$(BIN)/python -m bench.search
	$(BIN)/python -m bench.mailbox
	$(BIN)/python -m bench.vast

docs: $(VENV)/.installed ## make the pages of docs/ that are made from the code
	$(BIN)/yizhan --manual > docs/commands.md
	$(BIN)/yizhan check --manual > docs/configuration.md
	$(BIN)/yizhan check --sample > docs/yizhan.sample.toml

deb: $(VENV)/.installed ## build the Debian package into dist/
	@scripts/make-deb $(BIN)/python $(TARGET_PYTHON) dist

install: $(VENV)/.installed ## everything in its place: program in PREFIX, all of it under DESTDIR
	@$(BIN)/python scripts/stage "$(DESTDIR)/" --prefix $(PREFIX) --python $(TARGET_PYTHON)
	@test -n "$(DESTDIR)" || echo "now: systemd-sysusers; systemd-tmpfiles --create; systemctl daemon-reload; yizhan init"

lock: $(VENV)/.dev ## renew requirements.lock and requirements-dev.lock from pyproject.toml
	scripts/lock

$(VENV)/.installed: pyproject.toml requirements.lock
	@scripts/make-venv $(PYTHON) $(VENV) requirements.lock
	@touch $@

$(VENV)/.dev: pyproject.toml requirements-dev.lock
	@scripts/make-venv $(PYTHON) $(VENV) requirements-dev.lock
	@touch $@ $(VENV)/.installed

clean: ## remove what make made (not var/)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
