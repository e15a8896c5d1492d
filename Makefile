# Postrider's front door: `make help` says what there is.

JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc
FUZZ_SECONDS ?= 60
ROUNDS ?= 200
TESTS ?=
PYTHON := tools/python

RELEASE := build/release
TEST := build/test
CLANG := build/clang
TSAN := build/tsan
FUZZ := build/fuzz

# A sanitizer's finding ends the program: a report nobody reads is no test.
SANITIZERS := -Db_sanitize=address,undefined -Db_lundef=false -Dc_args=-fno-sanitize-recover=all
MESON := meson setup
NINJA := ninja -j$(JOBS)

.DEFAULT_GOAL := help
# Packages first, then meson, then ninja (which is the parallel one).
.NOTPARALLEL:
.PHONY: help packages packages-test build run demo test unit e2e lint format fuzz bench crash conformance tsan valgrind \
	clang built-for-test install uninstall clean

help: ## what there is (this list)
	@echo 'Postrider: a mail server. The two to begin with are `make run` and `make test`.'
	@echo
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

packages: ## install the Debian packages that building and running need
	@tools/packages run

packages-test: ## install the packages that tests, lint and bench need
	@tools/packages run test

$(RELEASE)/build.ninja:
	$(MESON) $(RELEASE) -Dbuildtype=release -Doptimization=2 -Ddebug=true -Dhardened=true -Dtests=false
$(TEST)/build.ninja:
	CC=gcc $(MESON) $(TEST) -Dbuildtype=debugoptimized $(SANITIZERS)
# DWARF 4, because Debian 12's valgrind cannot read what this clang writes by default.
$(CLANG)/build.ninja:
	CC=clang $(MESON) $(CLANG) -Dbuildtype=debugoptimized -Dc_args=-gdwarf-4
$(TSAN)/build.ninja:
	CC=gcc $(MESON) $(TSAN) -Dbuildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false -Dtests=false
$(FUZZ)/build.ninja:
	CC=clang $(MESON) $(FUZZ) -Dbuildtype=debugoptimized -Dfuzz=true -Dtests=false $(SANITIZERS)

build: packages $(RELEASE)/build.ninja ## the release: build/release/postrider, optimised and hardened
	@$(NINJA) -C $(RELEASE)

run: build ## build, start the demonstration under ./run, send mail through it, and stay in the foreground
	@$(PYTHON) tools/demo run

demo: build ## the same demonstration, but it ends: exit 0 only if every step was seen
	@$(PYTHON) tools/demo demo

built-for-test: packages-test $(TEST)/build.ninja
	@$(NINJA) -C $(TEST)

test: built-for-test ## unit, corpus and end-to-end tests under ASan and UBSan; the last line is `N passed, N failed`
	@$(PYTHON) tools/run_tests $(TEST)

unit: built-for-test ## only the unit and corpus tests
	@$(PYTHON) tools/run_tests --unit $(TEST)

e2e: built-for-test ## only the end-to-end tests; TESTS="tests/e2e/test_queue.py -k hold" picks some
	@$(PYTHON) tools/run_tests --e2e $(TEST) $(TESTS)

clang: packages-test $(CLANG)/build.ninja ## build everything with clang too: no warning is allowed
	@$(NINJA) -C $(CLANG)

lint: packages-test $(RELEASE)/build.ninja ## format, layers, purity of the engines, the manual against the code
	@$(NINJA) -C $(RELEASE)
	@$(PYTHON) tools/lint --build $(RELEASE)

format: packages-test ## bring all C files into the house format
	@git ls-files 'src/*.[ch]' 'tests/*.[ch]' | xargs clang-format -i

fuzz: packages-test $(FUZZ)/build.ninja ## every fuzz target for FUZZ_SECONDS (60) seconds
	@$(NINJA) -C $(FUZZ)
	@$(PYTHON) tools/run_fuzz --seconds $(FUZZ_SECONDS) $(FUZZ)

bench: packages-test build ## Postfix beside Postrider, long queues, DKIM beside OpenSSL: tables, then `RATIO <work> <value>` lines
	@$(NINJA) -C $(RELEASE) src/store/queue_fill src/dkim_bench src/dkim_worst
	@$(PYTHON) bench/run.py --binary $(RELEASE)/postrider
	@$(PYTHON) bench/dkim_compare.py --build $(RELEASE)
	@$(RELEASE)/src/dkim_worst

crash: packages-test build ## ROUNDS (200) rounds of load with SIGKILL at random moments
	@$(PYTHON) tests/crash/crash.py --binary $(RELEASE)/postrider --rounds $(ROUNDS)

conformance: built-for-test ## every suite under ../shared/suites (or POSTRIDER_SUITES) that the code can answer
	@tools/run_conformance $(TEST)

tsan: packages-test $(TSAN)/build.ninja ## the end-to-end tests under ThreadSanitizer
	@$(NINJA) -C $(TSAN)
	@$(PYTHON) tools/run_tests --e2e $(TSAN) $(TESTS)

# These two play with limits of descriptors and with fork, which valgrind does differently from the kernel.
NOT_UNDER_VALGRIND := net/listener|store/store

valgrind: packages-test $(CLANG)/build.ninja ## the unit tests under valgrind
	@tools/packages valgrind
	@$(NINJA) -C $(CLANG)
	@meson test -C $(CLANG) --no-rebuild --num-processes $(JOBS) --timeout-multiplier 20 \
		--wrap 'valgrind -q --fair-sched=yes --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite' \
		$$(meson test -C $(CLANG) --list 2>/dev/null | sed -n 's|^postrider:unit / ||p' | grep -vxE '$(NOT_UNDER_VALGRIND)')

install: $(RELEASE)/build.ninja ## install under DESTDIR/PREFIX (default /usr/local)
	@$(NINJA) -C $(RELEASE)
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' tools/install install $(RELEASE)/postrider

uninstall: ## remove what install put there; configuration and data stay
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' tools/install uninstall

clean: ## remove build/ and run/
	rm -rf build run
