//go:build linux

package pipe

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// PortName is the name of the virtio-serial port, or of the xl channel, that speaks
// feed.
const PortName = "org.headgate.entropy.0"

// Place says where to look. The zero value is this machine.
type Place struct {
	Root string          // prefix of /sys, /proc and /dev
	Path map[Kind]string // what is given and not searched for: a device; of a vchan, where the ring is offered

	bus *store
}

// Open finds and opens the pipe of a kind; ErrNone if this guest has none.
func (pl *Place) Open(k Kind) (Pipe, error) {
	path := pl.Path[k]
	switch k {
	case VchanKind:
		if path == "" {
			path = RingPath
		}
		return pl.openVchan(path)
	case ChannelKind:
		return pl.openChannel(path)
	case PortKind:
		if path == "" {
			path = pl.findPort()
		}
		if path == "" {
			return nil, ErrNone
		}
		return openPort(path)
	}
	claim, kernels := noClaim, pl.Root+"/dev/hwrng"
	if path == "" && !pl.hasRNG() {
		return nil, ErrNone
	}
	if path == "" || path == kernels {
		path, claim = kernels, pl.claim
	}
	return openHWRNG(path, claim)
}

// findPort looks through sysfs, which has the names before udev has run, and then
// for udev's link.
func (pl *Place) findPort() string {
	dirs, _ := filepath.Glob(pl.Root + "/sys/class/virtio-ports/*")
	for _, dir := range dirs {
		if name, _ := os.ReadFile(dir + "/name"); strings.TrimSpace(string(name)) == PortName {
			return pl.Root + "/dev/" + filepath.Base(dir)
		}
	}
	if link := pl.Root + "/dev/virtio-ports/" + PortName; exists(link) {
		return link
	}
	return ""
}

const rngClass = "/sys/class/misc/hw_random/"

// hasRNG says whether /dev/hwrng is there and has a driver behind it: without one
// it is there all the same and every read fails.
func (pl *Place) hasRNG() bool {
	b, err := os.ReadFile(pl.Root + rngClass + "rng_current")
	if errors.Is(err, os.ErrNotExist) && exists(pl.Root+"/sys/class") {
		return false // the module is not loaded
	}
	return strings.TrimSpace(string(b)) != "none" && exists(pl.Root+"/dev/hwrng")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
