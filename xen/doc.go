// Package xen is hostd's end in a Xen dom0: it follows the domains in xenstore and
// feeds those that have a ring or a channel.
//
// It promises that what a guest writes, into its xenstore nodes or its shared page,
// costs a bounded share of the processor and ends no pipe but its own; that a ring that
// is connected stays so while xenstored is slow, lost or short of memory; that a domain
// that has gone is unmapped at once, so that none stays a zombie; and that who a
// domain is, and what it may draw, is read from dom0's own nodes alone.
//
// The pieces below it stand by themselves: xenstore, evtchn, grant, vchan, console.
package xen
