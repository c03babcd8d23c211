// Package wiretest has fake taps for the tests of the protocols under wire.
//
// All fakes give the same known stream, Pattern, so that a test can tell a byte
// lost, given twice or out of order from one in its place.
package wiretest
