# Everything works in a fresh clone with Python 3.11 or newer: the first target that is made sets up .venv.
PYTHON ?= python3
BIN := .venv/bin
DEMO := build/demo

.PHONY: help .venv demo diet prove test lint format bench bench-dedup bench-denoise bench-prove bench-select bench-prune bench-report bench-scaling schemas clean

help:
	@echo "make demo     run the quickstart pipelines on sample_data/ and say what was found"
	@echo "make diet     the whole diet on sample_data/: copies, noise, balance, choice, training, proof"
	@echo "make prove    choose features, train and evaluate on each kind of sample data; make a model smaller"
	@echo "make test     run the tests"
	@echo "make lint     ruff, mypy, import contracts"
	@echo "make format   put the code in shape"
	@echo "make bench    measure speed and memory against peers (long; needs the network for the peers)"
	@echo "make bench-dedup DATA=folder  measure what dedup finds, and what peers find"
	@echo "make bench-denoise DATA=folder  the same of denoise and balance"
	@echo "make bench-prove DATA=folder  the same of select-features and train"
	@echo "make bench-select DATA=folder  what a model learns from the samples that select-samples keeps"
	@echo "make bench-prune  what pruning a model costs in accuracy and gains in speed, beside peers"
	@echo "make bench-report  what it takes to tell of 100,000 verdicts and more"
	@echo "make bench-scaling DATA=folder  what each engine costs, and a model of a large cluster"
	@echo "make schemas  write the JSON Schemas in configs/ and docs/settings.md anew"
	@echo "make clean    remove what the targets made, .venv included"

.venv: .venv/.ready

.venv/.ready: pyproject.toml constraints-dev.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "datadiet needs Python 3.11 or newer; name one: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints-dev.txt -e '.[dev]'
	touch $@

# Exit code 3 says that some samples could not be read: the sample data has three of them on purpose.
demo: .venv/.ready
	@mkdir -p $(DEMO)
	$(BIN)/datadiet run configs/quickstart.yaml --force || test $$? -eq 3
	@$(BIN)/python sample_data/score.py $(DEMO)/images.report.json
	$(BIN)/datadiet run configs/quickstart-table.yaml --force
	@$(BIN)/python sample_data/score.py $(DEMO)/table.csv.report.json

# Everything in a row. Exit code 3 is as for demo.
diet: .venv/.ready
	@mkdir -p $(DEMO)
	$(BIN)/datadiet run configs/diet.yaml --force || test $$? -eq 3

# Fewer columns or dimensions, a model, and what that cost, for each kind of sample data.
prove: .venv/.ready
	@mkdir -p $(DEMO)
	$(BIN)/datadiet run configs/prove-table.yaml --force
	$(BIN)/datadiet run configs/prove-images.yaml --force || test $$? -eq 3
	$(BIN)/datadiet run configs/prove-text.yaml --force
	$(BIN)/datadiet run configs/prove-audio.yaml --force
	$(BIN)/datadiet run configs/prove-model.yaml --force || test $$? -eq 3

test: .venv/.ready
	$(BIN)/python -m pytest

lint: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.ready
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

schemas: .venv/.ready
	$(BIN)/datadiet schema pipeline > configs/pipeline.schema.json
	for step in dedup denoise balance select-features select-samples train prune-model evaluate; do $(BIN)/datadiet schema $$step > configs/$$step.schema.json; done
	$(BIN)/datadiet schema report > configs/report.schema.json
	$(BIN)/python docs/make_settings.py

bench: .venv/.ready
	$(BIN)/python benchmarks/bench_hamming.py
	$(BIN)/python benchmarks/bench_files.py
	$(BIN)/python benchmarks/bench_rows.py
	$(BIN)/python benchmarks/bench_images.py

# DATA=folder adds the parts that need real data: see benchmarks/README.md.
bench-dedup: .venv/.ready
	$(BIN)/python benchmarks/bench_dedup.py $(if $(DATA),--data $(DATA))

bench-denoise: .venv/.ready
	$(BIN)/python benchmarks/bench_denoise.py $(if $(DATA),--data $(DATA))

bench-prove: .venv/.ready
	$(BIN)/python benchmarks/bench_features.py --speed $(if $(DATA),--madelon $(DATA)/feature_selection)
	$(BIN)/python benchmarks/bench_train.py $(if $(DATA),--data $(DATA))

# The digits come with scikit-learn; DATA=folder adds CIFAR-10.
SELECT := build/bench
bench-select: .venv/.ready
	@mkdir -p $(SELECT)
	$(BIN)/python benchmarks/bench_select.py --out $(SELECT)/select.json $(if $(DATA),--data $(DATA))
	$(BIN)/python benchmarks/bench_select_auto.py --against $(SELECT)/select.json --out $(SELECT)/auto.json
	$(BIN)/python benchmarks/bench_dynamic.py
	$(BIN)/python benchmarks/bench_scoring.py
	$(BIN)/python benchmarks/bench_selection.py

# It goes on from what it wrote: remove build/bench to begin anew.
bench-prune: .venv/.ready
	@mkdir -p $(SELECT)
	$(BIN)/python benchmarks/bench_prune.py --out $(SELECT)/prune.json
	$(BIN)/python benchmarks/bench_prune_speed.py --out $(SELECT)/prune-speed.json

bench-report: .venv/.ready
	$(BIN)/python benchmarks/bench_report.py

# DATA=folder with cifar10.tar adds its 60,000 pictures.
bench-scaling: .venv/.ready
	@mkdir -p $(SELECT)
	$(BIN)/python benchmarks/bench_scaling.py --out $(SELECT)/scaling.json $(if $(DATA),--data $(DATA))
	$(BIN)/python benchmarks/scaling/model.py $(SELECT)/scaling.json

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
