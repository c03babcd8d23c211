// Package xenstore is a client of xenstore, the small tree of strings through
// which Xen's domains and toolstack find each other.
//
// It speaks the wire protocol of xen/include/public/io/xs_wire.h and
// docs/misc/xenstore.txt in Xen's source, over xenstored's unix socket (dom0) or
// over /dev/xen/xenbus (any domain), and it keeps these promises:
//
//   - A call ends. Each request has a time limit, and a xenstored that does not
//     keep it is an error that ends the connection: everything that waits on it is
//     woken, and Done and Err tell.
//   - Other domains write into this tree as they like. What comes costs bounded
//     memory: a payload is at most 4096 bytes, a list of children at most 1 MiB, and
//     a watch is one bit, however often what it watches changes.
//   - A message that the protocol does not allow ends the connection. Nothing that
//     follows it is believed.
//   - Requests over the limits of the protocol are refused here: xenstored would
//     cut the connection off, and a domain has no second one.
//
// It links neither fmt nor net, so that guestd stays small.
package xenstore
