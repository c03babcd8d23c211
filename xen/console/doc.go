// Package console is a guest's end of an xl channel: a console device of Xen with a
// name (docs/misc/channel.txt).
//
// It keeps these promises: Find finds the device by that name alone; OpenRaw gives
// a file whose bytes arrive as they were sent, from the moment that it is open, and
// whose Read has deadlines and ends at Close; Flush forgets what was queued before.
// What came between the guest's start and OpenRaw may have been changed or echoed by
// the terminal's first settings: flush, and have the protocol find its step.
package console
