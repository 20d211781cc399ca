# Everything that is done from a checkout. `make` alone lists it.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:

SEEDS ?= 1000
SECONDS ?= 60
SEED ?=
ARGUMENTS ?=

.PHONY: help
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-22s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run:  ## install what is missing, build, and serve an embedded SQLite file
	@exec scripts/run.sh $(ARGUMENTS)

.PHONY: build
build:  ## the release binary, .build/release/prism
	@scripts/install-dependencies.sh build
	swift build -c release --static-swift-stdlib --product prism

.PHONY: image
image:  ## the container image, with docker or buildah; ARGUMENTS=--help lists what can be set
	@scripts/image.sh $(ARGUMENTS)

.PHONY: test
test:  ## install what the tests need and run all of them
	@scripts/test.sh

.PHONY: bench-load
bench-load: build  ## measure what holds when there is too much: overload, floods, deadlines; as root
	@scripts/bench.sh load $(ARGUMENTS)

.PHONY: bench-pipelines
bench-pipelines: build  ## measure short reads beside PgBouncer, slow statements beside fast ones, and a fleet of sidecars
	@scripts/bench.sh pipelines $(ARGUMENTS)

.PHONY: bench-start
bench-start: build  ## measure the first answer of a start, what Kubernetes calls, and the way from SIGTERM to the exit
	@scripts/bench.sh start $(ARGUMENTS)

.PHONY: bench
bench: build  ## measure the release binary and what it is compared with; ARGUMENTS=--help lists what can be set
	@scripts/bench.sh $(ARGUMENTS)

.PHONY: simulate
simulate:  ## the core on virtual time; SEEDS=N runs the seeds 1 to N, SEEDS=A..B those
	@scripts/install-dependencies.sh build
	swift build -c release --product prism-simulate
	.build/release/prism-simulate --seeds $(SEEDS)

.PHONY: sanitize
sanitize:  ## the Swift tests under the thread and the address sanitizer
	@scripts/sanitize.sh $(ARGUMENTS)

.PHONY: fuzz
fuzz:  ## random and mutated input for SECONDS=N; SEED=S runs one seed again
	@FUZZ_SECONDS=$(SECONDS) SEED=$(SEED) scripts/fuzz.sh

.PHONY: chaos
chaos: build  ## kill, stall and starve a sidecar on each backend for SECONDS=N and hold its word against the database; as root
	@scripts/install-dependencies.sh test && scripts/python-proto.sh
	PRISM_TEST_CHAOS_SECONDS=$(SECONDS) PRISM_BINARY=$(CURDIR)/.build/release/prism Tests/EndToEnd/run.sh test_chaos

.PHONY: proto
proto:  ## regenerate the C and the Python messages from proto/
	@scripts/install-dependencies.sh test
	@scripts/regenerate-proto.sh
	@test ! -x scripts/python-proto.sh || scripts/python-proto.sh

.PHONY: format
format:  ## format the Swift sources
	@scripts/format.sh

.PHONY: lint
lint:  ## fail on Swift sources that are not formatted
	@scripts/format.sh --check
