# Tocsin. `make` or `make help` lists what there is.
SHELL      := /bin/bash
GO         ?= go
BIN        := bin
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS    := -s -w -X main.version=$(VERSION)
ASSET_SRC  := $(shell find web/assets/src web/build.mjs web/package.json -type f 2>/dev/null)
GOBIN      := $(shell $(GO) env GOPATH)/bin

.DEFAULT_GOAL := help
.PHONY: help run demo cluster build desktop release release-windows generate test unit e2e lint race fuzz bench screenshots tools clean

## help: list the targets
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST) | awk -F': ' '{printf "  %-15s %s\n", $$1, $$2}'

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

## desktop: the program with a window, bin/tocsin-desktop; on Debian as root it installs GTK and WebKitGTK to build with
desktop: web/assets/dist/app.js
	@bash internal/e2e/tools.sh webkit
	$(GO) build -tags desktop,production,webkit2_41 -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/tocsin-desktop ./desktop

## release: dist/ with the .deb packages, the tarballs and their checksums, for the Linux it runs on
release: build desktop
	bash packaging/linux/pack.sh

## release-windows: dist/ gets the zip for Windows, built from here and never run here
release-windows: web/assets/dist/app.js
	bash packaging/windows/cross.sh

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
test: export CI = true
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
	cd internal/e2e && $(GO) test -race -timeout 60m -count=1 ./...

## tools: what the tests need (Chromium, Alertmanager, btcd, anvil, GTK and WebKitGTK, Xvfb and more)
tools:
	bash internal/e2e/tools.sh

## lint: formatting, vet, generated files up to date
lint:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not gofmt-ed: $$out"; exit 1; fi
	$(GO) vet ./...
	cd internal/e2e && $(GO) vet ./...
	cd packaging/icons && $(GO) vet ./...
	@out=$$($(GO) list -deps -f '{{if .CgoPkgConfig}}{{.ImportPath}}{{end}}' ./...) || exit 1; if [ -n "$$out" ]; then echo "these want a C library without the tag desktop: $$out"; exit 1; fi
	@for os in windows darwin; do CGO_ENABLED=0 GOOS=$$os $(GO) vet ./desktop/native || exit 1; done
	@if [ -n "$$CI" ] || pkg-config --exists gtk+-3.0 webkit2gtk-4.1 2>/dev/null; then $(GO) vet -tags desktop,production,webkit2_41 ./desktop; \
		else echo "lint: the window was not vetted: without GTK and WebKitGTK it cannot be (make tools)"; fi
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
	rm -rf $(BIN) dist web/node_modules web/assets/dist/*
