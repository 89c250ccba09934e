# The two commands a newcomer needs: go run ./cmd/understudy demo, and make test.

GO ?= go

.PHONY: all test race fuzz lint build peers demo

all: lint test

# Programs that tests use as peers and judges: "program:Debian package". With a
# slash it is a file instead of a program.
PEERS = tshark:tshark wpa_passphrase:wpasupplicant hostapd:hostapd nginx:nginx-light \
	dnsmasq:dnsmasq-base udhcpd:udhcpd udhcpc:udhcpc dhclient:isc-dhcp-client \
	unbound:unbound chronyd:chrony iperf3:iperf3 curl:curl nping:nmap gcc:gcc
ifeq ($(shell uname -m),x86_64)
# The shim is built for 32 bits too, as host drivers often want it.
PEERS += /usr/include/x86_64-linux-gnu/gnu/stubs-32.h:gcc-multilib
endif

# Everything. Installs missing peers first where it may (root, apt-get),
# otherwise prints the command; tests of an absent peer skip with the reason,
# or fail with UNDERSTUDY_PEERS=require.
# The kernel as a peer gets 1 GiB each way here, 64 MiB in a plain go test.
test: peers
	UNDERSTUDY_BULK_MIB=1024 $(GO) test ./...
	$(GO) test -C board/tinygo ./...

peers:
	@./tools/peers.sh $(PEERS)

race:
	$(GO) test -race ./...

# Each fuzz target for FUZZTIME.
FUZZTIME ?= 60s
fuzz:
	@./tools/fuzz.sh $(FUZZTIME)

# Formatting, vet, static checks, and builds for the other systems.
lint:
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not gofmt-ed:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -C board/tinygo ./...
	$(GO) tool -modfile=tools/go.mod staticcheck ./...
	GOOS=darwin $(GO) build ./...
	GOOS=windows $(GO) build ./...

build:
	$(GO) build -o bin/understudy ./cmd/understudy

demo:
	$(GO) run ./cmd/understudy demo
