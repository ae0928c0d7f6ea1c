# make repro: train on the bundled sample; WORKERS=2: in two processes, see docs/scale.md.     make test: run the tests.
# make check: lint, types, layers, spelling.   make docs: build the pages of docs/ and the API reference into site/.
# make pretrained: train the shipped model anew; STAGE1_TRAIN and NUINSSEG name the two archives.
# Each sets up what it needs in .venv first; a second call installs nothing.

PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv
export UV_COMPILE_BYTECODE := 1

.PHONY: repro test check docs pretrained requirements clean
.DELETE_ON_ERROR:

repro: .venv/$(if $(WORKERS),dev,run)
	@python tools/repair_dvc.py
	$(if $(WORKERS),UNETSEG_WORKERS=$(WORKERS) dvc exp run -S train.distribute=data_parallel,dvc repro)

test: .venv/dev
	python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

check: .venv/dev
	ruff check . && ruff format --check . && mypy && lint-imports && codespell
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	zizmor --offline --quiet .github

docs: .venv/dev
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet
	@echo "$(CURDIR)/site/index.html"

STAGE1_TRAIN ?= data/stage1_train.zip
NUINSSEG ?= data/nuinsseg.zip
pretrained: .venv/run
	python tools/pretrained.py $(STAGE1_TRAIN) $(NUINSSEG)

# Compile the pinned requirements from pyproject.toml; needs uv. The tests do without the extra napari, which brings Qt.
COMPILE := uv pip compile -q --universal --generate-hashes --no-annotate --no-header
requirements:
	$(COMPILE) --upgrade pyproject.toml -o requirements.txt
	$(COMPILE) --extra bioio --extra dask --extra export --extra zarr --group dev --group docs \
	    -c requirements.txt pyproject.toml -o requirements-dev.txt
	echo uv | $(COMPILE) --upgrade - -o requirements-uv.txt

clean:
	rm -rf .venv

.venv/run: requirements.txt pyproject.toml | .venv/python
	$(call install,requirements.txt)

.venv/dev: requirements-dev.txt pyproject.toml | .venv/python
	$(call install,requirements-dev.txt)

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "$(PYTHON) is older than 3.11: try make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	@python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements-uv.txt || \
	    echo "uv cannot be installed: pip installs the rest, which takes longer"
	@touch $@

# $(1): a file of pinned, hashed requirements. uv, else pip, which takes three times as long; both check the hashes.
define install
	@set -e; pip="python -m pip --disable-pip-version-check"; \
	if command -v uv > /dev/null && uv pip install --quiet --require-hashes -r $(1); then pip="uv pip"; \
	else $$pip install --quiet --require-hashes -r $(1); fi; \
	$$pip install --quiet --no-deps --no-build-isolation -e .; \
	touch $@
endef
