//go:build linux

package main

import "strings"

// peer is a row of the table.
type peer struct {
	name    string
	debian  string   // the package
	before  string   // a shell's commands that start what the peer needs beside it
	command []string // nil: nothing runs
	port    bool     // hostd serves the guest
	vmgenid bool     // the guest has a vmgenid device, its kernel the driver
	// atOnce is of those whose clones ought to differ within milliseconds: more than
	// one pair is compared, each shortly, and without strace, which would stop the
	// peer for milliseconds at each ioctl. What differs never becomes the same again.
	atOnce bool
}

const (
	egdServer = "ip link set lo up\ninside egd 127.0.0.1:8888 /bin/busybox &\nsleep 1\n"

	// The broker and what feeds it stand for those on another machine: where they
	// want random numbers of their own they get a file, so that they do not make
	// this kernel seed itself before the client has a chance to.
	broker = egdServer + `
mkdir -p /var/cache/entropybroker /var/run
umask 077
echo 'broker|0123456789abcdef01234567|100000000|yes' >/etc/entropybroker/users.txt
printf 'broker\n0123456789abcdef01234567\n' >/etc/entropybroker/password.txt
unshare -m sh -c '
	mount -o bind /bin/busybox /dev/random
	mount -o bind /bin/busybox /dev/urandom
	entropy_broker -n -c /etc/entropybroker/entropy_broker.conf &
	sleep 2
	exec eb_server_egd -n -I localhost -X /etc/entropybroker/password.txt -t 127.0.0.1 -T 8888 -a 128 -b 1
' &
sleep 4
`
)

// peers are the rows, in the table's order. The commands are those of Debian's units,
// kept in the foreground where they can be.
var peers = []peer{
	{name: "nothing"},
	{name: "rngd", debian: "rng-tools5", command: words("rngd -f")},
	{name: "haveged", debian: "haveged", command: words("haveged --Foreground --verbose=1")},
	{name: "jitterentropy-rngd", debian: "jitterentropy-rngd", command: words("jitterentropy-rngd")},
	{name: "ekeyd-egd-linux", debian: "ekeyd-egd-linux", before: egdServer,
		command: words("ekeyd-egd-linux -H 127.0.0.1 -p 8888 -r 128 -D/run/ekeyd-egd-linux.pid")},
	{name: "Entropy Broker's client", debian: "entropybroker", before: broker,
		command: words("eb_client_linux_kernel -n -I localhost -X /etc/entropybroker/password.txt")},
	{name: "vmgenid alone", vmgenid: true, atOnce: true},
	{name: "guestd", port: true, atOnce: true, command: words("guestd")},
}

func words(s string) []string { return strings.Fields(s) }
