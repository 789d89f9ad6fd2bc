# make demo | make test | make lint | make test-slow | make test-long | make test-oldest-host |
# make regression | make docs | make packages | make clean. The environment is made once, in .venv.
# make demo BACKEND=tensorflow runs the demonstration with TensorFlow.
PYTHON ?=
BACKEND ?= pytorch
VENV := .venv
PIP := $(VENV)/bin/python -m pip install --quiet --constraint constraints.txt
# A test that hangs says where, and ends. Two processes share the files of tests, a file stays whole:
# what is compiled for it serves all of its tests.
PYTEST := $(VENV)/bin/python -m pytest -n 2 --dist loadfile -o faulthandler_timeout=300 \
    -o faulthandler_exit_on_timeout=true
BOTH := PTYCHOPINN_REQUIRE=tensorflow,pytorch

.DELETE_ON_ERROR:
.PHONY: demo test lint test-slow test-long test-oldest-host regression docs packages clean

ifeq ($(filter $(BACKEND),pytorch tensorflow),)
$(error BACKEND is '$(BACKEND)'; it must be pytorch or tensorflow)
endif

demo: $(VENV)/.demo-$(BACKEND)
	$(VENV)/bin/ptychopinn demo --backend $(BACKEND) --output demo-output

test: lint
	$(BOTH) $(PYTEST) -m 'not slow'

lint: $(VENV)/.test
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# Whole programs with their workers, and every way of installing.
test-slow: $(VENV)/.test
	$(BOTH) $(PYTEST) -m 'slow and not long'

# What test-slow does with PyTorch, with TensorFlow.
test-long: $(VENV)/.test
	$(BOTH) $(PYTEST) -m long

# Train, save, load, reconstruct as two programs, every backend and architecture, with durations.
regression: $(VENV)/.test
	$(BOTH) $(PYTEST) -n 0 -q tests/integration

# The oldest Ptychodus that is supported, in place of the newest.
test-oldest-host: $(VENV)/.test
	$(VENV)/bin/python -m pip install --quiet --no-deps --target $(VENV)/oldest ptychodus==1.6.0
	PYTHONPATH=$(VENV)/oldest $(BOTH) $(PYTEST) -m 'not slow' tests/io tests/ptychodus

# The documentation site, in site/: a broken link or a name that is not there is an error, and so is
# a page that needs a network.
docs: $(VENV)/.docs
	$(VENV)/bin/python -m mkdocs build --strict --quiet
	$(VENV)/bin/python docs/check_site.py site

# Wheel and sdist in dist/, checked, and the wheel run in an environment without a framework.
packages: $(VENV)/.made
	PYTHON=$(VENV)/bin/python .ci/packages dist

# pip below 25.1 cannot read dependency groups.
$(VENV)/.made:
	@for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python); do \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "Making $(VENV) with $$python"; \
	        exec $$python -m venv --clear $(VENV); \
	    fi; \
	done; \
	echo 'Python 3.11 or later is needed, looked for: $(or $(PYTHON),python3)' \
	    '- name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3' >&2; \
	exit 1
	$(VENV)/bin/python -m pip install --quiet 'pip>=25.1'
	touch $@

$(VENV)/.demo-%: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) --editable '.[$*]'
	touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) --editable '.[pytorch,tensorflow,gui,loggers,cluster]' --group test --group lint
	touch $@ $(VENV)/.demo-pytorch $(VENV)/.demo-tensorflow

$(VENV)/.docs: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) --group docs
	touch $@

clean:
	rm -rf $(VENV) demo-output dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
