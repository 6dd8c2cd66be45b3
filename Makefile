# Every target sets up what it needs: a fresh machine needs Python >= 3.11 and make.
#   make demo    compare five architectures on built-in data and write a report: less than seven minutes; installs no
#                development tools
#   make quick   format, lint, types, layers and the fast tests: under three minutes on two cores
#   make test    all tests; ARGS="tests/ops -k window" for some of them
#   make test-extras   the tests that need the extras "serve", "onnx" and others; verify-serve: a server under load, for three
#                minutes; verify-export: an export decodes Multi30k in an environment of numpy and onnxruntime alone;
#                verify-ctranslate2: CTranslate2 writes what we write, on Multi30k: ten minutes
#   make verify-mixer-exports   every configuration of every mechanism, exported by torch: ten minutes
#   make export-table [ARGS=--again]   every architecture of every task in the formats of `sightline export`
#   make check   format, lint, types, layers, documentation
#   make hooks   check the format, lint and types of each commit
#   make formats [ARGS=pandas_tables]   write the files of tests/formats with the real tools (PostgreSQL, sox from Debian)
#   make quantus   our figures of faithfulness and those of Quantus agree on the same model and maps
#   make cluster   a comparison on two local nodes of Ray, one of which is killed, has the same results as without
#   make bench   every mechanism beside other libraries, for docs/performance.md; bench-training: steps of a language model;
#                bench-translation: steps of translation models on Multi30k beside loops of torch; bench-memory: peak memory of
#                training steps; bench-decoding: decoding of whole models. ARGS="--threads 2" for two threads, where times
#                are seconds of the clock
#   make verify-precisions   BLEU of a small Transformer on Multi30k in float32, bf16 and int8
#   make study [ARGS="--stage confirm --minutes 110"]   the study of defaults, which continues where it stopped
#   make conformance   public implementations of other libraries under the laws, each in an environment of its own: five minutes, and their installation
#   make claims [ARGS=--quick]   every claim about recurrence and attention, measured for docs/claims.md: an hour on two
#                idle cores, ten minutes with --quick; continues where it stopped, ARGS=--overwrite begins again
#   make verify-verdict   how often a comparison's verdict is wrong, simulated; verify-planted: on real tasks, for hours
#   make scale    the loss by size on tiny Shakespeare, for docs/tutorials/scale.md: 20 minutes on two idle cores
#   make ladder   the ladder on built-in dates and on Multi30k: an hour on two idle cores; ladder-dates, ladder-multi30k: one
#   make verify-kills   a comparison of each of three tasks, killed ten times, ends like one that is left alone
#   make verify-busy   a comparison on a busy machine has the same verdict: three minutes; verify-rates: the learning rate that
#                a comparison chooses beside a full grid of them: an hour and a half
#   make verify-processes   two processes train as well as one, on Multi30k: forty minutes
#   make verify-planted-maps   the tests of faithfulness find what is planted, on four small models: ten minutes
#   make verify-statistics   attention statistics of 100,000 tokens without their matrix of weights, in bounded memory
#   make vega    build the script of the charts again, from pinned packages (needs node)
#   make viewer viewer-packages  build the script of influence maps again, from pinned packages (needs node); make fonts: their fonts
#   make verify-shakespeare (multi30k, jsb, sst, mnist, etth1, spoken-digits …): published numbers on real data

TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUNTIME := $(VENV)/.runtime
PEERS := $(VENV)/.peers
TOOLS := .venv-formats
CLUSTER := .venv-cluster
QUANTUS := .venv-quantus
EXTRAS := .venv-extras

# The first Python that is new enough; say `make PYTHON=/path/to/python3.12` for another.
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(name))))

# Compiled Python files are kept, whatever the shell says: compiling all tests and modules takes each process ten seconds.
unexport PYTHONDONTWRITEBYTECODE

# Parallel tests get one thread each; two processes with two threads on two cores stand in each other's way.
CORES := $(shell env -u OMP_NUM_THREADS nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
TESTS := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help install demo quick test test-extras verify-serve verify-ctranslate2 verify-mixer-exports verify-export export-table hooks check format lint types layers docs certify certify-full bench bench-training bench-translation bench-memory bench-decoding peers study formats quantus cluster conformance claims ladder ladder-dates ladder-multi30k scale generate vega viewer viewer-packages fonts clean

help:
	@sed -n 's/^#   //p' Makefile

install: $(STAMP)

# What the commands need.
$(RUNTIME): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: no Python >= 3.11 found; install one, or name it: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: $(PYTHON) cannot make virtual environments; on Debian or Ubuntu: apt install python3-venv," >&2; \
		echo "      or name another: make PYTHON=python3.12" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $(RUNTIME)

# And what tests, checks and the documentation need besides.
$(STAMP): $(RUNTIME)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $(STAMP)

demo: $(RUNTIME)
	$(BIN)/sightline demo $(ARGS)

test: install
	$(TESTS) $(ARGS)

verify-mixer-exports: install
	SIGHTLINE_EVERY_EXPORT=1 $(TESTS) tests/mixers/test_exported_mixers.py $(ARGS)

# The other tests run without extras, so that nothing needs them unnoticed. This environment sees the packages of .venv.
test-extras: $(EXTRAS)/.installed
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(EXTRAS)/bin/python -m pytest -n $(CORES) --dist worksteal tests/serve tests/export/onnx tests/export/test_ctranslate2.py tests/trackers tests/test_classes.py $(ARGS)

$(EXTRAS)/.installed: $(STAMP) tests/serve/requirements.txt pyproject.toml
	$(BIN)/python -m venv $(EXTRAS)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$($(EXTRAS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/packages_of_development.pth"
	$(EXTRAS)/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[serve,ctranslate2,hf,onnx,tensorboard]" \
		--requirement tests/serve/requirements.txt
	@touch $@

# Exports to CTranslate2 write the tokens that we write, on Multi30k.
verify-ctranslate2: $(EXTRAS)/.installed
	$(EXTRAS)/bin/python benchmarks/verify_ctranslate2.py $(ARGS)

# A hundred clients for a minute, wrong requests by the thousand, and SIGTERM under load.
verify-serve: $(EXTRAS)/.installed
	$(EXTRAS)/bin/python benchmarks/verify_serve.py $(ARGS)

verify-export: $(EXTRAS)/.installed
	$(EXTRAS)/bin/python benchmarks/verify_export.py $(ARGS)

# Continues where it stopped; then the page of exports is written again.
export-table: $(EXTRAS)/.installed
	for format in onnx ctranslate2 torch; do $(EXTRAS)/bin/python benchmarks/export_table.py --to $$format $(ARGS) || exit; done
	$(BIN)/python docs/generate.py

quick: format lint types layers
	$(TESTS) -m "not slow" $(ARGS)

# A git hook that runs what is in .venv: nothing is fetched.
hooks: install
	git config core.hooksPath .githooks

check: format lint types layers docs

format: install
	$(BIN)/ruff format --check .

lint: install
	$(BIN)/ruff check .

types: install
	$(BIN)/pyrefly check

layers: install
	$(BIN)/lint-imports --no-cache

docs: install
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going docs docs/_build/html

certify: install
	$(BIN)/sightline certify $(ARGS)

# Every mechanism along all 65,536 positions, however long that takes.
certify-full: install
	$(BIN)/sightline certify --full

# Half an hour; ARGS="--only window --pairs 3" for less. The page of results is written anew from what there is.
bench: $(PEERS)
	@status=0; $(BIN)/sightline bench --out-dir benchmarks/results $(ARGS) || status=$$?; \
		$(BIN)/python docs/generate.py; exit $$status

# Whole models beside transformers and CTranslate2: ten minutes on an idle core; ARGS="--only one-beam --pairs 3" for less.
bench-decoding: $(PEERS)
	$(BIN)/python benchmarks/bench_decoding.py $(ARGS)
	$(BIN)/python docs/generate.py

# Training steps of a language model: half an hour on an idle core; ARGS="--lengths 512 --modes bfloat16" for less.
bench-training: $(PEERS)
	$(BIN)/python benchmarks/bench_training.py $(ARGS)
	$(BIN)/python docs/generate.py

# Training steps of translation models on Multi30k: five minutes on an idle core; ARGS="--architectures bahdanau" for less.
bench-translation: install
	$(BIN)/python benchmarks/bench_translation.py $(ARGS)
	$(BIN)/python docs/generate.py

# Peak memory of training steps of a language model: five minutes; other work on the machine does not matter.
bench-memory: $(PEERS)
	$(BIN)/python benchmarks/bench_memory.py $(ARGS)
	$(BIN)/python docs/generate.py

# Keep the machine idle meanwhile: some claims are about time.
claims: install
	$(BIN)/sightline claims -o benchmarks/claims $(ARGS)
	cp benchmarks/claims/claims.json benchmarks/results/claims.json
	$(BIN)/python docs/generate.py

peers: $(PEERS)

$(PEERS): $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[peers]"
	@touch $(PEERS)

# The tools would burden the package's own environment.
formats: $(TOOLS)/.installed
	$(TOOLS)/bin/python tests/formats/write.py $(ARGS)

$(TOOLS)/.installed: tests/formats/requirements.txt
	@test -n "$(PYTHON)"
	test -x $(TOOLS)/bin/python || $(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --requirement tests/formats/requirements.txt
	@touch $@

# Ray would burden the package's own environment. Not for a machine on which other things need the cores.
cluster: $(CLUSTER)/.installed
	$(CLUSTER)/bin/python benchmarks/verify_cluster.py

$(CLUSTER)/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)"
	test -x $(CLUSTER)/bin/python || $(PYTHON) -m venv $(CLUSTER)
	$(CLUSTER)/bin/python -m pip install --quiet "$(TORCH)"
	$(CLUSTER)/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[ray]"
	@touch $@

# Quantus would burden the package's own environment.
quantus: $(QUANTUS)/.installed
	$(QUANTUS)/bin/python tests/quantus/check.py

$(QUANTUS)/.installed: pyproject.toml constraints.txt tests/quantus/requirements.txt
	@test -n "$(PYTHON)"
	test -x $(QUANTUS)/bin/python || $(PYTHON) -m venv $(QUANTUS)
	$(QUANTUS)/bin/python -m pip install --quiet "$(TORCH)"
	$(QUANTUS)/bin/python -m pip install --quiet --constraint constraints.txt --editable .
	$(QUANTUS)/bin/python -m pip install --quiet --requirement tests/quantus/requirements.txt
	@touch $@

# Published numbers on real data, `make verify-shakespeare` for benchmarks/verify_shakespeare.py and so on; ARGS go to the
# script. The data is in ../shared/data, or where SIGHTLINE_VERIFY_DATA says.
verify-%: install
	$(BIN)/python benchmarks/verify_$(subst -,_,$*).py $(ARGS)

# Other libraries' modules under the laws; a file that has its results is left out: ARGS="--only mingru --again".
conformance: install
	$(BIN)/python conformance/run.py $(ARGS)

# From recurrence to attention, one change at a time; pages in runs/. A ladder that was stopped continues. Each takes
# about half an hour on two idle cores, and times mean nothing on a busy machine.
MULTI30K := $(or $(SIGHTLINE_VERIFY_DATA),../shared/data)/multi30k

ladder: ladder-dates ladder-multi30k

ladder-dates: install
	$(BIN)/sightline ladder builtin:dates --tokens char --out-dir runs/ladder-dates --resume --budget 100s --workers 2 $(ARGS)

ladder-multi30k: install
	$(BIN)/sightline ladder $(MULTI30K)/train.de.gz,$(MULTI30K)/train.en.gz \
		--valid $(MULTI30K)/val.de.gz,$(MULTI30K)/val.en.gz \
		--test $(MULTI30K)/test_2016_flickr.de.gz,$(MULTI30K)/test_2016_flickr.en.gz \
		--lowercase --tokens bpe --vocabulary 4000 --match params=1500k --metric chrf \
		--out-dir runs/ladder-multi30k --resume --budget 100s --workers 2 $(ARGS)

# The loss of two architectures at five sizes, about 20 minutes on two idle cores; a run that was stopped continues.
SHAKESPEARE := $(or $(SIGHTLINE_VERIFY_DATA),../shared/data)/tinyshakespeare/input.txt

scale: install
	$(BIN)/sightline scale --data $(SHAKESPEARE) --task language --tokenizer.kind byte --archs lstm,transformer --budget 1Mtok --seeds 2 \
		--out-dir runs/scale-shakespeare --resume $(ARGS)
	cp runs/scale-shakespeare/scale.json benchmarks/results/scale-shakespeare.json
	$(BIN)/python docs/generate.py

# Hours to days; what has a result is not trained again. ARGS=--dry-run shows what is left, ARGS=--summary the tables.
study: install
	$(BIN)/python benchmarks/study_defaults.py $(ARGS)

# The files that tests hold against the code: reference pages and public surface.
generate: install
	$(BIN)/python docs/generate.py
	$(BIN)/python tests/test_surface.py

# The script of the charts from pinned packages of npm (needs node); `git diff` is empty where it comes out the same.
BUNDLE := src/sightline/report/bundle
vega:
	mkdir -p build/vega
	cp $(BUNDLE)/package*.json $(BUNDLE)/*.mjs build/vega
	cd build/vega && npm ci --ignore-scripts --no-audit --no-fund && node build.mjs ../../$(BUNDLE)
	git --no-pager diff --stat -- $(BUNDLE)

# The script of influence maps: types are checked, then Vite makes one file of the sources.
VIEWER := src/sightline/report/viewer
viewer: viewer-packages
	rm -rf build/viewer/source
	cp -R $(VIEWER)/tsconfig.json $(VIEWER)/*.mjs $(VIEWER)/vite.config.js $(VIEWER)/source build/viewer
	cd build/viewer && npm run build && node build.mjs ../../$(VIEWER)
	git --no-pager diff --stat -- $(VIEWER)

viewer-packages: build/viewer/node_modules

build/viewer/node_modules: $(VIEWER)/package-lock.json
	mkdir -p build/viewer
	cp $(VIEWER)/package*.json build/viewer
	cd build/viewer && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

# The fonts of labels: the letters of pinned packages of npm that src/sightline/report/fonts needs.
FONTS := .venv-fonts
fonts: $(FONTS)/.installed
	mkdir -p build/fonts
	cp tests/fonts/package*.json build/fonts
	cd build/fonts && npm ci --ignore-scripts --no-audit --no-fund
	$(FONTS)/bin/python tests/fonts/write.py build/fonts/node_modules src/sightline/report/fonts
	git --no-pager diff --stat -- src/sightline/report/fonts

$(FONTS)/.installed: tests/fonts/requirements.txt
	@test -n "$(PYTHON)"
	test -x $(FONTS)/bin/python || $(PYTHON) -m venv $(FONTS)
	$(FONTS)/bin/python -m pip install --quiet --requirement tests/fonts/requirements.txt
	@touch $@

clean:
	rm -rf $(VENV) $(TOOLS) $(CLUSTER) $(EXTRAS) $(FONTS) .venv-conformance docs/_build build dist .pytest_cache .ruff_cache .hypothesis
