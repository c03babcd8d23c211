//go:build linux

package main

import "headgate/integration/rig"

// The devices, as they are printed.
const (
	ours    = "vhost-user, hostd"
	theirs  = "vhost-user, vhost-device-rng"
	builtin = "rng-builtin"
	random  = "rng-random, /dev/urandom"
	pipe    = "rng-egd, hostd (qemu: pipe)"
	trivial = "rng-egd, trivial server"
)

// device is one virtio-rng of the guest, and who is behind it.
type device struct {
	name   string
	qemu   []string // its arguments
	server process  // nil: QEMU itself
	guest  string   // the name that it has in hostd's configuration, if that serves it
}

// process is who serves a device.
type process interface{ PID() int }

// emulated are the arguments of a virtio-rng whose bytes QEMU's back end of that id has.
func emulated(id, backend string) []string {
	return []string{"-object", backend + ",id=" + id, "-device", "virtio-rng-pci,rng=" + id}
}

// egd are those of one whose bytes come from a server of the EGD protocol.
func egd(id, path string) []string {
	return append([]string{"-chardev", "socket,id=" + id + "-socket,reconnect=1,path=" + path},
		emulated(id, "rng-egd,chardev="+id+"-socket")...)
}

// vhost are those of one that is in another process, which waits for QEMU there.
func vhost(id, path string) []string {
	return []string{"-chardev", "socket,id=" + id + ",path=" + path, "-device", "vhost-user-rng-pci,chardev=" + id}
}

// config is the guest with all of them. Its kernel numbers them in this order: that which
// hostd connects to is the first.
func config(image *rig.Image, dir, connects string, devices []device) rig.Config {
	c := rig.Config{Name: "queues", Image: image, Dir: dir, Limit: limit, Shared: true, VhostUser: connects}
	for _, d := range devices {
		c.Extra = append(c.Extra, d.qemu...)
	}
	return c
}
