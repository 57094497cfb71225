# Two commands matter: make demo, make test. The logic is in scripts/, one idea a file.
KAFKA ?= embedded
ROWS ?= 1000000
INPUTS ?= 1000000
BROKER_ROUNDS ?= 100000
ROUNDS ?= 30
MINUTES ?= 60

.PHONY: help demo up down psql test audit chaos fuzz fuzz-broker bench bench-latency bench-workers bench-trickle build lint install package image clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile

demo: ## from nothing to a topic in a table (KAFKA=apache: on Apache Kafka)
	@scripts/demo.sh $(KAFKA)

up: ## start the private cluster, a broker (KAFKA=embedded|apache) and the Kinesis emulator (KINESIS=yes|no), leave them running
	@scripts/up.sh $(KAFKA) $(KINESIS)

down: ## stop them
	@scripts/down.sh

psql: ## a session on the private cluster
	@scripts/psql.sh

test: ## set up and run every test (SUITES="lint regress ..": only these)
	@scripts/test.sh $(SUITES)

audit: ## what hostile users, records and brokers try: crash, read, escalate, starve, lose in silence (part of make test)
	@scripts/test.sh audit

chaos: ## kill and stop everything at random while records arrive, then count (ROUNDS=30, SEED=n)
	@scripts/chaos.sh $(ROUNDS)

bench: ## rates beside COPY and other consumers (ROWS=1000000)
	@scripts/bench.sh $(ROWS)

fuzz: ## random documents against Postgres's own parser, random bytes for what takes binary input (INPUTS=1000000)
	@scripts/fuzz.sh $(INPUTS)

fuzz-broker: ## a client against brokers that lie, with sanitizers (BROKER_ROUNDS=100000, SEED=n)
	@scripts/fuzz-broker.sh $(BROKER_ROUNDS) $(SEED)

bench-latency: ## from produce to visible, beside a Python consumer
	@scripts/bench-latency.sh

bench-workers: ## auto refresh of 1, 2 and 4 views, topics and workers
	@scripts/bench-workers.sh

bench-trickle: ## auto refresh at 1,000 records a second for an hour: sizes, memory, transaction ids, WAL (MINUTES=60)
	@scripts/bench-trickle.sh $(MINUTES)

build: ## the extension and the embedded Kafka
	@scripts/prepare.sh build
	@scripts/build.sh

lint: ## rustfmt, clippy, directions of imports, shellcheck
	@scripts/lint.sh

install: ## into the Postgres of PG_CONFIG=/path/to/pg_config (built before)
	@scripts/install.sh

package: ## an archive with the files to install
	@scripts/package.sh

image: ## a container image of Postgres with the extension
	@scripts/image.sh

clean: down ## remove what was built and run
	@scripts/clean.sh
