// Package libvirt holds the tests that drive the real hostd with a real libvirtd
// and its QEMUs: hooks are run by libvirtd, domains are started, saved, restored
// and reverted by virsh, and what a guest got is told by the guest.
//
// They run in namespaces of their own (rig.Isolate): the machine's own libvirtd,
// if there is one, has nothing to do with them. Libvirtd and hostd are started
// once for all tests, which run one after another.
package libvirt
