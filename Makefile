# farrier: every command a person needs. `make help` lists them.
#
# Each target installs what it needs on a fresh Debian 12 or 13 (as root), says what it does, and is safe
# to run again.

SHELL := /bin/bash
# Of which servers build and ramdisk are: amd64, or arm64, whose results lie below build/arm64.
ARCH ?= amd64
TARGET := $(shell image/architecture '$(ARCH)' target)
BUILT := $(shell image/architecture '$(ARCH)' build)
ifeq ($(TARGET),)
$(error ARCH is $(ARCH); it must be one that image/architecture knows)
else ifneq ($(ARCH),amd64)
# The others start what was built on this machine, or put it on discs: they would take one architecture's for the other's.
ifneq ($(filter-out help tools build build/% ramdisk plugin-initrd lab-arm64 clean,$(MAKECMDGOALS)),)
$(error ARCH=$(ARCH) is for build, ramdisk, plugin-initrd and lab-arm64 only: $(MAKECMDGOALS))
endif
export ARCH
export CARGO_BUILD_TARGET := $(TARGET)
# Where no rustup brings Rust's standard library, image/cross/prepare lays it there.
ifeq ($(shell command -v rustup),)
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS := -L $(CURDIR)/$(BUILT)/rust/usr/lib/rustlib/$(TARGET)/lib
endif
endif
CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
# A CI that says CI=true has no next build to keep anything for: that costs a tenth of compiling, and a GiB.
ifeq ($(CI),true)
export CARGO_INCREMENTAL ?= 0
endif

MDBOOK_VERSION := 0.5.4
MDBOOK_FOLDER := $(CURDIR)/build/mdbook-$(MDBOOK_VERSION)
MDBOOK := $(MDBOOK_FOLDER)/bin/mdbook

.DEFAULT_GOAL := help
.PHONY: help build ramdisk iso esp release release-check reproducible guide plugin-initrd demo test unit lab lab-full lab-matrix lab-arm64 check bench compare servers fuzz fuzz-beside peers findings fresh docs clean tools FORCE

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

tools:
	@tests/check/build-tools

build: tools $(BUILT)/farrier $(BUILT)/farrier-plugin-host ## The agent, statically linked: build/farrier; ARCH=arm64: build/arm64/farrier, and so on

# The example goes along: the lab runs its steps. Before a release it says "dev", and of which commit only for make release: each
# commit would link the agent anew otherwise, for minutes.
$(BUILT)/farrier: FORCE | tools
	@echo "== compiling the agent"
	build=$$(image/release/version build) && FARRIER_PRERELEASE=$(if $(NAME_THE_COMMIT),$$build,$${build:+dev}) cargo build --release --locked -p farrier -p farrier-example-manager -p farrier-onmetal-manager --bins
	@mkdir -p $(BUILT)
	@for program in farrier farrier-example-manager farrier-onmetal-manager; do \
	    cmp -s $(CARGO_TARGET_DIR)/$(TARGET)/release/$$program $(BUILT)/$$program \
	        || install -m 755 $(CARGO_TARGET_DIR)/$(TARGET)/release/$$program $(BUILT)/$$program; \
	done
	@echo "   $@: $$(stat -c %s $@) bytes"

# What loads plugins that are shared libraries, and the example as one: linked dynamically.
$(BUILT)/farrier-plugin-host: FORCE | tools
	@echo "== compiling the plugin host"
	hardware_managers/host/build $(BUILT)

ramdisk: build ## Kernel and ramdisk: build/ramdisk/vmlinuz, initrd.img; KERNEL=backports: the newest kernel; or SUITE=bookworm: Debian 12; ARCH=arm64
	@SUITE="$(SUITE)" KERNEL="$(KERNEL)" image/build

iso: ramdisk ## One image for disc, stick and virtual media, BIOS, UEFI and Secure Boot: PARAMETERS="ipa-api-url=…"
	@PARAMETERS='$(subst ','\'',$(PARAMETERS))' image/iso

esp: ramdisk ## The EFI system partition of which Ironic builds such images itself
	@image/iso esp

# Whatever the command line or the environment says: a release is the ramdisk as it is by default, for no site.
release: ## What operators download: dist/ with ramdisk, boot media, programs, Debian packages, SHA256SUMS; ARCHITECTURES="amd64 arm64"
	@for architecture in $(RELEASED); do \
	    media=$$(image/architecture $$architecture media) && \
	    $(MAKE) --no-print-directory $$([ "$$media" ] && echo iso || echo ramdisk) ARCH=$$architecture \
	        NAME_THE_COMMIT=1 PARAMETERS= SUITE= KERNEL= FIRMWARE= LEVEL= AGENT= HOST= BUILD= OUTPUT= || exit; \
	done
	@ARCHITECTURES="$(RELEASED)" image/release/build dist

RELEASED = $(or $(ARCHITECTURES),$(ARCH))

release-check: ## Whether dist/ is fit to be handed out: by tools of others, and made again; its packages on a clean Debian 13, lintian; REFRESH=1
	@tests/release/check dist
	@tests/release/again dist
	@tests/check/packages dist

reproducible: tools ## A release, made from nothing in two folders: the same bits? RELEASE=dist: that one's commit, once; PART=programs for less
	@tests/check/reproducible $(PART)

plugin-initrd: ## A plugin to boot behind the ramdisk: PLUGIN=program, .so or folder, NAME=… FILES=… PACKAGES=…
	@FILES="$(FILES)" PACKAGES="$(PACKAGES)" SUITE="$(SUITE)" image/plugin-initrd "$(PLUGIN)" $(NAME)

check: tools ## Format, lints, docs, manual, licences, duplicates, arrows between the rooms
	@echo "== format"
	cargo fmt --all --check
	@echo "== lints"
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@echo "== docs"
	RUSTDOCFLAGS="-D warnings" $(DOC) --quiet
	@echo "== manual and completions"
	cargo test --workspace --test manual --locked --quiet
	@echo "== dependencies"
	@tests/check/dependencies
	@echo "== the tree"
	@tests/check/tree
	@tests/check/install-packages-test
	@tests/check/release
	@echo "check: passed"

# With `--examples` dependencies have the features that tests want, as for clippy, and are not compiled again.
DOC = RUSTDOC=$(CURDIR)/tests/check/rustdoc cargo doc --workspace --lib --bin farrier-plugin-host --examples --no-deps --locked

unit: tools $(BUILT)/farrier-plugin-host ## Tests that need no server
	@echo "== unit tests"
	cargo test --workspace --locked --quiet

lab: ramdisk ## What the lab needs: packages, conductor, images
	@tests/lab/install
	@tests/lab/images/build-test-image
	@tests/lab/images/build-partition-image
	@image/iso esp

# The unit tests wait more than they compute, and the last step of compiling the agent has one
# thread; so what is built for the lab and the unit tests go side by side, and so do three labs, of which each
# waits for a third of its time: what they leave of the processors goes to the fuzz targets, compiling them included.
test: ## Everything: unit tests, then the real conductor with virtual servers
	@$(MAKE) --no-print-directory -j 3 unit lab peers
	@echo "== a real conductor hears of a virtual server"
	$(PYTEST) -m alone tests/conductor
	@$(MAKE) --no-print-directory -j 2 servers fuzz-beside

servers:
	@echo "== a real conductor deploys virtual servers"
	$(PYTEST) -m "not alone and not full" $(SIDE_BY_SIDE) tests/conductor tests/reference_tests tests/openapi

# What the lab needs for tests alone: the reference's functional tests with what they import, schemathesis, and an older conductor.
peers:
	@tests/reference_tests/install
	@tests/openapi/install
	@tests/lab/install-conductor 29.0.6

lab-full: lab peers ## All cases with a conductor: also variations that make test leaves out, and 20 power cuts
	$(PYTEST) -m alone tests/conductor
	@tests/check/install-packages chromium
	MOMENTS=$(or $(MOMENTS),20) $(PYTEST) -m "not alone" $(SIDE_BY_SIDE) tests/conductor tests/status_page

lab-matrix: lab ## Conductors of other releases inspect, clean and deploy a virtual server: RELEASES="20.1.3 24.1.3" for less; prints a table
	build/lab/venv/bin/python tests/lab/matrix.py $(RELEASES)

# Of an emulated processor a minute is little: no part of the others.
lab-arm64: ## A real conductor and a virtual server with arm64 processors and UEFI; builds the ramdisk of ARCH=arm64
	@$(MAKE) --no-print-directory ramdisk ARCH=arm64
	@tests/lab/install
	@tests/lab/install-arm64
	@ARCH=arm64 tests/lab/images/build-test-image
	$(PYTEST) tests/arm64

PYTEST = build/lab/venv/bin/python -m pytest -q
SIDE_BY_SIDE = -n 3 --dist loadfile --no-loadscope-reorder --durations=20

demo: lab ## A real Ironic network-boots, inspects, cleans and deploys a virtual server: DHCP=kea or dnsmasq, KEEP=1
	@tests/lab/images/build-demo-image
	@$(if $(DHCP),FARRIER_DHCP=$(DHCP)) build/lab/venv/bin/python tests/lab/demo.py $(if $(KEEP),--keep)

fuzz: tools ## Arbitrary bytes for every parser, SECONDS=60 each
	@fuzz/run $(or $(SECONDS),60)

# A fixed time in all: a new target must not make the suite longer. Much of it is waiting for a processor. What it says
# comes at its end, not in the middle of what the labs say.
fuzz-beside: tools
	@mkdir -p build/fuzz
	@nice -n 19 fuzz/build
	@nice fuzz/run --in-all 120 > build/fuzz/beside.log 2>&1; status=$$?; \
	    echo; echo "== arbitrary bytes for every parser"; cat build/fuzz/beside.log; exit $$status

bench: build ## Speed against the Python agent and this machine: SIZE=512 ONLY=raw TO=memory ROUNDS=1 for less
	@benches/install
	@benches/bench.py build/farrier --size $(or $(SIZE),2048) --rounds $(or $(ROUNDS),3) \
	    $(if $(ONLY),--only "$(ONLY)") $(if $(TO),--to "$(TO)") $(if $(HASHES),--hashes "$(HASHES)")

compare: ramdisk ## The Python agent and farrier in the same virtual servers, side by side: MACHINES=uefi for less; BEFORE=folder: two ramdisks in turn
	@tests/lab/install
	@$(if $(BEFORE),,tests/compare/build-reference)
	@cd tests && $(CURDIR)/build/lab/venv/bin/python -m compare \
	    $(if $(BEFORE),starts "$(abspath $(BEFORE))" $(ROUNDS),$(MACHINES))

findings: ## Whether surprises about tools and libraries of others still hold: ONLY=name for one
	@findings/run $(ONLY)

fresh: ## This tree's commands on a bare Debian: SUITE=trixie or bookworm; TARGETS="demo check unit", AGAIN=1, KEEP=1, REFRESH=1
	@tests/check/fresh "$(SUITE)" $(TARGETS)

docs: tools ## The manual (docs/man), completions of shells (docs/completions), docs/openapi.json, the crate's documentation
	FARRIER_SNAPSHOTS=write cargo test --workspace --test manual --locked --quiet
	FARRIER_SNAPSHOTS=write cargo test -p farrier --lib --locked --quiet openapi::what_is_kept
	$(DOC)

guide: tools $(MDBOOK) ## The operators' guide and all other pages as a site: build/guide/index.html
	docs/build $(MDBOOK) build/guide

# The program of its makers, for the site alone, so with neither optimisation nor its server: a minute on two cores. PyPI has it
# compiled, by somebody else.
$(MDBOOK): | tools
	@echo "== compiling mdBook $(MDBOOK_VERSION)"
	CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$(MDBOOK_FOLDER)/target cargo install mdbook@$(MDBOOK_VERSION) --locked --debug \
	    --no-default-features --features search --root $(MDBOOK_FOLDER)
	rm -rf $(MDBOOK_FOLDER)/target

clean: ## Remove everything that was built but dist, where a release may be signed
	rm -rf build $(CARGO_TARGET_DIR)
