//go:build linux

// Package rig boots real Linux guests under QEMU and runs the real daemons
// beside them, for the integration tests and the demonstration.
//
// What it promises: a guest is up within seconds on any x86-64 Linux machine
// with the packages that Missing names, without KVM; everything it starts has a
// time limit, writes its log to a file that an error quotes, and is gone with
// the process that started it.
//
// The way of a boot: FindKernel finds Debian's cloud kernel, NewImage packs its
// modules, guestinit and the programs under test into an initramfs, Boot starts
// QEMU and waits for guestinit's first line; then the Guest's methods are
// commands to guestinit (package job). NewDaemon runs a hostd on the host, which in CI
// does not serve unless its network guard is up. Save ends a guest with its state in a
// file, from which Resume makes any number of clones.
//
// With libvirt between: Isolate puts a test program into namespaces of its own,
// StartLibvirtd runs a libvirtd there, and a Domain is the same guest as libvirt
// defines, starts, saves and restores it.
//
// With Xen: InDom0 boots a real Xen under QEMU and runs the test program itself in
// its dom0, where CreateDomU makes PV and PVH guests beside it; their init is
// reached over their console.
package rig
