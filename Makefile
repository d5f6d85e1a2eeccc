# The developer's commands; `make help` lists them. They need Go, a C compiler (for the race detector) and a module proxy.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Peers and linters are built from source at these versions, into .tools/bin, and never linked into the product.
MINIO_VERSION         := v0.0.0-20260212201848-7aac2a2c5b7c
RCLONE_VERSION        := v1.76.0
MOTO_VERSION          := 5.2.1
GOLANGCI_LINT_VERSION := v2.15.0

TOOLS := $(CURDIR)/.tools/bin
export PATH := $(TOOLS):$(PATH)

PACKAGES     ?= ./...
TEST_TIMEOUT ?= 15m
# Where to keep the results as `go test -json` writes them; empty for none.
TESTJSON     ?=

.PHONY: help
help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/s3mesh
	@go build -trimpath -o bin/s3mesh ./cmd/s3mesh

.PHONY: demo
demo: build ## run three regions on this machine (ARGS="--json" and the like are passed on)
	@bin/s3mesh demo $(ARGS)

.PHONY: test
test: ## run every test with the race detector
	@[ -x "$(TOOLS)/minio" ] || command -v minio >/dev/null || \
		echo "MinIO is not installed: the tests that need it are skipped. To run them: make tools"
ifeq ($(TESTJSON),)
	go test -race -timeout $(TEST_TIMEOUT) $(PACKAGES)
else
	go test -race -count=1 -timeout $(TEST_TIMEOUT) -json $(PACKAGES) | go run ./internal/cicheck record "$(TESTJSON)"
endif

.PHONY: lint
lint: ## run golangci-lint (see make tools)
	@[ -x "$(TOOLS)/golangci-lint" ] || { echo "golangci-lint is not installed; run: make tools" >&2; exit 1; }
	golangci-lint run --allow-parallel-runners

.PHONY: vuln
vuln: ## look for known vulnerabilities (needs access to the Go vulnerability database)
	go run golang.org/x/vuln/cmd/govulncheck@latest ./...

.PHONY: bench
bench: build ## measure replication; report and profiles go to bench-out (ARGS="-stores embedded" and the like are passed on)
	@[ -x "$(TOOLS)/minio" ] || command -v minio >/dev/null || \
		echo "MinIO is not installed: its part is skipped. To measure it: make tools"
	@go run ./internal/bench -out bench-out $(ARGS)

.PHONY: tools
tools: ## install the pinned MinIO, rclone, moto and golangci-lint into .tools
	@$(call install,minio,github.com/minio/minio,$(MINIO_VERSION))
	@$(call install,rclone,github.com/rclone/rclone,$(RCLONE_VERSION))
	@$(install-moto)
	@$(call install,golangci-lint,github.com/golangci/golangci-lint/v2/cmd/golangci-lint,$(GOLANGCI_LINT_VERSION))

.PHONY: clean
clean: ## remove what was built, but not the tools
	rm -rf bin bench-out

# $(call install,program,package,version) builds a program unless it is there at that version.
install = v=$$(go version -m "$(TOOLS)/$(1)" 2>/dev/null | awk '$$1 == "mod" {print $$3}' || true); \
	if [ "$$v" = "$(3)" ]; then echo "$(1) $(3) is installed"; \
	else echo "installing $(1) $(3)"; GOBIN="$(TOOLS)" go install $(2)@$(3); fi

# moto is a Python program. One of that version that is on the machine already is taken; otherwise it goes into .tools/moto,
# which takes no root: into a virtual environment, or where Python came without venv (Debian's python3) into a folder of
# packages with a script that starts it.
MOTO := $(CURDIR)/.tools/moto
moto-version = import importlib.metadata as m; print(m.version("moto"))
install-moto = found=$$("$(MOTO)/bin/python" -c '$(moto-version)' 2>/dev/null || \
		PYTHONPATH="$(MOTO)/packages" python3 -c '$(moto-version)' 2>/dev/null || true); \
	if [ "$$found" = "$(MOTO_VERSION)" ] && { [ -x "$(MOTO)/bin/moto_server" ] || command -v moto_server >/dev/null; }; \
	then echo "moto $(MOTO_VERSION) is installed"; exit; fi; \
	echo "installing moto $(MOTO_VERSION)"; rm -rf "$(MOTO)"; \
	if python3 -m venv "$(MOTO)" 2>/dev/null; \
	then "$(MOTO)/bin/pip" install --quiet 'moto[server,s3]==$(MOTO_VERSION)'; \
	else rm -rf "$(MOTO)"; mkdir -p "$(MOTO)/bin"; \
		python3 -m pip install --quiet --target "$(MOTO)/packages" 'moto[server,s3]==$(MOTO_VERSION)'; \
		printf '\#!/bin/sh\nPYTHONPATH="%s" exec python3 -m moto.server "$$@"\n' "$(MOTO)/packages" > "$(MOTO)/bin/moto_server"; \
		chmod +x "$(MOTO)/bin/moto_server"; \
	fi
