// Package evtchn binds and waits for Xen's event channels through /dev/xen/evtchn.
//
// It keeps these promises: Wait sleeps in the runtime's poller, so that a thousand
// idle Conns cost no thread; it ends at a deadline and when the Conn is closed; an
// event that came is given once, and its port then stays masked until Unmask, so
// that a domain that sends events in a storm costs nothing in between; Notify,
// Unmask and Wait allocate nothing.
//
// The device's calls are those of Linux' include/uapi/xen/evtchn.h.
package evtchn
