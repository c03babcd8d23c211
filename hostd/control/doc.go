// Package control is the daemon's control socket: a small HTTP and JSON API on
// a unix socket, and its typed client.
//
// The promise: whoever may connect to the socket can look at and change the
// daemon, nobody else can; no request, however malformed, costs more than
// bounded memory and time; and no byte of entropy passes through it, except what an
// operator asks for: raw samples with a capture, which are then never poured into the
// reservoir, and seeds, which no guest and no other seed gets a byte of.
package control
