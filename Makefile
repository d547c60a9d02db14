# `make` alone lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run smoke repro grid test check viz export figures docs screenshots cells clean lock fuzz cover mutants audit bench

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

run: $(VENV)/installed ## Run the default study and say where the report is
	$(BIN)/kedro run

smoke: $(VENV)/installed ## Run the smallest study that has every part, in under a minute
	$(BIN)/kedro run --env=smoke

repro: $(VENV)/installed-dvc ## Bring the default study up to date with DVC, cells side by side
	$(BIN)/python -m persistence_pipeline.study.side_by_side $(JOBS:%=--jobs=%) $(PULL:%=--pull)

grid: $(VENV)/installed-dvc ## The same for the study of 60 cells (make grid JOBS=8, GPUS=0,1 for one process per GPU)
	$(BIN)/python -m persistence_pipeline.study.side_by_side --env=grid $(JOBS:%=--jobs=%) $(GPUS:%=--gpus=%) $(PULL:%=--pull)

test: check ## Lint, type-check and test
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder --durations=15

check: $(VENV)/installed-dev ## Lint, type-check and check the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: $(VENV)/installed-dev ## Try 4,000 inputs on every property (some minutes)
	FUZZ_EXAMPLES=4000 $(BIN)/python -m pytest tests/fuzz

cover: $(VENV)/installed-dev ## Test, and say which lines of the library no test reaches
	$(BIN)/python -m pytest --cov --cov-report=term

mutants: $(VENV)/installed-dev ## Break grading and analysis in 2,000 places and count what the tests notice (20 minutes)
	$(INSTALL) --editable '.[mutants]'
	$(BIN)/mutmut run --max-children 2
	$(BIN)/mutmut results

audit: $(VENV)/installed-dev ## Look the dependencies up in an index of vulnerabilities, and list their licences
	$(INSTALL) pip-audit
	-$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip
	$(BIN)/python -m bench.licences > docs/licences.md

bench: $(VENV)/installed-dev ## Measure what docs/performance.md claims (a quarter of an hour on a quiet machine)
	$(BIN)/python -m bench

viz: $(VENV)/installed-dev ## Open the pipelines in kedro-viz
	@echo "Overview: http://127.0.0.1:4141/?types=nodes (a box opens with its + sign; datasets: Filters, bottom left)"
	$(BIN)/kedro viz run --no-browser

export: $(VENV)/installed ## Copy checkpoints with cards, pairs and trajectories into the formats of other tools
	$(BIN)/kedro run --pipelines=export

docs: $(VENV)/installed-dev ## Build the documentation, strictly: any warning is a fault
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html docs build/docs
	@echo "Documentation: build/docs/index.html"

screenshots: $(VENV)/installed-dev ## Take the documentation's pictures of the last default study anew
	$(BIN)/python docs/screenshots.py

figures: $(VENV)/installed ## Draw the last study's figures and tables for papers (SVG, PNG, Markdown, LaTeX)
	$(BIN)/python -m persistence_pipeline.report.paper

cells: $(VENV)/installed ## Expand conf/*/study.yml into tables of cells and dvc.yaml files
	$(BIN)/python -m persistence_pipeline.study

lock: $(VENV)/installed-dev ## Write the versions of this environment to constraints.txt
	(echo "# Exact versions that the project is tested with; regenerate with \`make lock\`."; \
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu//' | grep -viE '^(pip|setuptools|wheel)==') > constraints.txt

clean: ## Remove what runs have written
	find data -type f ! -name .gitkeep ! -name metrics.json ! -name '*.dvc' ! -name .gitignore -delete
	rm -rf data/.scratch

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing (some minutes the first time) ..."
	$(INSTALL) --editable .
	@touch $@

$(VENV)/installed-dvc: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing with DVC (some minutes the first time) ..."
	$(INSTALL) --editable '.[dvc]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing with the tools of development (some minutes the first time) ..."
	$(INSTALL) --editable '.[dev,docs,dvc,ray,viz]'
	@touch $@ $(VENV)/installed $(VENV)/installed-dvc
