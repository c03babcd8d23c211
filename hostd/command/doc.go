// Package command is hostd's command line.
//
// The promise: a command exits with 0 when it did what was asked, 1 when that
// failed and 2 when it was asked wrongly, but for libvirt's hook, which never
// fails; an error is one line that says what, where, why and what to do; what is
// printed for people has a --json form for programs; and nothing is printed in
// colours where nobody sees them.
package command
