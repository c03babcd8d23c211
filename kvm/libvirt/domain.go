package libvirt

// Domain is what Headgate needs to know of a libvirt domain. Every text in it is
// the word of whoever may edit the domain.
type Domain struct {
	Name string `json:"name"`
	UUID string `json:"uuid"`         // lower case, with dashes; empty: the XML has none
	ID   int    `json:"id,omitempty"` // of the running domain, new with every QEMU; 0: not running, or not known
	// Policy is what the domain asks for; nil: nothing.
	Policy   *Policy   `json:"policy,omitempty"`
	RNGs     []RNG     `json:"rngs,omitempty"`
	Channels []Channel `json:"channels,omitempty"` // those named EntropyPort alone
	Vhosts   []Vhost   `json:"vhosts,omitempty"`
	// UID is the user of its QEMU, from the DAC label; nil where the XML does not
	// say (the prepare hook runs before libvirt draws the labels).
	UID *uint32 `json:"uid,omitempty"`
	// Label is the SELinux label that QEMU may connect to; empty without SELinux.
	Label string `json:"label,omitempty"`
}

// Policy is the headgate:policy element of a domain's metadata, as it is
// written: empty where an attribute is not given.
type Policy struct {
	Class   string `json:"class,omitempty"`
	Rate    string `json:"rate,omitempty"`
	Weight  string `json:"weight,omitempty"`
	Quality string `json:"quality,omitempty"`
	// Unknown are attributes and second policies that are not known.
	Unknown []string `json:"unknown,omitempty"`
}

// RNG is one <rng> device.
type RNG struct {
	Backend   string `json:"backend"`             // egd, random or builtin
	Type      string `json:"type,omitempty"`      // of an egd: unix, tcp, udp
	Mode      string `json:"mode,omitempty"`      // of an egd: connect or bind
	Path      string `json:"path,omitempty"`      // of a unix egd, or the device of random
	Reconnect int    `json:"reconnect,omitempty"` // seconds; 0: it does not
	Alias     string `json:"alias,omitempty"`     // of a running domain's device
}

// Channel is one <channel> device to a unix socket.
type Channel struct {
	Mode      string `json:"mode"`
	Path      string `json:"path"`
	Reconnect int    `json:"reconnect,omitempty"` // seconds; 0: it does not
	// Relabels: libvirt gives the socket to QEMU's user, so that the domain does not
	// start while the socket is not there.
	Relabels bool `json:"relabels,omitempty"`
}

// PolicyNamespace is the XML namespace of the policy in a domain's metadata.
const PolicyNamespace = "urn:headgate:policy:1"

// EntropyPort is the name of the virtio-serial port that guestd reads.
const EntropyPort = "org.headgate.entropy.0"

// EGD finds the rng device that connects to the unix socket at path.
func (d Domain) EGD(path string) (RNG, bool) {
	for _, r := range d.RNGs {
		if r.Backend == "egd" && r.Type == "unix" && r.Mode == "connect" && r.Path == path {
			return r, true
		}
	}
	return RNG{}, false
}

// Port finds guestd's port that connects to the unix socket at path.
func (d Domain) Port(path string) (Channel, bool) {
	for _, c := range d.Channels {
		if c.Mode == "connect" && c.Path == path {
			return c, true
		}
	}
	return Channel{}, false
}

// Flaw says why a device that is at its unix socket is not served well there;
// empty: it is.
func (r RNG) Flaw() string { return flaw(r.Mode, r.Reconnect) }

// Flaw says why guestd's port that is at its unix socket is not served well there;
// empty: it is.
func (c Channel) Flaw() string {
	if f := flaw(c.Mode, c.Reconnect); f != "" || !c.Relabels {
		return f
	}
	return "has no <seclabel model='dac' relabel='no'/>, and does not let the domain start while hostd is away"
}

func flaw(mode string, reconnect int) string {
	switch {
	case mode != "connect":
		return "waits there itself, where hostd does"
	case reconnect == 0:
		return "does not reconnect, and gets nothing once hostd was restarted"
	}
	return ""
}
