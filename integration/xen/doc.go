// Package xen tests the real daemons on a real Xen: the tests run in its dom0, and
// make PV and PVH domUs beside it.
package xen
