//go:build linux

package kernel

import (
	"bufio"
	"io"
	"strings"
)

// Config is how a kernel was built, of what matters here.
type Config struct {
	VMGenID bool
	FWCfg   bool // shows the GUID where there is no vmgenid driver
	RNG     bool // virtio-rng
	Port    bool // virtio-serial
	Ring    bool // of Xen: grants and event channels for user space
}

// maxConfig bounds a configuration, in bytes; Debian's has 264,000.
const maxConfig = 1 << 20

// ReadConfig reads a kernel's configuration, /boot/config-RELEASE.
func ReadConfig(r io.Reader) (c Config) {
	grants, events := false, false
	options := map[string]*bool{
		"CONFIG_VMGENID": &c.VMGenID, "CONFIG_FW_CFG_SYSFS": &c.FWCfg, "CONFIG_HW_RANDOM_VIRTIO": &c.RNG,
		"CONFIG_VIRTIO_CONSOLE": &c.Port, "CONFIG_XEN_GRANT_DEV_ALLOC": &grants, "CONFIG_XEN_DEV_EVTCHN": &events,
	}
	lines := bufio.NewScanner(io.LimitReader(r, maxConfig))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "=")
		if option := options[name]; option != nil {
			*option = value == "y" || value == "m"
		}
	}
	c.Ring = grants && events
	return c
}

// Has lists what the kernel has.
func (c Config) Has() string {
	var has []string
	for _, o := range []struct {
		name string
		on   bool
	}{{"vmgenid", c.VMGenID}, {"virtio-rng", c.RNG}, {"virtio-serial", c.Port}, {"Xen's rings", c.Ring}} {
		if o.on {
			has = append(has, o.name)
		}
	}
	return strings.Join(has, ", ")
}

// Notes has a line for everything that is missing, which says what that means.
func (c Config) Notes() (notes []string) {
	switch {
	case c.VMGenID:
	case c.FWCfg:
		notes = append(notes, "no vmgenid driver (CONFIG_VMGENID): guestd looks at the GUID once a second, and until then twins may be equal, unless the host pushes")
	default:
		notes = append(notes, "neither vmgenid nor fw_cfg (CONFIG_VMGENID, CONFIG_FW_CFG_SYSFS): only the host's push tells of a clone at once")
	}
	if !c.RNG {
		notes = append(notes, "no virtio-rng (CONFIG_HW_RANDOM_VIRTIO): /dev/hwrng cannot be fed from the host")
	}
	if !c.Port {
		notes = append(notes, "no virtio-serial (CONFIG_VIRTIO_CONSOLE): no port, so on KVM the host cannot push")
	}
	if !c.Ring {
		notes = append(notes, "no rings on Xen (CONFIG_XEN_GRANT_DEV_ALLOC, CONFIG_XEN_DEV_EVTCHN): there an xl channel is left")
	}
	return notes
}
