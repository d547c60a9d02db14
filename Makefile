# `make` alone lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
INSTALLED := $(VENV)/installed $(VENV)/installed-dvc $(VENV)/installed-dev
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
HAS_PIP := import pip._internal.cli.main
EXHAUSTED = $(shell grep -rl tests.exhausting tests --include='test_*.py')
# An environment that was left half made, or whose Python is gone or another than wanted, is made anew.
WHOLE := $(shell test ! -e $(VENV)/installing && $(BIN)/python -c '$(FITS)' 2>/dev/null \
	&& { test -e $(VENV)/installed || $(BIN)/python -c '$(HAS_PIP)' 2>/dev/null; } && echo yes)

.DEFAULT_GOAL := help
.PHONY: help run quick smoke pretrained repro grid results test check viz export figures docs screenshots cells clean lock fuzz exhaust cover mutants \
	audit bench bundle environment

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

run: $(VENV)/installed ## Run the default study of three chains, side by side on all cores, and say where the report is
	$(BIN)/kedro run --runner=persistence_pipeline.runners.SideBySideRunner

quick: $(VENV)/installed ## The same with one chain: quick, and its intervals say "this run only"
	$(BIN)/kedro run --env=quick --runner=persistence_pipeline.runners.SideBySideRunner

smoke: $(VENV)/installed ## Run the smallest study that has every part, in under a minute
	$(BIN)/kedro run --env=smoke

repro: $(VENV)/installed-dvc ## Bring the default study up to date with DVC, cells side by side
	$(BIN)/kedro repro $(JOBS:%=--jobs=%) $(PULL:%=--pull)

pretrained: $(VENV)/installed ## Say what it will take, and run the study on a real language model (docs/pretrained-run.md)
	$(BIN)/kedro run --env=smollm2 --pipelines=plan
	$(BIN)/kedro run --env=smollm2

results: $(VENV)/installed ## Copy the numbers of the last study to docs/results, which Git tracks (make results ENV=grid)
	$(BIN)/kedro results $(ENV:%=--env=%)

grid: $(VENV)/installed-dvc ## The same for the study of 100 cells (make grid JOBS=8, GPUS=0,1 for one process per GPU)
	$(BIN)/kedro repro --env=grid $(JOBS:%=--jobs=%) $(GPUS:%=--gpus=%) $(PULL:%=--pull)

test: check ## Lint, type-check and test
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder --durations=15

check: $(VENV)/installed-dev ## Lint, type-check and check the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: $(VENV)/installed-dev ## Try 4,300 inputs on every property, over 100,000 in all (half an hour)
	FUZZ_EXAMPLES=4300 $(BIN)/python -m pytest tests/fuzz

exhaust: $(VENV)/installed-dev ## Test what takes longer: all sequences of calls, more kills, sweeps, several processes (some minutes)
	EXHAUST=1 $(BIN)/python -m pytest -n 2 --dist loadscope $(EXHAUSTED)

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

bundle: $(VENV)/installed ## Gather what a machine without a network needs (docs/no-network.md)
	$(BIN)/python -m bundle $(PY:%=--python=%) $(PLATFORM:%=--platform=%) $(INSTALLED_THERE:%=--installed=%) \
		$(STUDY:%=--study=%) $(PART_MB:%=--part-mb=%) $(INTO:%=--into=%) $(if $(CARRIED),--extras $(CARRIED))

viz: $(VENV)/installed-dev ## Open the pipelines in kedro-viz (make viz ENV=grid)
	@echo "Overview: http://127.0.0.1:4141/?types=nodes&pid=overview (a box opens with a double click; all boxes at" \
	"once: the pipeline __default__; datasets: Filters, bottom left)"
	$(BIN)/kedro viz run --no-browser $(ENV:%=--env=%)

export: $(VENV)/installed ## Copy checkpoints with cards, pairs and trajectories into the formats of other tools
	$(BIN)/kedro run --pipelines=export

docs: $(VENV)/installed-dev ## Build the documentation, strictly: any warning is a fault
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html docs build/docs
	@echo "Documentation: build/docs/index.html"

screenshots: $(VENV)/installed-dev ## Take the documentation's pictures of the last default study anew
	$(BIN)/python docs/screenshots.py

figures: $(VENV)/installed ## Draw the last study's figures and tables for papers (make figures ENV=grid)
	$(BIN)/kedro paper $(ENV:%=--env=%)

cells: $(VENV)/installed ## Expand conf/*/study.yml into tables of cells and dvc.yaml files
	$(BIN)/kedro cells

lock: $(VENV)/installed-dev ## Write the versions of this environment to constraints.txt
	(echo "# Exact versions that the project is tested with; regenerate with \`make lock\`."; \
	$(BIN)/python -m pip freeze --all --exclude-editable | sed 's/+cpu//' | grep -viE '^(pip|wheel)==') > constraints.txt

clean: ## Remove what runs have written
	find data -type f ! -name .gitkeep ! -name '*.dvc' ! -name .gitignore -delete
	rm -rf data/.scratch

environment:
	@$(PYTHON) -c '$(FITS)' 2>/dev/null || { echo "error: this needs Python 3.11 to 3.13, and $(PYTHON) is" \
	"$$($(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null || echo not there);" \
	"name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/installed-dvc: EXTRAS := dvc
$(VENV)/installed-dvc: HOLDS := $(VENV)/installed
$(VENV)/installed-dev: EXTRAS := dev,docs,dvc,ray,viz
$(VENV)/installed-dev: HOLDS := $(VENV)/installed $(VENV)/installed-dvc

# A killed installation leaves its mark; one that fails by itself leaves what was there before.
$(INSTALLED): pyproject.toml constraints.txt $(if $(WHOLE),,environment)
	@echo "Installing$(EXTRAS:%= with %) (some minutes the first time) ..."
	@touch $(VENV)/installing
	@$(INSTALL) --editable '.$(EXTRAS:%=[%])'; code=$$?; rm -f $(VENV)/installing; exit $$code
	@touch $@ $(HOLDS)
