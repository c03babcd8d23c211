package meter

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestVDSO reads this kernel's own: one of 6.11 or later that has none was built so.
func TestVDSO(t *testing.T) {
	library := vdso()
	if len(library) == 0 {
		t.Fatal("no vDSO was found")
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	release := unix.ByteSliceToString(name.Release[:])
	note := notes()[0]
	if !strings.Contains(note, "this kernel, "+release) || strings.Contains(note, "has none") == answers(library) {
		t.Errorf("%q on %s", note, release)
	}
	t.Log(note)
	if answers(nil) || answers(library[:len(library)/2]) {
		t.Error("half a library answers")
	}
}
