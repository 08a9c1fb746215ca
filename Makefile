# Souk's one script for people and for continuous integration. `make` alone
# says what there is. Tools are pinned in go.mod (its tool lines).

SHELL := /bin/sh
GO ?= go
BIN := bin/souk

# A small Debian on which tests install; make setup makes it once.
SOUK_DEBIAN_BASE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/souk-test/debian-minbase.tar
export SOUK_DEBIAN_BASE

# The rooms that speak to the binary from outside run without the race detector;
# it would only watch the client. All others run with it.
OUTSIDE := ./conformance/... ./cmd/... ./docs/... ./bench/...
INSIDE = $(shell $(GO) list ./... | grep -v -e '^souk/conformance' -e '^souk/cmd/' -e '^souk/docs' -e '^souk/bench')

# Tests of the rooms outside that run at a time. They mostly wait, for other processes,
# disks and leases, so that there may be more of them than processors.
WAITING := $(shell echo $$((2 * $$(nproc 2>/dev/null || echo 2))))

# test: what is quick and often wrong comes first; then what needs the processor
# runs beside what mostly waits.
.PHONY: help setup build release lint test race outside demo bench soak clean

help: ## this list
	@echo "Souk: a software marketplace that speaks AWS Marketplace's own APIs."
	@echo
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16
	@echo
	@echo "To see it at work: go run ./cmd/souk demo"

setup: ## install what the tests need (as root on Debian; elsewhere it says what is missing)
	@./.ci/setup

# With the flags of go test, so that both share what was compiled.
build: ## the binary, bin/souk
	$(GO) build -o $(BIN) ./cmd/souk

release: ## the binary for others: static, without paths and symbols of this machine
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(BIN) ./cmd/souk

lint: ## gofmt, go vet, staticcheck, and govulncheck where its database can be reached
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "gofmt these:"; echo "$$files"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	@./.ci/vulnerabilities

test: setup ## everything: lint, race, conformance on both databases, crash runs, the demo
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory demo
	@$(MAKE) --no-print-directory -j2 --output-sync=target race outside

race: ## the tests of the rooms inside, with the race detector
	$(GO) test -race -vet=off -count=1 -timeout 30m $(INSIDE)

outside: build ## the tests that drive the binary: conformance, crashes, command line, documents
	SOUK_BINARY=$(CURDIR)/$(BIN) $(GO) test -vet=off -count=1 -timeout 30m -parallel $(WAITING) $(OUTSIDE)

demo: build ## a whole publication, step by step; fails if a step does not come out as it should
	@out=$$(mktemp) && if $(BIN) demo --exit $(if $(wildcard $(SOUK_DEBIAN_BASE)),--base $(SOUK_DEBIAN_BASE)) >$$out 2>&1; then tail -n 1 $$out; rm -f $$out; else cat $$out; rm -f $$out; exit 1; fi

bench: build ## measure throughput, latency and memory beside their floors; prints a table
	CGO_ENABLED=0 $(GO) run ./bench

soak: build ## the long runs: 1,000 kill -9 restarts, 300 amid builds and image builders, a death at each write of those, 1,000,000 malformed requests
	SOUK_BINARY=$(CURDIR)/$(BIN) SOUK_SOAK=1 $(GO) test -count=1 -timeout 12h -run 'TestCrashAtRandom|TestImageBuildsOutliveKills|TestImageBuildersOutliveKills|TestCrashAtEachWriteOfAnImageBuilder|TestMalformedRequests' ./conformance/...

clean: ## remove what was built
	rm -rf bin
