# Needs python3 (3.11 to 3.13) and make; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python

.PHONY: lab progress test test-all check test-lowest test-newest lint-only notebooks messages translations solve bench report clean lint grade gradescope nbgrader bench-grading release book

# make lab TORCH=cpu (1.4 GB on disk) or TORCH=cuda (5.5 GB); auto: what the machine needs. Without make: python3 start.py (Windows: py start.py)
TORCH ?= auto
INSTALL := $(PYTHON) start.py --torch $(TORCH)

lab:  ## install what is missing into .venv and open JupyterLab on the notebooks
	$(INSTALL)

progress: $(VENV)/.installed  ## how far you are: exercises passed, open, changed since, and what is next
	$(RUN) -m utils.progress

# Two processes, each with one thread of torch: `make test PROCESSES=0` runs all in one.
PROCESSES ?= 2
PYTEST := $(RUN) -m pytest --numprocesses $(PROCESSES) --dist loadgroup --no-loadscope-reorder

test test-all check test-lowest test-newest: export OMP_NUM_THREADS = 1

test: $(VENV)/.test-installed lint-only  ## tests of every kind: ten to twelve minutes on two cores
	$(PYTEST) -m "not thorough" $(ARGS)

test-all: $(VENV)/.test-installed lint-only  ## all tests, those that repeat for every notebook and bank, too: what CI runs
	$(PYTEST) $(ARGS)

check: $(VENV)/.test-installed lint-only  ## lint, types, and the tests that are quick: two minutes on two cores
	$(PYTEST) -m "not slow and not browser and not sandbox and not thorough" $(ARGS)

test-lowest: $(VENV)/.installed  ## the quick tests with the lowest versions that pyproject allows; needs uv
	$(RUN) -m utils.authoring.lowest $(ARGS)

test-newest: $(VENV)/.installed  ## the same with the newest versions that there are
	$(RUN) -m utils.authoring.lowest --newest $(ARGS)

lint-only: $(VENV)/.test-installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

# LANGUAGE counts where it is given to make; in an environment it means something else.
ONLY := $(if $(filter command,$(origin LANGUAGE)),--language $(LANGUAGE))

notebooks: $(VENV)/.test-installed  ## build check data, student and solved notebooks; LANGUAGE=ko: solved ones in Korean, too
	$(RUN) -m utils.authoring build $(ONLY)

messages: $(VENV)/.test-installed  ## bring locale/ up to date with the English; LANGUAGE=ja begins a language
	$(RUN) -m utils.authoring.languages merge $(ONLY)

translations: $(VENV)/.test-installed  ## what is fuzzy or missing in locale/: the change and the old translation
	$(RUN) -m utils.authoring.languages changed $(ONLY)

solve: $(VENV)/.test-installed  ## execute the solved notebooks and store their outputs
	$(RUN) -m utils.authoring solve

report: $(VENV)/.test-installed  ## how good the checks are
	$(RUN) -m utils.authoring report

mutants: $(VENV)/.test-installed  ## small changes of the answers that pass their checks
	$(RUN) -m utils.authoring mutants --page utils/authoring/mutation/SURVIVORS.md

bench: $(VENV)/.test-installed  ## reference models against their peers
	$(RUN) -m utils.authoring.bench $(ARGS)

# make grade SUBMISSIONS=folder-or-archive OUT=folder [WORKERS=2]
grade: $(VENV)/.installed  ## grade a class in sandboxes; run it again to go on where it stopped
	$(RUN) -m utils.grading grade "$(SUBMISSIONS)" "$(OUT)" --workers $(or $(WORKERS),1) $(ARGS)

# make gradescope NOTEBOOK=01_transformer_recap [OUT=file.zip]
gradescope: $(VENV)/.installed  ## an autograder for Gradescope: a zip file for one notebook
	$(RUN) -m utils.grading gradescope "$(NOTEBOOK)" "$(or $(OUT),gradescope-$(NOTEBOOK).zip)"

nbgrader: $(VENV)/.test-installed  ## make nbgrader OUT=folder: the course as nbgrader has it
	$(RUN) -m utils.authoring nbgrader "$(OUT)"

bench-grading: $(VENV)/.test-installed  ## the grader against pytest --nbval-lax
	$(RUN) -m utils.authoring.bench_grading $(ARGS)

# make release OUT=folder REPOSITORY=https://github.com/<class>/<course>.git [LANGUAGES="en ko"]
release: $(VENV)/.test-installed  ## the course for a class, without answers; badges and set-up cells lead to its own repository
	$(RUN) -m utils.authoring.release "$(OUT)" --repository "$(REPOSITORY)" $(if $(LANGUAGES),--languages $(LANGUAGES))

book: $(VENV)/.test-installed  ## the course as web pages, in build/site
	$(RUN) -m utils.authoring.book $(ARGS)

lint: $(VENV)/.test-installed  ## format and fix
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

$(VENV)/.installed: requirements.lock
	$(INSTALL) --only-install

# Peers that the tests compare with come without their dependencies: they would replace torch. Many processes import at once in the
# tests, so here all is compiled; that a package holds a file for another Python is no error.
$(VENV)/.test-installed: $(VENV)/.installed requirements-test.lock
	$(RUN) -m pip install --quiet --no-compile --requirement requirements-test.lock --constraint requirements.lock
	$(RUN) -m pip install --quiet --no-compile --no-deps $$(sed -n 's/^#no-deps //p' requirements-test.lock)
	$(RUN) -m compileall -qq -j 0 $(VENV)/lib || true
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
