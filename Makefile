# Tocsin. `make` or `make help` lists what there is.
SHELL      := /bin/bash
GO         ?= go
BIN        := bin
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS    := -s -w -X main.version=$(VERSION)
ASSET_SRC  := $(shell find web/assets/src web/build.mjs web/package.json -type f 2>/dev/null)
GOBIN      := $(shell $(GO) env GOPATH)/bin

.DEFAULT_GOAL := help
.PHONY: help run demo cluster build desktop generate test unit e2e lint race fuzz bench screenshots tools clean

## help: list the targets
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST) | awk -F': ' '{printf "  %-12s %s\n", $$1, $$2}'

## run: build, start the room on http://127.0.0.1:8080, print the sign-in link
run: build
	$(BIN)/tocsin serve

## demo: the room on a throw-away directory with a drill running
demo: build
	$(BIN)/tocsin demo

## cluster: three replicas on three etcds, on loopback, thrown away at Ctrl-C (DIR=... keeps them)
cluster: build
	CLUSTER_NO_BUILD=1 bash internal/e2e/cluster.sh $(DIR)

## build: the one binary, bin/tocsin
build: web/assets/dist/app.js
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/tocsin ./cmd/tocsin

## desktop: the program with a window, bin/tocsin-desktop; on Linux it needs libgtk-3-dev libwebkit2gtk-4.1-dev
desktop: web/assets/dist/app.js
	$(GO) build -tags desktop,production,webkit2_41 -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/tocsin-desktop ./desktop

web/node_modules/.stamp: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

web/assets/dist/app.js: web/node_modules/.stamp $(ASSET_SRC)
	cd web && npm run --silent build
	@touch $@

## generate: templ components (committed)
generate:
	$(GO) tool templ generate -path views

## test: everything, browser and real nodes included; installs what it needs
test: tools build lint race e2e
	@echo "all tests passed"

## unit: the fast tests
unit: web/assets/dist/app.js
	$(GO) test ./...

## race: the tests of the product under the race detector
race: web/assets/dist/app.js
	$(GO) test -race -timeout 15m ./...

## e2e: the real binary with real nodes, Alertmanager and Chromium
e2e: tools build
	cd internal/e2e && $(GO) test -race -timeout 20m -count=1 ./...

## tools: what the browser and node tests need (Chromium, Alertmanager, btcd, anvil)
tools:
	bash internal/e2e/tools.sh

## lint: formatting, vet, generated files up to date
lint:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not gofmt-ed: $$out"; exit 1; fi
	$(GO) vet ./...
	cd internal/e2e && $(GO) vet ./...
	@$(MAKE) --no-print-directory generate >/dev/null
	@git diff --exit-code --stat -- views || { echo "views: generated files are not up to date: run make generate and commit"; exit 1; }

## fuzz: every fuzz target for a short while (FUZZTIME=30s)
fuzz:
	bash internal/e2e/fuzz.sh $(or $(FUZZTIME),20s)

## bench: our figures beside a peer's or the physical limit, as ratios of one run
bench: tools build
	bash internal/e2e/bench.sh

## screenshots: the pictures of the README, made from the demo
screenshots: tools build
	cd internal/e2e && TOCSIN_SCREENSHOTS=$(CURDIR)/docs/screenshots $(GO) test -run TestScreenshots -count=1 -v .

clean:
	rm -rf $(BIN) web/node_modules web/assets/dist/*
