//go:build linux

package check

import "strings"

// groups are what the table is about, in the order of the findings, each with what
// is said if nothing of it is shared.
var groups = []struct{ about, fine string }{
	{"ssh", "no SSH key is in the image"},
	{"machine-id", "no machine id is in the image"},
	{"random-seed", "no random seed is in the image"},
	{"key", "none of the other keys that are looked for is in the image"},
	{"identity", "none of the other identities that are looked for is in the image"},
}

// row is one thing that clones may share.
type row struct {
	about  string
	shared string
	paths  []string // with stars
	what   string
	fix    string                 // as image.fix takes it; empty: the files are to be removed
	counts func(text string) bool // of the file's beginning; nil: every file that is not empty
}

// shared is what is looked for. The first five groups of files are those of
// systemd's "Safely Building Images"; the rest is what packages of Debian and
// Fedora make when they are installed or first started.
var shared = []row{
	{
		about: "ssh", shared: Secret,
		paths: []string{"/etc/ssh/ssh_host_*_key"},
		what:  "every clone is this host to its users: who has one can pass for all",
		fix:   "rm -f %/etc/ssh/ssh_host_*",
	}, {
		about: "ssh", shared: Secret,
		paths: []string{"/etc/dropbear/dropbear_*_host_key", "/etc/dropbear/initramfs/dropbear_*_host_key", "/etc/dropbear-initramfs/dropbear_*_host_key"},
		what:  "every clone is this host to its users: who has one can pass for all",
	}, {
		about: "ssh", shared: Secret,
		paths: []string{"/root/.ssh/id_*", "/home/*/.ssh/id_*"},
		what:  "every clone has this user's key",
		// What ends in .pub is no secret.
		counts: func(text string) bool { return strings.Contains(text, "PRIVATE KEY") },
	}, {
		about: "machine-id", shared: Identity,
		paths:  []string{"/etc/machine-id"},
		what:   "every clone has this id: DHCP, IPv6 addresses and journals take them for one machine",
		fix:    "truncate -s 0 %/etc/machine-id",
		counts: func(text string) bool { return !unset(text) },
	}, {
		about: "machine-id", shared: Identity,
		paths:  []string{"/var/lib/dbus/machine-id"},
		what:   "a copy of the machine id, which stays when /etc/machine-id is new",
		fix:    "ln -sf /etc/machine-id %/var/lib/dbus/machine-id",
		counts: func(text string) bool { return !unset(text) },
	}, {
		about: "random-seed", shared: Secret,
		paths: []string{"/var/lib/systemd/random-seed", "/var/lib/urandom/random-seed", "/var/lib/misc/random-seed", "/var/lib/random-seed"},
		what:  "every clone's generator starts from this seed",
	}, {
		about: "random-seed", shared: Secret,
		paths: []string{"/var/lib/seedrng/seed.*"}, // SeedRNG: OpenRC, BusyBox, Buildroot
		what:  "every clone's generator starts from this seed, and may count it as entropy",
	}, {
		about: "random-seed", shared: Secret,
		paths: []string{"/boot/efi/loader/random-seed", "/boot/loader/random-seed", "/efi/loader/random-seed"},
		what:  "every clone's boot loader starts from this seed, and systemd counts it as entropy",
	}, {
		about: "key", shared: Secret,
		paths: []string{"/var/lib/systemd/credential.secret"},
		what:  "what one clone encrypts with systemd-creds the others can read",
	}, {
		about: "key", shared: Secret,
		paths: []string{"/var/lib/NetworkManager/secret_key"},
		what:  "every clone's IPv6 addresses and DHCP ids can be foretold from it",
	}, {
		about: "key", shared: Secret,
		paths: []string{"/etc/ssl/private/ssl-cert-snakeoil.key"},
		what:  "every clone serves TLS with this key (at the first boot: make-ssl-cert generate-default-snakeoil)",
		fix:   "rm -f %/etc/ssl/private/ssl-cert-snakeoil.key %/etc/ssl/certs/ssl-cert-snakeoil.pem",
	}, {
		about: "key", shared: Secret,
		paths: []string{"/etc/pki/tls/private/*.key", "/etc/cockpit/ws-certs.d/*.key"},
		what:  "every clone serves TLS with this key",
	}, {
		about: "key", shared: Secret,
		paths:  []string{"/etc/wireguard/*"},
		what:   "every clone is this peer to its WireGuard network",
		counts: wireguard,
	}, {
		about: "key", shared: Secret,
		paths:  []string{"/etc/systemd/network/*.netdev"},
		what:   "every clone is this peer to its WireGuard network",
		fix:    "sed -i '/^ *PrivateKey *=/d' %/etc/systemd/network/*.netdev",
		counts: wireguard,
	}, {
		about: "key", shared: Secret,
		paths: []string{"/var/lib/tailscale/tailscaled.state", "/var/lib/zerotier-one/identity.secret"},
		what:  "every clone is this node to its network",
	}, {
		about: "key", shared: Secret,
		paths: []string{"/etc/ipsec.d/private/*", "/etc/swanctl/private/*", "/etc/swanctl/ecdsa/*", "/etc/swanctl/rsa/*"},
		what:  "every clone is this peer to its IPsec network",
	}, {
		about: "key", shared: Secret,
		paths: []string{"/etc/krb5.keytab", "/var/lib/samba/private/secrets.tdb"},
		what:  "every clone is this member of the domain",
	}, {
		about: "key", shared: Secret,
		paths: []string{"/etc/puppetlabs/puppet/ssl/private_keys/*", "/var/lib/puppet/ssl/private_keys/*", "/etc/salt/pki/minion/minion.pem", "/var/lib/kubelet/pki/*.pem", "/var/lib/kubelet/pki/*.key"},
		what:  "every clone is this node to what manages it",
	}, {
		about: "key", shared: Secret,
		paths: []string{"/var/lib/mysql/*-key.pem", "/var/lib/mysql/private_key.pem", "/var/lib/rabbitmq/.erlang.cookie"},
		what:  "every clone of the database or queue has this key",
	}, {
		about: "key", shared: Secret,
		paths: []string{"/var/lib/dhcpcd/secret"},
		what:  "every clone's IPv6 addresses can be foretold from it",
	}, {
		about: "identity", shared: Identity,
		paths:  []string{"/etc/iscsi/initiatorname.iscsi"},
		what:   "two clones that log in to one target by this name destroy what is on it",
		fix:    "echo GenerateName=yes > %/etc/iscsi/initiatorname.iscsi",
		counts: initiator,
	}, {
		about: "identity", shared: Identity,
		paths: []string{"/etc/nvme/hostnqn", "/etc/nvme/hostid"},
		what:  "every clone is this host to NVMe targets",
	}, {
		about: "identity", shared: Identity,
		paths: []string{"/etc/hostid"},
		what:  "every clone is this host to ZFS, which imports a pool that another one uses",
	}, {
		about: "identity", shared: Identity,
		paths: []string{"/var/lib/dhcpcd/duid", "/etc/dhcpcd.duid", "/var/lib/dhcp/*.leases", "/var/lib/dhclient/*.lease*", "/var/lib/dhcpcd/*.lease*", "/var/lib/NetworkManager/*.lease"},
		what:  "clones ask for one address, by one id",
	}, {
		about: "identity", shared: Identity,
		paths: []string{"/var/lib/mysql/auto.cnf"},
		what:  "every clone is this server to its replicas",
	}, {
		about: "identity", shared: Identity,
		paths: []string{"/var/lib/cloud/data/instance-id"},
		what:  "cloud-init was here: where the clone has no new instance id, its first boot makes nothing anew",
		fix:   "rm -rf %/var/lib/cloud/*",
	},
}

// unset says whether a machine-id(5) file is one that the first boot fills in.
func unset(text string) bool {
	text = strings.TrimSpace(text)
	return text == "" || text == "uninitialized"
}

// wireguard says whether a file has a key of WireGuard's in it: a configuration's,
// or that of a file with nothing else, 32 bytes in base64.
func wireguard(text string) bool {
	for line := range strings.Lines(text) {
		key, value, found := strings.Cut(line, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if found && key == "privatekey" && strings.TrimSpace(value) != "" {
			return true
		}
	}
	text = strings.TrimSpace(text)
	return len(text) == 44 && strings.HasSuffix(text, "=") && !strings.ContainsAny(text, " \n#[")
}

// initiator says whether an initiatorname.iscsi has a name in it.
func initiator(text string) bool {
	for line := range strings.Lines(text) {
		name, found := strings.CutPrefix(strings.TrimSpace(line), "InitiatorName=")
		if found && name != "" {
			return true
		}
	}
	return false
}
