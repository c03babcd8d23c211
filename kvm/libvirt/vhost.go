package libvirt

import (
	"fmt"
	"strings"
)

// Vhost is a vhost-user-rng device. libvirt has none, so that it stands among the
// arguments that a domain's XML has for QEMU itself.
type Vhost struct {
	Path      string `json:"path,omitempty"`      // of its chardev's unix socket; empty: it has none
	Server    bool   `json:"server,omitempty"`    // QEMU listens there
	Wait      bool   `json:"wait,omitempty"`      // and starts no sooner than somebody is connected
	Reconnect int    `json:"reconnect,omitempty"` // seconds; 0: it does not
	Private   bool   `json:"private,omitempty"`   // QEMU alone can get at the domain's memory
}

// QEMUNamespace is the XML namespace of a domain's arguments for QEMU
// (https://libvirt.org/drvqemu.html#pass-through-of-arbitrary-qemu-commands).
const QEMUNamespace = "http://libvirt.org/schemas/domain/qemu/1.0"

// SharedMemoryXML has a domain's memory be shared, without which hostd cannot write
// to it, and in no file that a disk would have to hold.
const SharedMemoryXML = "<memoryBacking>\n  " + memfd + "\n  " + shared + "\n</memoryBacking>"

const (
	memfd  = "<source type='memfd'/>"
	shared = "<access mode='shared'/>"
)

// Vhost finds the vhost-user-rng device whose QEMU listens at the unix socket at path.
func (d Domain) Vhost(path string) (Vhost, bool) {
	for _, v := range d.Vhosts {
		if v.Server && v.Path == path {
			return v, true
		}
	}
	return Vhost{}, false
}

// Flaw says why a device that is at its unix socket is not served well there;
// empty: it is.
func (v Vhost) Flaw() string {
	switch {
	case !v.Server:
		return "connects there itself, where hostd does, and gets nothing once hostd was restarted"
	case v.Reconnect > 0:
		return "has reconnect, with which QEMU does not listen"
	case !v.Wait:
		// vhost_dev_init speaks at once (vu_rng_device_realize, hw/virtio/vhost-user-rng.c).
		return "has wait=off, with which QEMU does not start"
	case v.Private:
		return "has memory that is not shared, and hostd cannot get at it"
	}
	return ""
}

// freeSlot is where the device goes on the root bus of a PC, i440fx or q35: libvirt
// hands out the lower slots first, and q35 has chips of its own above it
// (qemuDomainValidateDevicePCISlotsQ35). It has to be said: QEMU makes this device
// before libvirt's own, and would give it a slot of theirs.
const freeSlot = 0x1c

// VhostXML is the vhost-user-rng device whose QEMU listens at the socket of a
// vhost-user pipe. Of the domain it also wants SharedMemoryXML.
func VhostXML(path string) (string, error) {
	args, err := vhostArgs(path, "headgate0", freeSlot, "qemu:arg")
	if err != nil {
		return "", err
	}
	return commandline(args), nil
}

// vhostArgs are the arguments, each in an element of that name. Two vectors give the
// queue an MSI-X interrupt of its own, which KVM raises without QEMU.
func vhostArgs(socket, id string, slot int, element string) (string, error) {
	if err := checkSocket(socket); err != nil {
		return "", fmt.Errorf("vhost-user device: %w", err)
	}
	var b strings.Builder
	for i, value := range []string{
		"-chardev", "socket,id=" + id + ",path=" + strings.ReplaceAll(socket, ",", ",,") + ",server=on,wait=on",
		"-device", fmt.Sprintf("vhost-user-rng-pci,chardev=%s,addr=%#x,vectors=2", id, slot),
	} {
		text, err := escape(value)
		if err != nil {
			return "", fmt.Errorf("vhost-user device: the socket %q: %w", socket, err)
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "<%s value='%s'/>", element, text)
	}
	return b.String(), nil
}
