//go:build linux

package xenstore

// What the tests from outside need.
var (
	OpenFirst = openFirst
	DialIn    = dial
)
