// Package storetest is a xenstored for tests: a tree in memory, with transactions
// that conflict, watches, and domains that come and go, behind the real wire
// protocol on real sockets. It has a codec of its own, written from Xen's documents,
// so that a mistake in package xenstore's does not cancel out.
//
// Permissions are kept and not enforced, and there are no quotas.
package storetest
