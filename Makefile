# Two commands need nothing but Python 3.11 or newer: `make demo` and `make test`.
# They set up .venv (and, for the plugin's tests, .venv-nerfstudio) on the first call and reuse them afterwards.

PYTHON ?= $(shell for name in python3 python3.11 python3.12 python3.13 python3.14; do \
	"$$name" -c 'import sys; sys.version_info >= (3, 11) or sys.exit(1); print(sys.executable)' 2>/dev/null && break; done)
UV := $(shell uv pip install --help 2>/dev/null | grep -q -e --group && command -v uv || echo .venv-uv/bin/uv)
OWN_UV := $(filter .venv-uv/bin/uv,$(UV))
TORCH := torch==2.13.0
JOBS ?= 2

export UV_COMPILE_BYTECODE = 1
export UV_HTTP_TIMEOUT = 300

.PHONY: demo test lint types unit nerfstudio gpu fuzz mutants stages lock clean

demo: .venv/.stamp
	.venv/bin/da3-pipeline demo

test: lint types unit nerfstudio

lint: .venv/.stamp
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/.stamp
	.venv/bin/mypy

unit: export OMP_NUM_THREADS = 1
unit: .venv/.stamp
	.venv/bin/python -m pytest -q -n $(JOBS) --dist worksteal

# The viewer's tests run twice: on viser 1.x above, and here on the version that nerfstudio pins.
# What nerfstudio 1.1.5 needs has wheels for Python 3.11 and 3.12; where neither can be had its tests are left out, and said to be.
nerfstudio: export OMP_NUM_THREADS = 1
nerfstudio: .venv-nerfstudio/.stamp
	@if [ -s .venv-nerfstudio/.stamp ]; then cat .venv-nerfstudio/.stamp; else \
	.venv-nerfstudio/bin/python -m pytest -q -m nerfstudio -o filterwarnings=ignore tests/plugins tests/export/test_nerfstudio_parsers.py \
	&& .venv-nerfstudio/bin/python -m pytest -q -o filterwarnings=ignore tests/viewer; fi

.venv/.stamp: pyproject.toml constraints.txt | $(OWN_UV)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or say where it is with make PYTHON=..."; exit 1; }
	test -x .venv/bin/python || $(UV) venv --quiet --python "$(PYTHON)" .venv
	$(UV) pip install --quiet --python .venv/bin/python --constraint constraints.txt --group dev --editable '.[train]'
	@touch $@

.venv-nerfstudio/.stamp: pyproject.toml constraints-nerfstudio.txt | $(OWN_UV)
	@mkdir -p $(@D)
	@if [ -x .venv-nerfstudio/bin/python ] || $(UV) venv --quiet --allow-existing --python '>=3.11,<3.13' .venv-nerfstudio; then \
	set -ex; \
	$(UV) pip install --quiet --python .venv-nerfstudio/bin/python --no-deps --only-binary :all: --requirement constraints-nerfstudio.txt; \
	$(UV) pip install --quiet --python .venv-nerfstudio/bin/python --no-deps --editable .; : > $@; \
	else echo "nerfstudio tests left out: nerfstudio 1.1.5 needs Python 3.11 or 3.12, and neither was found" > $@; fi

.venv-uv/bin/uv:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or say where it is with make PYTHON=..."; exit 1; }
	"$(PYTHON)" -m venv .venv-uv && .venv-uv/bin/python -m pip install --quiet uv \
	|| "$(PYTHON)" -m pip install --quiet --upgrade --target .venv-uv uv

# On a machine with a GPU, for under eight minutes: the tests that need one, then one table of the forward pass.
# GPU_PYTHON=python3 takes an environment that is there already in place of .venv.
GPU_PYTHON ?= .venv/bin/python
gpu: export PYTHONPATH := $(CURDIR):$(CURDIR)/plugins:$(CURDIR)/workflows
gpu: $(if $(filter .venv/bin/python,$(GPU_PYTHON)),.venv/.stamp)
	@$(GPU_PYTHON) -c 'import sys, torch; torch.cuda.is_available() or sys.exit("make gpu: PyTorch sees no CUDA device here")'
	$(GPU_PYTHON) -m pytest -q -m gpu $(sort $(shell grep -rl --include='test_*.py' '@pytest.mark.gpu' tests))
	$(GPU_PYTHON) -c 'from da3_pipeline.cli import main; main()' \
	bench forward da3-nano da3-small da3-base --device cuda --views 2 --views 16 --views 64 --rounds 1 --passes 5

# Spoilt files for every parser of foreign bytes, from new seeds; findings are kept in fuzz-findings. FUZZ='JPEG PNG' names some.
MINUTES ?= 10
FUZZ ?=
fuzz: export OMP_NUM_THREADS = 1
fuzz: export PYTHONPATH := $(CURDIR):$(CURDIR)/tests
fuzz: .venv/.stamp
	.venv/bin/python -m fuzz $(MINUTES) $(FUZZ)

# How many planted mistakes the tests notice, a few of every numeric file: hours. ROOMS=da3_pipeline/geometry is minutes.
ROOMS ?= da3_pipeline/geometry da3_pipeline/refine/matching da3_pipeline/refine/solve da3_pipeline/refine/initialisation \
	da3_pipeline/refine/amendments da3_pipeline/refine/verdict da3_pipeline/infer/sequence da3_pipeline/export/depth \
	$(addprefix da3_pipeline/export/,cameras.py colmap.py nerfstudio.py observations.py ply.py tracks.py undistortion.py) \
	$(addprefix da3_pipeline/ingest/,calibration.py exif.py known.py rigs.py)
mutants: export OMP_NUM_THREADS = 1
mutants: .venv/.stamp
	@failed=0; for room in $(ROOMS); do .venv/bin/python tests/mutants.py "$$room" || failed=1; done; exit $$failed

# A stage's code has changed: record it, and raise the versions of those whose results can differ, so that finished
# sessions are done anew: make stages CHANGED="refine export". Also mends tests/data/stage_digests.json after a merge.
stages:
	"$(PYTHON)" tests/stage_digests.py --same --changed $(CHANGED)

# Plain `name==version` lines. Beside nerfstudio, timm is lifted over its pin (nothing there imports timm), the CPU build of
# open3d stands in for the full one and the headless OpenCV for the second copy that a dependency asks for; fpsample stays
# at its last version with wheels, and pyliblzfse, which has none, is only for reading Record3D streams in the viewer.
lock: | $(OWN_UV)
	@echo '$(TORCH)' > .venv/torch.txt
	@printf '%s\n' 'timm>=1.0.20' 'fpsample==0.3.3' 'open3d ; python_version < "3"' \
	'opencv-python ; python_version < "3"' 'pyliblzfse ; python_version < "3"' > .venv/overrides.txt
	@printf '%s\n' 'open3d-cpu==0.19.0' 'pytest>=8.2' > .venv/beside.txt
	head -n 1 constraints.txt > .venv/locked.txt
	$(UV) pip compile --quiet --python-version 3.11 --no-header --no-annotate --constraint .venv/torch.txt \
	--group dev --extra train pyproject.toml >> .venv/locked.txt
	mv .venv/locked.txt constraints.txt
	head -n 1 constraints-nerfstudio.txt > .venv/locked.txt
	$(UV) pip compile --quiet --python-version 3.11 --no-header --no-annotate --constraint .venv/torch.txt \
	--override .venv/overrides.txt --extra nerfstudio pyproject.toml .venv/beside.txt >> .venv/locked.txt
	mv .venv/locked.txt constraints-nerfstudio.txt

clean:
	rm -rf .venv .venv-nerfstudio .venv-uv .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
