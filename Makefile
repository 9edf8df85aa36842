# charmarr-go. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export CGO_ENABLED ?= 0
# One set of flags for every command, so that they share what they build.
export GOFLAGS ?= -trimpath

# LAB=lab is the lab that this repository builds; LAB=microk8s is your own MicroK8s and Juju.
export LAB ?= lab
export LAB_DIR ?= $(CURDIR)/build/lab
CHARMS := gluetun-k8s charms/qbittorrent-k8s charms/multimeter-k8s
ARCHES := amd64,arm64
LABCTL := build/bin/lab
# Modules with code of ours beside the root's; tests/lab/node and tests/lab/coredns hold little more than their requirements.
NESTED := tests/lab tests/lab/juju
TAGS := integration datapath e2e bench leaks

.PHONY: help build test unit contract race fuzz integration datapath e2e leaks lab-test lab-build lab-up lab-down demo bench pack golden lint clean deps $(LABCTL)

help: ## This list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## Build the library and every charm
	go build ./...

# What runs things outside a test's own binary always runs: Go sees no change there, and would tell of an earlier run.
RUN := go test -count=1

test: ## Everything, fast first
	@began=$$(date +%s); for t in deps lint contract race "fuzz FUZZTIME=30000x ATLEAST=8" pack lab-build integration lab-test datapath e2e; do \
	  from=$$(date +%s); $(MAKE) --no-print-directory $$t; echo "== $$t: $$(($$(date +%s) - from)) s"; \
	done; echo "== test: $$(($$(date +%s) - began)) s"

unit: ## Unit and contract tests; needs only Go
	go test ./vpnk8slib/... ./charms/... ./gluetun-k8s/...
	@$(MAKE) --no-print-directory contract

contract: ## What holds of the whole repository
	$(RUN) ./tests/contract/...

# Each target of each package, one after the other: go test takes one at a time.
# A number of inputs ("100000x") ends where it should; a time may end with "context deadline exceeded" (golang/go#75804): so many, again
# and again for as many seconds, is a time as well. `make test` gives each eight: with fifteen it would not end within its hour.
FUZZTIME ?= 10m
ATLEAST ?= 0
fuzz: ## Feed the readers of foreign data with anything, FUZZTIME each (10m), again until ATLEAST seconds are over (0)
	@git grep -n '^func Fuzz' -- '*_test.go' | sed -E 's|^([^:]*)/[^/:]*:[0-9]*:func (Fuzz[A-Za-z]*).*|\1 \2|' | while read -r dir target; do \
	  echo "$$target"; until=$$(($$(date +%s) + $(ATLEAST))); \
	  while go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) ./$$dir || exit 1; [ $$(date +%s) -lt $$until ]; do :; done; done

race: deps ## Unit tests with the race detector
	GORACE=atexit_sleep_ms=0 CGO_ENABLED=1 go test -race ./vpnk8slib/... ./charms/... ./gluetun-k8s/...

integration: lab-build ## The library against a real kube-apiserver
	$(RUN) -tags integration ./tests/integration/...

datapath: lab-build ## Packets in network namespaces
	$(RUN) -p 1 -tags datapath ./tests/datapath/...

lab-test: lab-build ## The lab's own tests
	cd tests/lab && $(RUN) ./...
	cd tests/lab/juju && $(RUN) ./...

e2e: ARCHES := $(shell go env GOARCH)
e2e: pack lab-build ## Whole stories on the lab: real juju, real pods, real packets
	$(RUN) -tags e2e -timeout 90m -v ./tests/e2e/...

leaks: ARCHES := $(shell go env GOARCH)
leaks: pack lab-build ## Look for a packet outside the tunnel while things go wrong, into build/leaks.json
	$(RUN) -tags leaks -timeout 110m -v ./tests/e2e/leaks

demo: since := $(shell date +%s)
demo: ARCHES := $(shell go env GOARCH)
demo: pack lab-build ## The main job in one command, with the four flows shown
	go run ./tests/e2e/demo -since $(since)

bench: pack lab-build ## Budgets of one dispatch, and figures of the overlay, into build/bench.json
	$(RUN) -tags bench -timeout 20m -v ./tests/bench/...
	$(RUN) -tags datapath,bench -run Figures -timeout 20m -v ./tests/datapath/overlay

lab-build: deps $(LABCTL) ## Build the lab's programs and images, into a cache outside the tree
	$(LABCTL) build

lab-up: lab-build ## Bring the lab up (LAB_DIR is its state folder)
	$(LABCTL) up

lab-down: $(LABCTL) ## Take the lab down; nothing is left but its logs
	$(LABCTL) down

pack: ## Write build/<charm>_<arch>.charm for every charm, and read each with Juju's own parser
	go run ./charms/pack -out build -arch $(ARCHES) $(CHARMS)
	cd tests/lab/juju && go run ./cmd/readcharm $(CURDIR)/build/*.charm

golden: ## Rewrite the golden files of the unit tests
	go test $$(git grep -l 'flag.Bool("update"' -- '*_test.go' | xargs -n1 dirname | sort -u | sed 's|^|./|') -update

lint: ## gofmt, go vet with every tag, staticcheck
	@out=$$(gofmt -l .); [ -z "$$out" ] || { echo "gofmt would change:"; echo "$$out"; exit 1; }
	go vet -tags '$(TAGS)' ./...
	go build -o build/bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	build/bin/staticcheck -tags '$(TAGS)' ./...
	for m in $(NESTED); do (cd $$m && go vet ./... && $(CURDIR)/build/bin/staticcheck ./...); done

clean: ## Remove what was built here (not the caches)
	rm -rf build

deps: ## Install what the tests and the lab need (apt packages, by name)
	@tests/lab/deps.sh

$(LABCTL):
	@cd tests/lab && go build -o $(CURDIR)/$(LABCTL) ./cmd/lab
