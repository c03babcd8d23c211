package control

import (
	"headgate/hostd/guard"
	"headgate/hostd/meter"
)

// GuardStatus tells whether the kernel refuses this process the network.
type GuardStatus struct {
	Mode   string `json:"mode"` // as configured: on, require, off
	Up     bool   `json:"up"`
	Cgroup string `json:"cgroup,omitempty"` // that it holds for, as /proc/PID/cgroup names it
	// Confined says that seccomp refuses sockets of the other families.
	Confined bool          `json:"confined"`
	Error    string        `json:"error,omitempty"` // why it is not up, or holds less, though it is to
	Refused  guard.Refused `json:"refused"`         // tries, since the start
}

// MeterStatus tells who reads the kernel's random devices, and past whom.
type MeterStatus struct {
	Mode  string           `json:"mode"` // as configured: on, kprobe, off
	Up    bool             `json:"up"`
	Error string           `json:"error,omitempty"` // why it is not up though it is to
	Ways  []meter.WayCount `json:"ways,omitempty"`
	// Unmetered are guests whose QEMU reads a device of the host itself, most first.
	Unmetered []Unmetered `json:"unmetered,omitempty"`
}

// Unmetered is a guest that has random bytes of the host past Headgate: its QEMU reads
// a device itself, as rng-random does.
type Unmetered struct {
	Domain  string      `json:"domain"`            // as its QEMU calls itself; empty: it has no name
	Vouched bool        `json:"vouched,omitempty"` // libvirt says so, too
	PID     int         `json:"pid"`
	Ways    []meter.Way `json:"ways"`
	Bytes   uint64      `json:"bytes"` // since the meter is up
}
