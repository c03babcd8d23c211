// Package events is the event log: what happened to sources, guests and the
// daemon itself, for people and for programs.
//
// The promise: an event reaches the log of the host (the journal with fields,
// or stderr as text or JSON) and a ring that the control socket shows; nobody
// who follows can hold up the daemon; and nobody who causes events, a hostile
// guest least of all, can flood the log or grow its memory.
package events
