// Package need says what becomes of a test that lacks something. It imports nothing of
// this module, so that the tests of every package can use it.
package need

import (
	"os"
	"testing"
)

// Unmet ends a test for want of something, with what to do about it: skipped on a
// laptop, failed where CI is set, because it has to be there.
func Unmet(t testing.TB, why ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why...)
	}
	t.Skip(why...)
}

// Root is Unmet for who is not root; why says what for.
func Root(t testing.TB, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		Unmet(t, "run the test as root: ", why)
	}
}
