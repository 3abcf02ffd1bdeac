# kadenza: `make help` lists what can be made.
#
# Variants are built by the same rules into folders of their own:
#   make              build/          -O2 -g, asserts on
#   make RELEASE=1    build/release   -O2 -g, asserts off
#   make SANITIZE=1   build/asan      with ASan and UBSan
#   make FUZZ=1       build/fuzz      with clang's libFuzzer, ASan and UBSan
#   make COVERAGE=1   build/coverage  counts the lines that run, for gcov
# For packagers: WERROR= keeps warnings from being errors, DEPS= installs
# nothing, STATIC=1 links libuv, libsodium, libmd, LMDB and Lua into the
# program, HTTP=no leaves out the HTTP server and libmicrohttpd (STATIC=1 does
# too, unless HTTP=yes), EDIT=no leaves out the line editor of `kadenza repl` and
# libedit (STATIC=1 does too, unless EDIT=yes),
# ZSH_FUNCTIONS=share/zsh/vendor-completions is where zsh looks. DYGRAPHS is the
# file dygraph.min.js, which draws the charts of the dashboard.
# With another Lua 5.4 or 5.5: LUA_CFLAGS=-I/opt/lua/include
# LUA_LIBS='/opt/lua/lib/liblua.a -lm -ldl' LUA_VERSION=5.5 (of the folders in
# which modules are installed). LUA runs the scripts of the build itself.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

variant := $(if $(FUZZ),/fuzz,$(if $(COVERAGE),/coverage,$(if \
  $(SANITIZE),/asan,$(if $(RELEASE),/release))))
BUILD ?= build$(variant)
PREFIX ?= /usr/local
DEPS ?= yes
WERROR ?= -Werror
HTTP ?= $(if $(STATIC),no,yes)
EDIT ?= $(if $(STATIC),no,yes)
FUZZ_SECONDS ?= 60
ATTACK_SECONDS ?= 120
ATTACK_SEED ?= $(call once,ATTACK_SEED,$(shell od -An -N4 -tu4 /dev/urandom | \
  tr -d ' '))
TESTS ?=
QUICK ?=

# -------------------------------------------------------------- tools --

ifneq ($(FUZZ),)
CC := clang
else ifeq ($(origin CC),default)
CC := cc
endif
PKG_CONFIG ?= pkg-config
BUSTED ?= busted
CLANG_FORMAT ?= clang-format
DYGRAPHS ?= /usr/share/javascript/dygraphs/dygraph.min.js
CLANG_TIDY ?= clang-tidy
PYTHON ?= /usr/bin/python3
find_lua := $(foreach name,lua5.4 lua-5.4 lua54,$(shell command -v $(name)))
LUA ?= $(or $(firstword $(find_lua)),lua5.4)
JOBS ?= $(or $(shell getconf _NPROCESSORS_ONLN 2>/dev/null),2)

# Evaluated once, at first use: `deps` may have installed packages before.
once = $(eval $(1) := $(2))$($(1))
lua_package = $(call once,lua_package,$(or $(firstword $(foreach name,\
  lua5.4 lua-5.4 lua54,$(shell $(PKG_CONFIG) --exists $(name) && \
  echo $(name)))),lua))
package_flags = $(call once,package_flags,$(shell \
  $(PKG_CONFIG) --cflags libuv libsodium libmd lmdb) $(LUA_CFLAGS))
core_libs = $(call once,core_libs,$(shell \
  $(PKG_CONFIG) --libs libuv libsodium libmd lmdb) -lm)
http_cflags = $(call once,http_cflags,$(shell \
  $(PKG_CONFIG) --cflags libmicrohttpd))
http_libs = $(call once,http_libs,$(shell $(PKG_CONFIG) --libs libmicrohttpd))
edit_cflags = $(call once,edit_cflags,$(shell $(PKG_CONFIG) --cflags libedit))
edit_libs = $(call once,edit_libs,$(shell $(PKG_CONFIG) --libs libedit))
lua_cflags = $(call once,lua_cflags,$(shell \
  $(PKG_CONFIG) --cflags $(lua_package)))
lua_libs = $(call once,lua_libs,$(shell $(PKG_CONFIG) --libs $(lua_package)))
LUA_CFLAGS ?= $(lua_cflags)
LUA_LIBS ?= $(lua_libs)
LUA_VERSION ?= 5.4
ZSH_FUNCTIONS ?= share/zsh/site-functions
cmocka_libs = $(call once,cmocka_libs,$(shell $(PKG_CONFIG) --libs cmocka))
version = $(call once,version,$(shell \
  sed -n 's/^.define KAD_VERSION "\(.*\)"/\1/p' core/kadenza.h))

# -------------------------------------------------------------- flags --

warnings := -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
  -Wstrict-prototypes -Wmissing-prototypes $(WERROR)
sanitizers := -fsanitize=address,undefined -fno-sanitize-recover=all \
  -fno-omit-frame-pointer
variant_flags := $(if $(FUZZ),$(sanitizers) -fsanitize=fuzzer-no-link,$(if \
  $(COVERAGE),--coverage -O0,$(if \
  $(SANITIZE),$(sanitizers),$(if $(RELEASE),-DNDEBUG))))

CFLAGS ?= -O2 -g
language_flags = -std=c11 $(warnings) -Icore -Ibindings $(package_flags) \
  $(CPPFLAGS)
compile_flags = $(language_flags) -fPIC -fno-semantic-interposition \
  $(CFLAGS) $(variant_flags)
compile = $(CC) $(compile_flags) $(extra_flags) -MMD -MP -c -o $@ $<
link = $(CC) $(CFLAGS) $(variant_flags) $(LDFLAGS)

ifeq ($(shell uname -s),Darwin)
soname := libkadenza.0.dylib
shared_name := libkadenza.dylib
shared_flags = -dynamiclib -install_name $(PREFIX)/lib/$(soname)
module_flags := -bundle -undefined dynamic_lookup
stay_loaded :=
language_flags += -D__APPLE_USE_RFC_3542 # control messages of IPv6
export_flags :=
else
soname := libkadenza.so.0
shared_name := libkadenza.so
shared_flags = -shared -Wl,-soname,$(soname) -Wl,-Bsymbolic-functions \
  $(if $(SANITIZE)$(FUZZ),,-Wl,--no-undefined)
module_flags := -shared -Wl,-Bsymbolic-functions -Wl,--exclude-libs,ALL
stay_loaded := -Wl,-z,nodelete
export_flags := -Wl,-E
endif

# All of Lua, so that C modules that scripts load find its whole API.
static_uv = $(firstword $(wildcard $(foreach name,libuv_a.a libuv.a,$(shell \
  $(PKG_CONFIG) --variable=libdir libuv)/$(name))))
static_libs = $(static_uv) -Wl,-Bstatic -lsodium -lmd -llmdb -Wl,--whole-archive \
  $(LUA_LIBS) -Wl,--no-whole-archive -Wl,-Bdynamic -lpthread -ldl -lm
program_libs = $(if $(STATIC),$(static_libs),$(core_libs) $(LUA_LIBS)) \
  $(if $(with_http),$(http_libs)) $(if $(with_edit),$(edit_libs))

# ------------------------------------------------------------ sources --

public_headers := $(wildcard core/*.h)
core_sources := $(wildcard core/*.c core/*/*.c core/*/*/*.c)
binding_sources := $(wildcard bindings/lua/*.c bindings/policy/*.c)
host_sources := $(wildcard bindings/host/*.c)
with_http := $(filter-out no,$(HTTP))
page_sources := $(wildcard scripts/kadenza/web/page/*)
http_sources := $(if $(with_http),$(wildcard bindings/http/*.c))
with_edit := $(filter-out no,$(EDIT))
edit_sources := $(if $(with_edit),$(wildcard bindings/edit/*.c))
library_scripts := $(filter-out %_spec.lua,$(wildcard scripts/kadenza/*.lua \
  scripts/kadenza/*/*.lua scripts/kadenza/*/*/*.lua))
policies := $(filter-out %_spec.lua,$(wildcard scripts/policies/*.lua))
scenarios := $(wildcard scripts/scenarios/*.lua)
unit_sources := $(wildcard tests/unit/*/*_test.c tests/unit/*/*/*_test.c)
rule_sources := $(wildcard tests/sim/*_test.c)
unit_shared := $(filter-out %_test.c,$(wildcard tests/unit/fixtures/*.c \
  tests/sim/*.c))
fuzz_sources := $(wildcard tests/fuzz/*_fuzz.c)
attack_sources := $(wildcard tests/attack/*_attack.c)
attack_shared := $(filter-out %_attack.c %_test.c,$(wildcard tests/attack/*.c))
attack_scripts := $(wildcard tests/attack/*.lua)
bench_sources := $(wildcard bench/*.c)
bench_mains := $(if $(bench_sources),$(shell grep -l '^int main[^a-z]' \
  $(bench_sources)))
example_sources := $(wildcard scripts/examples/*/*.c)
spec_files := $(wildcard tests/spec/*_spec.lua tests/spec/*/*_spec.lua \
  tests/spec/*/*/*_spec.lua \
  scripts/*/*_spec.lua scripts/*/*/*_spec.lua)
documents := $(wildcard README.md CONTRIBUTING.md docs/*.md)
c_files := $(wildcard $(addsuffix /*.[ch],core core/* core/*/* bindings/* \
  tests/unit/* tests/unit/*/* \
  tests/sim tests/fuzz tests/attack tests/interop tests/lua bench \
  scripts/examples/*))

object = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
core_objects := $(call object,$(core_sources))
binding_objects := $(call object,$(binding_sources))
http_objects := $(call object,$(http_sources))
edit_objects := $(call object,$(edit_sources))
host_objects := $(call object,$(host_sources)) $(http_objects) $(edit_objects) \
  $(BUILD)/gen/scripts.o
# With sanitizers, large overlays and slow command lines only take long: others
# run the same code.
large_overlays := $(if $(SANITIZE),$(if $(TESTS),,$(addsuffix .c,\
  $(filter tests/sim/% tests/unit/sim/%,$(file < tests/slow)))))
slow_specs := $(if $(SANITIZE),$(if $(TESTS),,\
  $(filter tests/spec/sim/% tests/spec/cli/%,$(file < tests/slow))))
# Without HTTP, specs and documents that use it are left out.
http_specs := $(if $(with_http),,tests/spec/cli/config_spec.lua \
  tests/spec/cli/http_spec.lua tests/spec/web/api_spec.lua \
  tests/spec/web/server_spec.lua)
http_documents := $(if $(with_http),,$(filter docs/http%.md \
  docs/metrics.md,$(documents)))
unit_tests := $(patsubst %.c,$(BUILD)/%,\
  $(filter-out $(large_overlays),$(unit_sources)))
rule_tests := $(patsubst %.c,$(BUILD)/%,\
  $(filter-out $(large_overlays),$(rule_sources)))
replays := $(patsubst %_fuzz.c,$(BUILD)/%_replay,$(fuzz_sources))
fuzzers := $(patsubst tests/fuzz/%.c,$(BUILD)/%,$(fuzz_sources))
attack_programs := $(patsubst %.c,$(BUILD)/%,$(attack_sources))
attackers := $(attack_programs) $(attack_scripts)
benches := $(patsubst %.c,$(BUILD)/%,$(bench_mains))
examples := $(patsubst scripts/%.c,$(BUILD)/%,$(example_sources))

library := $(BUILD)/libkadenza.a
shared := $(BUILD)/$(shared_name)
module := $(BUILD)/lua/kadenza/core.so
collector := $(BUILD)/lua/tests/collector.so
# The tests load the HTTP server into an interpreter. It is not installed.
http_module := $(if $(with_http),$(BUILD)/lua/kadenza/httpd.so)
program := $(BUILD)/kadenza
page := $(if $(with_http),$(BUILD)/gen/page.html)
# Without the products that have no sources.
products := $(if $(core_sources),$(library) $(shared)) \
  $(if $(binding_sources),$(module)) $(if $(host_sources),$(program))

# ------------------------------------------------------------ targets --

.PHONY: all
all: $(products) ## build the libraries, the Lua module and the program

.PHONY: run
run: $(program) ## start a node with its state in var/node (ARGS=...)
	@mkdir -p var/node
	@exec $(program) run --allow-local --state var/node \
	  $(addprefix --policy ,$(policies)) $(ARGS)

.PHONY: demo
demo: $(products) ## run 32 nodes on loopback and print what they do
	@$(test_env) sh scripts/examples/demo/run

.PHONY: test
test: $(products) $(unit_tests) $(rule_tests) $(replays) $(examples) \
  $(collector) $(http_module) $(attack_programs) | deps-test
test: ## build and run every test (TESTS=part of a path)
	@.ci/deps tool '$(BUSTED)'
	@rm -rf $(BUILD)/results
	@$(suite) unit 'env CMOCKA_MESSAGE_OUTPUT=TAP' $(unit_tests)
	@$(if $(rule_tests),$(suite) rules 'env CMOCKA_MESSAGE_OUTPUT=TAP' \
	  $(rule_tests))
	@$(suite) corpus '' $(replays)
	@ATTACK_SECONDS=1 $(suite) attack tests/check/attack $(attack_programs)
	@$(suite) headers tests/check/public_header $(public_headers)
	@$(suite) spec '$(busted)' $(filter-out $(slow_specs) $(http_specs),\
	  $(spec_files))
	@$(if $(examples),$(suite) programs tests/check/program $(examples))
	@$(if $(SANITIZE),,$(suite) examples '$(LUA) tests/check/examples.lua' \
	  $(filter-out $(http_documents),$(documents)))
	@$(if $(SANITIZE),,$(suite) reference '$(LUA) \
	  tests/check/reference_examples.lua' docs/reference/lua.md)
	@$(totals)

.PHONY: test-quick
test-quick: ## run the tests without those that tests/slow lists
	@$(MAKE) --no-print-directory QUICK=yes test

.PHONY: check check-tree check-symbols
check: check-tree check-symbols ## check rooms, lengths, documents, symbols
check-tree: $(module)
	@$(test_env) $(LUA) tests/check/run.lua
check-symbols: $(library) $(shared) $(module)
	@BUILD=$(BUILD) $(LUA) tests/check/run.lua symbols

.PHONY: lint
lint: lint-format lint-tidy lint-cppcheck lint-lua ## run the linters

.PHONY: format
format: | deps-lint ## format C sources, update the lists of the rockspec
	@.ci/deps tool '$(CLANG_FORMAT)'
	@$(CLANG_FORMAT) -i $(c_files)
	@LUA_PATH='./?.lua;;' $(LUA) tests/check/rockspec.lua --write

.PHONY: fuzz
fuzz: | deps-fuzz ## fuzz each target for FUZZ_SECONDS (60)
	@$(MAKE) --no-print-directory FUZZ=1 fuzz-run

.PHONY: fuzz-coverage
fuzz-coverage: | deps-test ## show which lines of the parsers fuzz inputs reach
	@$(MAKE) --no-print-directory COVERAGE=1 fuzz-coverage-run

.PHONY: attack
attack: | deps-test ## attack the library for ATTACK_SECONDS (120; ATTACK_SEED=)
	@$(MAKE) --no-print-directory SANITIZE=1 ATTACK_SEED=$(ATTACK_SEED) attack-run

.PHONY: interop
interop: $(products) | deps-interop ## test a node with BitTorrent clients
	@$(test_env) tests/interop/run $(ARGS)

.PHONY: test-web
test-web: $(products) | deps-web ## test the console and HTTP with other programs
	@$(test_env) tests/web/run $(ARGS)

.PHONY: bench
bench: | deps-bench ## compare a node with an echo server
	@$(MAKE) --no-print-directory RELEASE=1 bench-run

.PHONY: bench-sim
bench-sim: | deps-build ## measure overlays in virtual time
	@$(MAKE) --no-print-directory RELEASE=1 bench-sim-run

.PHONY: docs
docs: $(module) ## write the reference, and options into the documents
	@$(test_env) $(LUA) docs/generate.lua

.PHONY: install
install: $(products) ## install below PREFIX (/usr/local), after DESTDIR
	@$(call installer,install)
	@$(register_library)
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(version)|' \
	  -e "s|@RPATH@|$$($(rpath))|" core/kadenza.pc.in >$(BUILD)/kadenza.pc
	@install -d '$(DESTDIR)$(PREFIX)/lib/pkgconfig'
	@install -m 644 $(BUILD)/kadenza.pc '$(DESTDIR)$(PREFIX)/lib/pkgconfig'

.PHONY: uninstall
uninstall: ## remove the installed files
	@$(call installer,uninstall)
	@rm -f '$(DESTDIR)$(PREFIX)/lib/pkgconfig/kadenza.pc'
	@$(register_library)

.PHONY: luarocks
luarocks: | deps-luarocks ## install the rock (ARGS=--local, --tree DIR)
	@.ci/deps tool luarocks
	@luarocks --lua-version=5.4 make $(ARGS) $(rock).rockspec; \
	  status=$$?; $(remove_rock_objects); exit $$status

.PHONY: rock
rock: | deps-luarocks ## pack the rock's source into build/rock
	@rm -rf build/rock
	@mkdir -p build/rock/$(rock)
	@tar -cf - --exclude=./build --exclude=./var --exclude=./.git . | \
	  tar -xf - -C build/rock/$(rock)
	@tar -czf build/rock/$(rock).tar.gz -C build/rock $(rock)
	@rm -rf build/rock/$(rock)
	@sed 's|url = "|&file://$(CURDIR)/build/rock/|' $(rock).rockspec \
	  >build/rock/$(rock).rockspec
	@cd build/rock && luarocks --lua-version=5.4 pack $(rock).rockspec

.PHONY: deb
deb: | deps-deb ## build a Debian package in build/deb (DEB_VERSION=)
	@packaging/build-deb '$(or $(DEB_VERSION),$(version))'

.PHONY: test-deb
test-deb: deb ## install, upgrade and purge the package in a new Debian
	@tests/packaging/run

.PHONY: deps
deps: deps-build deps-test ## install missing dependencies

.PHONY: clean
clean: ## remove build/; keep var/, the state of nodes
	@rm -rf build
	@$(remove_rock_objects)

.PHONY: help
help: ## list the targets
	@echo "kadenza $(version)  make [target]... [VARIABLE=value]..."
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1 \2/p' Makefile | \
	  while read -r name text; do printf '  %-10s %s\n' "$$name" "$$text"; done
	@sed -n '/^# Variants/,/^# which modules/s/^# //p' Makefile

# --------------------------------------------------------------- deps --

deps_groups := build test lint fuzz interop web bench luarocks \
  deb
.PHONY: $(addprefix deps-,$(deps_groups))
$(addprefix deps-,$(deps_groups)): deps-%:
	@$(if $(DEPS),CC='$(CC)' HTTP='$(HTTP)' EDIT='$(EDIT)' DYGRAPHS='$(DYGRAPHS)' LUA='$(LUA)' PKG_CONFIG='$(PKG_CONFIG)' \
	  .ci/deps $*)

# One after the other: only one package manager can hold the lock.
deps-test deps-lint deps-fuzz deps-interop deps-web deps-bench deps-luarocks \
  deps-deb: | deps-build
deps-lint: | deps-test

# -------------------------------------------------------------- build --

# Writes a text to the target if it differs, which rebuilds what depends on it.
define write_if_changed
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(1))' | cmp -s - $@ || \
	  printf '%s\n' '$(subst ','\'',$(1))' >$@
endef

.PHONY: always
$(BUILD)/flags: always | deps-build
	$(call write_if_changed,$(CC) $(compile_flags) $(LDFLAGS) $(program_libs) \
	  $(if $(with_http),$(http_cflags)))
$(BUILD)/sources: always
	$(call write_if_changed,$(core_sources) $(binding_sources) $(host_sources) \
	  $(http_sources) $(edit_sources) $(unit_shared) $(attack_shared) $(bench_sources) $(library_scripts) $(policies) \
	  $(scenarios))

# libkadenza exports only what is marked KAD_API. The Lua module contains the
# library and exports only its luaopen function.
$(core_objects) $(binding_objects): extra_flags = -fvisibility=hidden
$(http_objects): extra_flags = -fvisibility=hidden $(http_cflags)
$(edit_objects): extra_flags = -fvisibility=hidden $(edit_cflags)
$(call object,$(wildcard bindings/host/*.c)): extra_flags = \
  $(if $(with_http),-DKAD_HTTP) $(if $(with_edit),-DKAD_EDIT)
$(BUILD)/obj/tests/%: extra_flags = -UNDEBUG -Itests/unit/fixtures
$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  cc $<"
	@$(compile)

$(library): $(core_objects) $(BUILD)/sources
	@echo "  ar $@"
	@rm -f $@
	@$(AR) rcs $@ $(core_objects)

$(shared): $(core_objects) $(BUILD)/sources
	@echo "  ld $@"
	@$(link) $(shared_flags) -o $(BUILD)/$(soname) $(core_objects) $(core_libs)
	@ln -sf $(soname) $@

$(module): $(library) $(binding_objects) $(BUILD)/sources
	@mkdir -p $(@D)
	@echo "  ld $@"
	@$(link) $(module_flags) -o $@ $(binding_objects) $(library) $(core_libs)

$(program): $(core_objects) $(binding_objects) $(host_objects) $(BUILD)/sources
	@echo "  ld $@"
	@$(link) $(export_flags) -o $@ $(core_objects) $(binding_objects) \
	  $(host_objects) $(program_libs)

$(BUILD)/gen/scripts.c: bindings/host/embed.lua $(page) $(library_scripts) \
  $(policies) $(scenarios) $(BUILD)/sources | deps-build
	@mkdir -p $(@D)
	@echo "  embed $@"
	@$(LUA) bindings/host/embed.lua $@ argparse dkjson \
	  $(addprefix web/page.html=,$(page)) $(library_scripts) \
	  $(policies) $(scenarios)

# The page of the HTTP server, with the library that draws its charts.
$(BUILD)/gen/page.html: bindings/host/page.lua $(page_sources) $(DYGRAPHS) | \
  deps-build
	@mkdir -p $(@D)
	@echo "  page $@"
	@$(LUA) bindings/host/page.lua $@ '$(DYGRAPHS)'

$(BUILD)/gen/scripts.o: $(BUILD)/gen/scripts.c $(BUILD)/flags
	@$(compile) -Ibindings/host

$(BUILD)/examples/%: scripts/examples/%.c $(library) $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  ld $@"
	@$(CC) $(compile_flags) $(LDFLAGS) -MMD -MP -o $@ $< $(library) $(core_libs)

# -------------------------------------------------------------- tests --

test_env = KADENZA_STORE=memory BUILD='$(BUILD)' LUA='$(LUA)' CC='$(CC)' \
  KADENZA='$(CURDIR)/$(program)' \
  LUA_PATH='$(CURDIR)/scripts/?.lua;$(CURDIR)/scripts/?/init.lua;;' \
  LUA_CPATH='$(CURDIR)/$(BUILD)/lua/?.so;;' $(sanitizer_env)
# One more file than processors: many of them wait for processes and clocks.
test_jobs = $(shell echo $$(($(JOBS) + 1)))
suite = $(test_env) JOBS='$(test_jobs)' TESTS='$(TESTS)' QUICK='$(QUICK)' \
  tests/suites $(BUILD)/results run
totals = TESTS='$(TESTS)' QUICK='$(QUICK)' tests/suites $(BUILD)/results total
# An interpreter without ASan needs it preloaded.
preload = LD_PRELOAD=$(shell $(CC) -print-file-name=libasan.so) \
  LSAN_OPTIONS=print_suppressions=0:suppressions=$(CURDIR)/tests/check/leaks
busted = $(if $(SANITIZE),env $(preload)) $(BUSTED) --lua=$(LUA) \
  --cpath=$(BUILD)/lua/?.so -o TAP
sanitizer_env = $(if $(SANITIZE),UBSAN_OPTIONS=print_stacktrace=1)

$(call object,$(unit_sources) $(rule_sources) $(unit_shared)): | deps-test
$(BUILD)/tests/%_test: $(BUILD)/obj/tests/%_test.o \
  $(call object,$(unit_shared)) $(library) $(BUILD)/sources
	@mkdir -p $(@D)
	@echo "  ld $@"
	@$(link) -o $@ $(filter %.o,$^) $(library) $(core_libs) $(target_libs) \
	  $(cmocka_libs)
$(BUILD)/tests/unit/attack/case_test: $(call object,\
  $(addprefix tests/attack/,attack.c case.c dice.c))

$(BUILD)/tests/fuzz/%_replay: $(BUILD)/obj/tests/fuzz/%_fuzz.o \
  $(BUILD)/obj/tests/fuzz/replay.o $(library)
	@mkdir -p $(@D)
	@echo "  ld $@"
	@$(link) -o $@ $^ $(library) $(core_libs) $(target_libs)

$(BUILD)/%_fuzz: $(BUILD)/obj/tests/fuzz/%_fuzz.o $(library)
	@mkdir -p $(@D)
	@echo "  ld $@"
	@$(link) -fsanitize=fuzzer -o $@ $^ $(library) $(core_libs) $(target_libs)

# A module of the Lua tests. States that it watches use it until they close.
$(collector): $(BUILD)/obj/tests/lua/collector.o
	@mkdir -p $(@D)
	@echo "  ld $@"
	@$(link) $(module_flags) $(stay_loaded) -o $@ $^

$(http_module): $(http_objects)
	@mkdir -p $(@D)
	@echo "  ld $@"
	@$(link) $(module_flags) -o $@ $^ $(http_libs) $(core_libs)

# Targets whose subject is in Lua.
$(BUILD)/tests/fuzz/saved_replay $(BUILD)/saved_fuzz: target_libs = $(lua_libs)
$(BUILD)/tests/fuzz/saved_replay $(BUILD)/saved_fuzz: $(binding_objects)

lua_tests := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/lua/*_test.c))
$(lua_tests): target_libs = $(lua_libs)
$(lua_tests): $(binding_objects)

# The matcher of patterns is a part of the bindings, but knows nothing of Lua.
$(BUILD)/tests/fuzz/matcher_replay $(BUILD)/matcher_fuzz: \
  $(BUILD)/obj/bindings/policy/matcher.o

.PHONY: fuzz-run
fuzz-run: $(fuzzers)
	@rm -rf $(BUILD)/results
	@FUZZ_SECONDS=$(FUZZ_SECONDS) TEST_SECONDS=$$(($(FUZZ_SECONDS) + 120)) \
	  $(suite) fuzz tests/check/fuzz $(fuzzers)
	@$(totals)

.PHONY: fuzz-coverage-run
fuzz-coverage-run: $(replays)
	@$(test_env) $(LUA) tests/fuzz/coverage.lua $(BUILD)

# Attackers share the time: JOBS of them run at once.
attack_chosen = $(foreach it,$(attackers),$(if $(TESTS),$(findstring $(TESTS),$(it)),yes))
attack_seconds = $$(($(ATTACK_SECONDS) * $(JOBS) / ($(words $(attack_chosen)) + $(JOBS) - 1) + 1))
$(call object,$(attack_sources) $(attack_shared)): extra_flags += -Itests/attack
$(BUILD)/tests/attack/%_attack: $(BUILD)/obj/tests/attack/%_attack.o \
  $(call object,$(attack_shared) $(unit_shared)) $(library) $(BUILD)/sources
	@mkdir -p $(@D)
	@echo "  ld $@"
	@$(link) -o $@ $(filter %.o,$^) $(library) $(core_libs) $(cmocka_libs)

$(BUILD)/gen/calls.c: tests/attack/generate/calls.lua $(public_headers)
	@mkdir -p $(@D)
	@LUA_PATH='./?.lua;;' $(LUA) $< $@ $(public_headers)
$(BUILD)/gen/calls.o: $(BUILD)/gen/calls.c $(BUILD)/flags
	@$(compile) -Itests/attack -Itests/unit/fixtures
$(BUILD)/tests/attack/calls_attack: $(BUILD)/gen/calls.o

.PHONY: attack-run
attack-run: $(module) $(program) $(collector) $(attack_programs)
	@rm -rf $(BUILD)/results
	@echo "attack: ATTACK_SEED=$(ATTACK_SEED)"
	@ATTACK_SEED=$(ATTACK_SEED) ATTACK_SECONDS=$(attack_seconds) \
	  ATTACK_FIXED=$(ATTACK_FIXED) ATTACK_LUA='env $(preload) $(LUA)' \
	  TEST_SECONDS=$$(($(attack_seconds) + 600)) \
	  $(suite) attack tests/check/attack $(attackers)
	@$(totals)

.PHONY: bench-run
bench-run: $(products) $(benches)
	@$(test_env) bench/run $(ARGS)

.PHONY: bench-sim-run
bench-sim-run: $(products) $(BUILD)/bench/sim_size
	@$(test_env) $(LUA) bench/sim/run.lua $(ARGS)

$(BUILD)/bench/%: $(BUILD)/obj/bench/%.o $(call object,$(filter-out \
  $(bench_mains),$(bench_sources))) $(library) $(BUILD)/sources
	@mkdir -p $(@D)
	@echo "  ld $@"
	@$(link) -o $@ $(filter %.o,$^) $(library) $(core_libs)

# --------------------------------------------------------------- lint --

.PHONY: lint-format lint-tidy lint-cppcheck lint-lua
lint-format: | deps-lint
	@.ci/deps tool '$(CLANG_FORMAT)'
	@$(CLANG_FORMAT) --dry-run -Werror $(c_files)

tidied := $(patsubst %,$(BUILD)/tidy/%.ok,$(filter %.c,$(c_files)))
lint-tidy: $(tidied)
$(tidied): $(BUILD)/tidy/%.ok: % $(filter %.h,$(c_files)) .clang-tidy \
  tests/.clang-tidy | deps-lint
	@mkdir -p $(@D)
	@.ci/deps tool '$(CLANG_TIDY)'
	@echo "  tidy $<"
	@$(CLANG_TIDY) --quiet $< -- $(language_flags) -Ibindings/host \
	  -Itests/unit/fixtures \
	  2>$(@:ok=err) || { cat $(@:ok=err); exit 1; }
	@touch $@

lint-cppcheck: | deps-lint
	@.ci/deps tool cppcheck
	@cppcheck --quiet --std=c11 --error-exitcode=1 --inline-suppr -j $(JOBS) \
	  --enable=warning,performance,portability \
	  --suppress=missingIncludeSystem -Icore -Ibindings \
	  $(wildcard core bindings)

lint-lua: | deps-lint
	@.ci/deps tool luacheck
	@luacheck --quiet .

# ------------------------------------------------------------ install --

rock := kadenza-scm-1

# luarocks writes objects beside the sources.
remove_rock_objects := find core bindings -name '*.o' -delete; rm -rf kadenza

lua_modules := $(patsubst scripts/%,%,$(library_scripts))
manual := $(wildcard docs/kadenza.1)

# Lets the loader of programs know the library, or forget it: /usr/local/lib is
# searched only through the cache that ldconfig writes. A packager's DESTDIR is
# not the system's.
ldconfig = PATH=$$PATH:/usr/sbin:/sbin ldconfig
register_library = if [ -z '$(DESTDIR)' ] && [ "$$(id -u)" = 0 ]; then \
  $(ldconfig) 2>/dev/null || true; fi

# Prints what makes programs find a library that the loader does not know, as in
# a folder of the user's own.
rpath = if [ -z '$(DESTDIR)' ] && ! $(ldconfig) -p 2>/dev/null | \
  grep -qF ' $(PREFIX)/lib/$(soname)'; then echo ' -Wl,-rpath,$(PREFIX)/lib'; fi

# Installs files, or removes them: $(1) is `install` or `uninstall`.
define installer
	set -e; \
	put() { \
	  target='$(DESTDIR)$(PREFIX)'/$$3; \
	  if [ $(1) = uninstall ]; then rm -f "$$target"; return; fi; \
	  install -d "$${target%/*}"; \
	  install -m $$1 "$$2" "$$target"; \
	}; \
	for file in $(notdir $(public_headers)); do \
	  put 644 core/$$file include/$$file; \
	done; \
	put 644 $(library) lib/libkadenza.a; \
	put 755 $(BUILD)/$(soname) lib/$(soname); \
	put 755 $(program) bin/kadenza; \
	put 755 $(module) lib/lua/$(LUA_VERSION)/kadenza/core.so; \
	for file in $(lua_modules); do \
	  put 644 scripts/$$file share/lua/$(LUA_VERSION)/$$file; \
	done; \
	for file in $(notdir $(policies)); do \
	  put 644 scripts/policies/$$file share/kadenza/policies/$$file; \
	done; \
	for file in $(notdir $(scenarios)); do \
	  put 644 scripts/scenarios/$$file share/kadenza/scenarios/$$file; \
	done; \
	for file in $(manual); do \
	  put 644 $$file share/man/man1/kadenza.1; \
	done; \
	put 644 docs/completion/kadenza.bash \
	  share/bash-completion/completions/kadenza; \
	put 644 docs/completion/_kadenza $(ZSH_FUNCTIONS)/_kadenza; \
	put 644 docs/completion/kadenza.fish \
	  share/fish/vendor_completions.d/kadenza.fish; \
	link='$(DESTDIR)$(PREFIX)'/lib/$(shared_name); \
	if [ $(1) = uninstall ]; then rm -f "$$link"; \
	else ln -sf $(soname) "$$link"; fi
endef

-include $(shell find $(BUILD) -name '*.d' -type f 2>/dev/null)
