package daemon

import (
	"os/user"
	"strconv"

	"headgate/hostd/config"
	"headgate/kvm"
)

// qemuUsers are whom distributions have libvirt run QEMU as: Debian, and the others.
var qemuUsers = []string{"libvirt-qemu", "qemu"}

// userOf is the user that the domain's QEMU runs as: as its XML says, which does
// not before libvirt has drawn the labels, else its class's socket_owner, else as
// distributions have it; -1: not known.
func (d *Daemon) userOf(m *domain) int {
	if m.uid >= 0 {
		return m.uid
	}
	entry, _ := d.config.Policy(m.name, m.policy)
	if class, _ := d.config.Class(entry.Class); class.SocketOwner != "" {
		if uid, _, err := class.SocketOwner.Lookup(); err == nil && uid >= 0 {
			return uid
		}
	}
	if d.qemuUser < 0 {
		d.qemuUser = lookupQEMU()
	}
	return d.qemuUser
}

func lookupQEMU() int {
	for _, name := range qemuUsers {
		if u, err := user.Lookup(name); err == nil {
			if uid, err := strconv.Atoi(u.Uid); err == nil {
				return uid
			}
		}
	}
	return -1
}

// ownerOf is who alone may be at the domain's sockets: nil where its QEMU's user
// is not known.
func (m *domain) ownerOf(l config.Libvirt, uid int) *kvm.Owner {
	if uid < 0 {
		return nil
	}
	return &kvm.Owner{UID: uint32(uid), PIDFile: l.PIDFile(m.name)}
}
