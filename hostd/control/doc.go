// Package control is the daemon's control socket: a small HTTP and JSON API on
// a unix socket, and its typed client.
//
// The promise: whoever may connect to the socket can look at and change the
// daemon, nobody else can; no request, however malformed, costs more than
// bounded memory and time; and no byte of entropy passes through it, except raw
// samples that an operator asks for with a capture, which are then never poured
// into the reservoir.
package control
