# The front door for people and for .ci/run: `make help` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help install tools demo cluster test lint types tests vectors bench pictures docs lock wheels clean

PORT ?= 8700
STATE ?= state/demo
CLUSTER_PORT ?= 8740
CLUSTER_STATE ?= state/cluster
VENV := .venv/bin

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

install: ## make .venv with gateway, desk and SDK (PYTHON=python3.13 for another Python)
	@.ci/install product

tools: ## make .venv with what the tests and the other commands here need
	@.ci/install all

# Each process would else compile the code anew where PYTHONDONTWRITEBYTECODE is set, as in many images.
demo cluster test tests: export PYTHONDONTWRITEBYTECODE :=

demo: ## run the whole loop on this machine until Ctrl-C (ONCE=1: run it once; PORT=8700; STATE=state/demo)
	@.ci/install demo
	@exec $(VENV)/report-abuse-gateway demo --state $(STATE) --port $(PORT) $(if $(ONCE),--once)

cluster: tools ## the same on two gateways, PostgreSQL, Valkey, SeaweedFS, nginx (ONCE=1; CLUSTER_PORT=8740)
	@exec $(VENV)/report-abuse-gateway cluster --state $(CLUSTER_STATE) --port $(CLUSTER_PORT) $(if $(ONCE),--once)

test: tools lint ## lint, types, all tests, on any day (installs the browsers and tools that they need where that is allowed)
	@# The tools are fetched while one core checks the types, and the other compiles all commands, and the tests once for all workers.
	@.ci/test-tools & fetching=$$!; \
		{ $(VENV)/python -m compileall -q gateway partner_sdk; $(VENV)/python -m pytest --collect-only -qq; } >/dev/null 2>&1 & compiling=$$!; \
		$(VENV)/mypy; typed=$$?; wait $$compiling; wait $$fetching && exit $$typed
	@# In the order of tests/conftest.py, which begins with what takes longest, so that no core is left with it at the end.
	@# One more worker than cores: the whole loops spend half of their time waiting for processes. Two more gain nothing.
	@# Then what reads the clock, on a leap day in more than a year.
	@.ci/in-memory $(VENV)/python -m pytest -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist loadfile \
		--no-loadscope-reorder --clock-readers=.venv/clock-readers.json
	@.ci/in-memory $(VENV)/python -m tests.other_days .venv/clock-readers.json

lint: tools ## ruff: lint and format
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .

types: tools ## mypy: strict on partner_sdk and on the vault
	@$(VENV)/mypy

tests: tools ## the tests alone (ARGS="-k receipt" for some)
	@.ci/test-tools
	@.ci/in-memory $(VENV)/python -m pytest $(ARGS)

bench: tools ## measure, and write the tables of docs/performance.md (NAMES="intake journey" for some)
	@$(VENV)/python -m tests.bench.figures $(NAMES)

vectors: tools ## make the test vectors of the wire anew (NAMES="page reply" for some; sealed boxes change)
	@$(VENV)/python -m tests.contract.make_vectors $(NAMES)

pictures: tools ## take the pictures of README.md and docs/placement.md again
	@$(VENV)/python -m tests.pictures

docs: tools ## build the site of the documents into build/docs; a broken link ends it
	@$(VENV)/sphinx-build -q -W --keep-going -c docs/site -d build/docs.cache . build/docs
	@echo "Open build/docs/index.html"

lock: tools ## resolve the newest libraries into requirements.lock, with hashes, without index addresses
	@$(VENV)/python -m pip install --quiet --require-hashes --no-deps -r .ci/uv.lock
	@echo uv | $(VENV)/uv pip compile --quiet --universal --upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate -o .ci/uv.lock -
	@$(VENV)/python -m pip wheel --quiet --no-deps --no-build-isolation -w .venv/wheels ./partner_sdk
	@$(VENV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --no-annotate --extra desk --extra dev --extra docs --extra postgresql --extra valkey --extra objects --extra metrics --find-links .venv/wheels \
		--no-emit-package report-abuse-partner-sdk -o requirements.lock setup.cfg
	@echo "Now: make install, then .venv/bin/python .ci/supply-chain sbom > gateway/operations/sbom.cdx.json"

wheels: tools ## build the three packages into dist/, twice, and compare: equal sources give equal bytes
	@.ci/wheels dist

clean: ## remove what was built (not the state folder)
	@rm -rf .venv build dist *.egg-info partner_sdk/build partner_sdk/*.egg-info partner_sdk/*/build partner_sdk/*/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find gateway partner_sdk tests widget -name __pycache__ -prune -exec rm -rf {} +
