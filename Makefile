# Everything a person types. The scripts behind these lines are in packaging/dev/.

.DEFAULT_GOAL := help
.PHONY: help run demo test faults hostile fleet bench fmt ui clean-dev

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Install what is missing, build, start vmscope on this machine (TIMESCALE=1: on TimescaleDB)
	@packaging/dev/run $(if $(TIMESCALE),--timescale)

demo: ## The same with three real QEMU guests to look at
	@packaging/dev/run --guests 3 $(if $(TIMESCALE),--timescale)

test: ## Install what is missing, run every check and test against real services
	@packaging/dev/test

faults: ## Break hosts, networks, disks, clocks and daemons at random (ROUNDS=50 SEED=1); count every sample
	@packaging/dev/faults $(or $(ROUNDS),50) $(or $(SEED),1)

hostile: ## Misbehave towards a collector for a while (SECONDS=300 SEED=1)
	@packaging/dev/hostile $(or $(SECONDS),300) $(or $(SEED),1)

fleet: ## Hold all answers against what a simulated fleet sent (HOSTS=500 VMS=20 SECONDS=600 SEED=1)
	@packaging/dev/fleet $(or $(HOSTS),500) $(or $(VMS),20) $(or $(SECONDS),600) $(or $(SEED),1)

bench: ## Print the benchmarks, one figure a line (ONLY=ingest for one group)
	@packaging/dev/bench $(ONLY)

fmt: ## Format Rust and the dashboard
	@cargo fmt --all
	@cd web/ui && npm run --silent format

ui: ## Build the dashboard into web/ui/dist
	@packaging/dev/install ui

clean-dev: ## Stop the services of tests and remove their data
	@packaging/dev/guests down
	@packaging/dev/services down
