# The developer's commands; `make help` lists them. They need Go, a C compiler (for the race detector) and a module proxy.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Peers and linters are built from source at these versions, into .tools/bin, and never linked into the product.
MINIO_VERSION         := v0.0.0-20260212201848-7aac2a2c5b7c
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
tools: ## install the pinned MinIO and golangci-lint into .tools/bin
	@$(call install,minio,github.com/minio/minio,$(MINIO_VERSION))
	@$(call install,golangci-lint,github.com/golangci/golangci-lint/v2/cmd/golangci-lint,$(GOLANGCI_LINT_VERSION))

.PHONY: clean
clean: ## remove what was built, but not the tools
	rm -rf bin bench-out

# $(call install,program,package,version) builds a program unless it is there at that version.
install = v=$$(go version -m "$(TOOLS)/$(1)" 2>/dev/null | awk '$$1 == "mod" {print $$3}' || true); \
	if [ "$$v" = "$(3)" ]; then echo "$(1) $(3) is installed"; \
	else echo "installing $(1) $(3)"; GOBIN="$(TOOLS)" go install $(2)@$(3); fi
