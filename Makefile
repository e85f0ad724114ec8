# The menu: every command anyone types. The doing is in grading/ (course --help) and, for set-up, in .make/.

.DEFAULT_GOAL := help
.PHONY: help lab demo release collect grade feedback report export doctor test check hostile soak bench calibrate lock setup clean

WEEK ?= all
FROM ?= var/inbox
ARGS ?=

# nbgrader calls its own helpers by name, so they must be found there.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHON
COURSE := .venv/bin/python -m grading

help: ## Show this list
	@awk -F':.*## ' '/^## /{printf "\n%s\n", substr($$0,4)} /^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

## For learners
lab: setup ## Open JupyterLab on the first week                    WEEK=02
	@.venv/bin/python .make/lab.py "$(WEEK)" $(ARGS)

## For instructors
demo: setup ## A whole class, from release to feedback, in 3 minutes
	@$(COURSE) demo $(ARGS)

release: setup ## Write notebooks/ from solutions/                     WEEK=02, or all
	@$(COURSE) release --week $(WEEK) $(ARGS)

collect: setup ## Take submissions in from a folder or LMS archives    WEEK=02 FROM=folder
	@$(COURSE) collect --week $(WEEK) "$(FROM)" $(ARGS)

grade: setup ## Run and judge every submission taken in              WEEK=02
	@$(COURSE) grade --week $(WEEK) $(ARGS)

feedback: setup ## Write one page a learner                             WEEK=02
	@$(COURSE) feedback --week $(WEEK) $(ARGS)

report: setup ## What the class understood, and what it mixed up      WEEK=02
	@$(COURSE) report --week $(WEEK) $(ARGS)

export: setup ## Marks as CSV and for an LMS                          WEEK=02
	@$(COURSE) export --week $(WEEK) $(ARGS)

doctor: setup ## Can this machine teach, release and grade?
	@$(COURSE) doctor $(ARGS)

## For maintainers
test: setup ## Every test (about half an hour on two cores)
	@.venv/bin/python -m pytest -n 2 $(ARGS) || { echo 'once more, alone: what failed beside a neighbour'; \
		.venv/bin/python -m pytest --last-failed --last-failed-no-failures none $(ARGS); }

check: setup ## Lint, types and the quick tests (about 3 minutes)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/python -m pytest -n 2 -m "not slow" $(ARGS)

hostile: setup ## Every hostile notebook against every sandbox (about 10 minutes)
	@.venv/bin/python -m tests.hostile $(ARGS)

soak: setup ## Grade 1,000 under fire and on a full disk   ARGS='--submissions 200 --kills 50' is 7 minutes
	@.venv/bin/python -m tests.soak $(ARGS)

bench: setup ## Tables: grading, modules and bridges beside their likes, and the bake-off of fusions
	@$(COURSE) bench $(ARGS)

calibrate: setup ## Do the hidden checks catch what they should?         WEEK=02, or all
	@$(COURSE) calibrate --week $(WEEK) $(ARGS)

lock: setup ## Write requirements.txt from .venv
	@.make/lock

setup: ## Only the environment; every command above does this first
	@.make/setup

clean: ## Delete build/; nothing authored and no submission lives there
	rm -rf build
