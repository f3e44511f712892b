# make demo: the main job on the picture that comes with the project, into demo/
# make test: lint, type check, all tests, in two processes
# make test-fast: the tests that are not slow (tests/slow.txt), under two minutes on two cores
# make extension: the Blender extension, into dist/
# make audit: known vulnerabilities of what is installed, and what it is made of (dist/sbom.json)
# make interop: exported files against other people's software, table into docs/

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
EXTRAS := blender,cuda,dev,extract,heic,live,mediapipe,ray,spz,synth,text,train,usd,view
NODE := tests/interop
STAMP := $(VENV)/.made

.PHONY: audit demo test test-fast lint extension interop clean system-packages

demo: $(STAMP)-core | system-packages
	$(BIN)/hand-toolkit demo --output demo --progress auto

test: lint $(NODE)/node_modules/.made
	HAND_TOOLKIT_STRICT=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

test-fast: $(STAMP)-all
	$(BIN)/python -m pytest -q -m "not slow"

lint: $(STAMP)-all | system-packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

extension: $(STAMP)-core
	$(BIN)/python scripts/build_extension.py

audit: $(STAMP)-core
	test -x $(VENV)-audit/bin/python || $(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit cyclonedx-bom
	mkdir -p dist
	$(VENV)-audit/bin/cyclonedx-py environment $(BIN)/python --output-format JSON --output-file dist/sbom.json
	$(VENV)-audit/bin/pip-audit --path $$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])') \
		--skip-editable --progress-spinner off

interop: $(STAMP)-all $(NODE)/node_modules/.made | system-packages
	bash scripts/interop.sh

$(STAMP)-core: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	rm -rf hand_toolkit.egg-info  # an old one in the checkout would hide new entry points
	$(PIP) 'setuptools>=77' torch
	$(PIP) --editable .
	touch $@

$(STAMP)-all: $(STAMP)-core
	$(PIP) --editable '.[$(EXTRAS)]'
	touch $@

$(NODE)/node_modules/.made: $(NODE)/package.json $(NODE)/package-lock.json
	cd $(NODE) && npm ci --silent --no-audit --no-fund --ignore-scripts
	touch $@

system-packages:
	@bash scripts/system_packages.sh

clean:
	rm -rf $(VENV) $(VENV)-audit $(NODE)/node_modules demo dist build *.egg-info
