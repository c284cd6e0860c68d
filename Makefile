# The project's commands. `make run` and `make test` need only Python >= 3.11 (with venv), git and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SIZE ?= 1
DOP ?= 0.5
SEED ?= 1
CDI_FAULT_RUNS ?= 100
BENCH_SIZE ?= 5
export CDI_HOME ?= $(CURDIR)/var
unexport PYTHONDONTWRITEBYTECODE  # without bytecode each step and the server start seconds later
PARALLEL = -n logical --maxprocesses 4 --dist loadscope
LOCK = requirements/py$(shell $(PYTHON) -c 'import sys; print("313" if sys.version_info >= (3, 12) else "311")').txt
STAMP := $(VENV)/.installed
ASSETS := ogcapi/static/vendor/.installed

.PHONY: setup run test test-browser test-schemathesis test-cluster test-image test-faults images check format lock landscape messages bench bench-http bench-cluster clean

setup: $(STAMP) $(ASSETS) ## virtual environment, dependencies, front-end files

$(STAMP): setup.py requirements/py311.txt requirements/py313.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(ASSETS): ogcapi/assets/package.json ogcapi/assets/package-lock.json | $(STAMP)
	$(BIN)/python ogcapi/assets/install.py
	touch $@

run: setup ## the chain on both samples (unless released), then http://localhost:5000
	$(BIN)/python samples/demo.py
	$(BIN)/cdi serve

landscape: $(STAMP) ## the synthetic test bench: make landscape SIZE=5 DOP=0.1
	$(BIN)/python samples/landscape.py --size $(SIZE) --dop $(DOP) --seed $(SEED) --out $(CDI_HOME)/samples/landscape

test: setup ## the tests
	$(BIN)/python -m pytest -q $(PARALLEL) --ignore=tests/cluster --ignore=tests/browser --ignore=tests/faults/test_cluster_components.py

test-browser: setup ## the pages in Chromium: forms, live jobs, both languages, accessibility
	$(BIN)/python -m pytest -q tests/browser

test-schemathesis: setup ## the API definition against a running server, with all checks
	$(BIN)/python -m tests.conformance.run_schemathesis

test-cluster: setup ## the tests on the cluster that KUBECONFIG names; images go to REGISTRY
	BIN=$(BIN) tests/cluster/run

test-image: ## the tests inside an image, with Python 3.13 and the newest pygeoapi
	containers/test

images: ## stage and server image; pushed where REGISTRY is set (containers/build)
	containers/build stage server

test-faults: setup ## every fault of tests/faults, many times; results go to docs/faults.md
	mkdir -p $(CDI_HOME)/faults
	status=0; \
	CDI_FAULT_RUNS=$(CDI_FAULT_RUNS) CDI_FAULT_LOG_BYTES=5000000000 $(BIN)/python -m pytest -q \
	    tests/faults --junitxml=$(CDI_HOME)/faults/local.xml || status=$$?; \
	$(BIN)/python tests/faults/report.py $(CDI_HOME)/faults/*.xml; exit $$status

check: setup ## formatter, linter, types, import contracts, process files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/validate_cwl.py

format: $(STAMP) ## let the formatter and the linter mend what they can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

messages: setup ## collect the texts of pages into the catalogues of their translations
	$(BIN)/pybabel --quiet extract -F ogcapi/locale/babel.cfg -k N_ --no-location --sort-output --no-wrap \
	    --project=cdi-nrw --version=0 -o ogcapi/locale/messages.pot ogcapi
	$(BIN)/pybabel --quiet update --no-wrap --ignore-obsolete --no-fuzzy-matching --omit-header \
	    -i ogcapi/locale/messages.pot -d ogcapi/locale
	rm ogcapi/locale/messages.pot

bench: setup ## timings: the chain on the synthetic test bench, and the service
	$(BIN)/python benchmarks/stages.py --size $(BENCH_SIZE) --without-peer
	$(BIN)/python benchmarks/service.py

bench-http: setup ## timings: the API, with stock pygeoapi beside it
	$(BIN)/python benchmarks/http_api.py

bench-cluster: setup ## timings: a job in a cluster, raw Jobs beside it (KUBECONFIG, CDI_STAGE_IMAGE)
	$(BIN)/python benchmarks/cluster.py

lock: ## compile the ranges of setup.py into requirements/, with hashes
	$(PYTHON) requirements/lock.py
