package kernel

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Capabilities are the three sets of a thread, as capget(2) and capset(2) have them.
type Capabilities [2]unix.CapUserData

// Held are those of the calling thread. Those of hostd's threads are the same, but for one
// that starts a source's command.
func Held() (Capabilities, error) {
	var c Capabilities
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &c[0]); err != nil {
		return c, fmt.Errorf("read the capabilities of hostd: %w", err)
	}
	return c, nil
}

// Effective says if a capability is in force, by its number in include/uapi/linux/capability.h.
func (c Capabilities) Effective(capability uint) bool {
	return c[capability/32].Effective&(1<<(capability%32)) != 0
}
