# make help lists the targets.

PREFIX  ?= /usr/local
DESTDIR ?=
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

# The linter is built here from its own module, so that it is the same everywhere.
LINT_VERSION := v2.15.0
LINT := build/golangci-lint-$(LINT_VERSION)

# What is needed from Debian: by the guests that are booted, by the race detector,
# to build the kernel's programs anew (to build hostd takes none of that),
# by the rigs beside the guests.
GUEST_PACKAGES := qemu-system-x86 linux-image-cloud-amd64 xz-utils
RACE_PACKAGES := gcc libc6-dev
BPF_PACKAGES := clang-14 llvm-14 libbpf-dev linux-libc-dev
LIBVIRT_PACKAGES := libvirt-daemon-system libvirt-clients libvirt-daemon-driver-qemu qemu-utils apparmor
XEN_PACKAGES := xen-system-amd64 xenstore-utils qemu-system-xen libxen-dev linux-image-amd64 busybox-static zstd
DEBIAN_PACKAGES := mmdebstrap e2fsprogs
SOURCE_PACKAGES := swtpm libgd3
TEST_PACKAGES := $(GUEST_PACKAGES) $(RACE_PACKAGES) $(BPF_PACKAGES) $(LIBVIRT_PACKAGES) $(XEN_PACKAGES) $(DEBIAN_PACKAGES) $(SOURCE_PACKAGES) bpftool systemd strace

export CGO_ENABLED ?= 0
GO_BUILD := go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
# The race detector needs cgo; it is in no binary that is shipped.
RACE := CGO_ENABLED=1 go test -race

FUZZ_TIME ?= 5m
FUZZ_JOBS ?= 1
# A number of inputs, not a time: at the end of a time go test -fuzz fails now and
# then with "context deadline exceeded", on a busy machine more often.
CHECK_FUZZ_TIME := 2000x

.PHONY: build demo check test bench fuzz install install-guest install-xen clean help lint generate generated elsewhere fuzzed unit rigs rigs-debian rigs-waiting rigs-timed debian-image guest-packages race-packages test-packages

help: ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

build: ## build bin/hostd and bin/guestd, static
	$(GO_BUILD) -o bin/hostd ./hostd
	$(GO_BUILD) -o bin/guestd ./guestd

demo: guest-packages build ## feed two real guests from this machine's physical noise, in under 90 s
	@go run ./integration/demo

check: lint unit generated elsewhere fuzzed ## format, vet, lint, unit tests with the race detector, short fuzzing

lint: $(LINT) # vet is one of its linters
	@test -z "$$(gofmt -l .)" || { echo "not gofmt'd:"; gofmt -l .; exit 1; }
	go mod verify >/dev/null
	$(LINT) run ./...

$(LINT):
	GOBIN=$(CURDIR)/build go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@mv build/golangci-lint $(LINT)

generate: bpf-packages ## build the kernel's programs anew (hostd/*/*.c; what comes of it is committed)
	go generate ./hostd/...

# What is committed is what its C makes. It is made in a copy, elsewhere: nothing here is
# touched, and nothing in it may come of the folder that it was made in.
generated:
	@$(MAKE) --no-print-directory bpf-packages
	@set -e; copy=$$(mktemp -d); trap 'rm -rf "$$copy"' EXIT; cp -R go.mod go.sum hostd "$$copy"; \
	find "$$copy" -name '*_bpfe[lb].*' -delete; (cd "$$copy" && go generate ./hostd/...); \
	diff -rq hostd "$$copy/hostd" || { echo "stale: run make generate and commit what it changes"; exit 1; }

elsewhere:
	GOARCH=arm64 go build ./...

fuzzed:
	@$(MAKE) --no-print-directory fuzz FUZZ_TIME=$(CHECK_FUZZ_TIME) FUZZ_JOBS=2

# Again without the detector where a test measures memory, of which it takes its own.
UNRACED = $$(grep -rl --include='*_test.go' '^//go:build !race' . | xargs -n 1 dirname | sort -u)

# The packages by the recipe: what has to wait for another target make -j begins last,
# and this takes the longest.
unit:
	@$(MAKE) --no-print-directory race-packages
	$(RACE) $$(go list ./... | grep -v /integration)
	go test $(UNRACED)

test: ## all of check, and the real rigs: QEMU guests, libvirt, Xen, FIFOs, systemd's checks
	@$(MAKE) --no-print-directory -j2 test-packages $(LINT) # one downloads while the other compiles
	@$(MAKE) --no-print-directory -j3 -O debian-image check IMAGE=$(CURDIR)/build/debian
	@$(MAKE) --no-print-directory rigs IMAGE=$(CURDIR)/build/debian
	@rm -rf build/debian

WAITING := /(demo|drink|guard|meter|peers|rig|sources)(/|$$)
RIG = CI=$(or $(CI),true) go test -count=1 -timeout 24m -v

rigs: build
	@$(MAKE) --no-print-directory -j2 -O rigs-debian rigs-waiting
	@$(MAKE) --no-print-directory rigs-timed

rigs-debian:
	$(RIG) -skip '^TestImage$$' ./integration/debian $(if $(IMAGE),-args -image $(IMAGE))

# These wait for most of their time or count bytes, and measure no milliseconds.
rigs-waiting:
	$(RIG) -p 1 $$(go list ./integration/... | grep -E '$(WAITING)')

# One package after the other (-p 1): they measure times.
rigs-timed:
	$(RIG) -p 1 $$(go list ./integration/... | grep -vE '$(WAITING)|/debian$$')

debian-image: # what integration/debian boots, made while check runs
	$(RIG) -run '^TestImage$$' ./integration/debian -args -image $(IMAGE)

# Installs Debian packages when it is root, and says which are missing when not.
guest-packages: PACKAGES := $(GUEST_PACKAGES)
race-packages: PACKAGES := $(RACE_PACKAGES)
bpf-packages: PACKAGES := $(BPF_PACKAGES)
test-packages: PACKAGES := $(TEST_PACKAGES)
guest-packages race-packages bpf-packages test-packages:
	@missing=$$(for p in $(PACKAGES); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	test -z "$$missing" && exit 0; \
	if [ "$$(id -u)" != 0 ]; then echo "missing Debian packages; as root: apt-get install --no-install-recommends" $$missing; exit 1; fi; \
	echo "installing" $$missing; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null

bench: test-packages build ## print every figure of the README, with the floors beside them
	go test -run xxx -bench . -benchmem $$(go list ./... | grep -v /integration)
	go test -run 'Detection|FalsePositives|MildBias' -v ./backends/health
	go run ./integration/bench
	go run ./integration/queues
	go run ./integration/drink
	CI=true go test -count=1 -timeout 20m -run '^TestChurn$$' -v ./integration/libvirt -args -churn-defined 200 -churn-started 50 -churn-time 5m
	CI=true go test -count=1 -timeout 10m -run '^TestXen$$/^vchan$$' -v ./integration/xen -args -whole
	CI=true go test -count=1 -timeout 60m -v ./integration/clones -args -whole
	go run ./integration/peers
	CI=true go test -count=1 -timeout 15m -run '^TestDracut$$' -v ./integration/debian -args -whole

fuzz: ## run each fuzz target for FUZZ_TIME (5m, or 2000x for that many inputs)
	@mkdir -p build
	@grep -H -r --include='*_test.go' '^func Fuzz' . | sed -n 's/^\(.*\)\/[^/]*:func \(Fuzz[A-Za-z0-9]*\)(.*/\1 \2/p' | \
		xargs -P $(FUZZ_JOBS) -L 1 sh -c 'log=build/fuzz.$$(echo $$0.$$1 | tr / _).log; echo "fuzz $$1 $(FUZZ_TIME)"; \
			go test -run "^$$" -fuzz "^$$1$$" -fuzztime $(FUZZ_TIME) -fuzzminimizetime 10x $$0 </dev/null >$$log 2>&1 \
			|| { cat $$log; exit 255; }; rm $$log'

# What is installed knows where it is: PREFIX takes the place of /usr/local in it.
PLACED = sed 's|/usr/local/|$(PREFIX)/|g'

install: build ## on a host: install hostd, its unit and configuration under DESTDIR and PREFIX
	install -D -m 0755 bin/hostd $(DESTDIR)$(PREFIX)/sbin/hostd
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	$(PLACED) examples/systemd/hostd.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/hostd.service
	install -D -m 0644 examples/systemd/hostd.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/headgate.conf
	install -D -m 0644 examples/systemd/hostd.rules $(DESTDIR)/etc/udev/rules.d/60-headgate.rules
	test -e $(DESTDIR)/etc/headgate/hostd.toml || install -D -m 0644 hostd/config/reference.toml $(DESTDIR)/etc/headgate/hostd.toml

# initramfs-tools and dracut look in these places alone, whatever PREFIX is.
INITRAMFS_TOOLS = $(DESTDIR)/etc/initramfs-tools
DRACUT = $(DESTDIR)/usr/lib/dracut/modules.d/90headgate

install-guest: build ## in a guest or its image: install guestd, its units and early boot
	install -D -m 0755 bin/guestd $(DESTDIR)$(PREFIX)/sbin/guestd
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/headgate $(DESTDIR)/etc/headgate/reseed.d \
		$(INITRAMFS_TOOLS)/hooks $(INITRAMFS_TOOLS)/scripts/init-top $(DRACUT)
	for unit in guestd.service headgate-reseed.path headgate-reseed.service headgate-reseed-again.service ssh-host-keys.service; do \
		$(PLACED) examples/guest/$$unit > $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit || exit; \
	done
	install -m 0755 examples/guest/headgate-reseed $(DESTDIR)$(PREFIX)/lib/headgate/reseed
	for f in hooks scripts/init-top; do \
		$(PLACED) examples/guest/initramfs-tools/$$f/headgate > $(INITRAMFS_TOOLS)/$$f/headgate && \
		chmod 0755 $(INITRAMFS_TOOLS)/$$f/headgate || exit; \
	done
	for f in module-setup.sh seed.sh; do \
		$(PLACED) examples/guest/dracut/90headgate/$$f > $(DRACUT)/$$f && chmod 0755 $(DRACUT)/$$f || exit; \
	done
	for f in examples/guest/reseed.d/*; do \
		to=$(DESTDIR)/etc/headgate/reseed.d/$${f##*/}; test -e $$to || install -m 0644 $$f $$to || exit; \
	done

install-xen: install ## in a Xen dom0: install, and what hostd needs there
	install -D -m 0644 examples/xen/dom0.conf $(DESTDIR)/etc/systemd/system/hostd.service.d/xen.conf
	install -D -m 0644 examples/xen/modules-load.d/headgate-dom0.conf $(DESTDIR)/etc/modules-load.d/headgate.conf
	$(PLACED) examples/xen/headgate-create > $(DESTDIR)$(PREFIX)/sbin/headgate-create
	chmod 0755 $(DESTDIR)$(PREFIX)/sbin/headgate-create

clean: ## remove what was built
	rm -rf bin build
