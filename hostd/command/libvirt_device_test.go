package command

import (
	"strings"
	"testing"
)

// TestDeviceFlaws: what is wrong with a device as it is written counts for more than
// that it is not connected.
func TestDeviceFlaws(t *testing.T) {
	for _, c := range []struct {
		text string
		cut  bool
		want string // that it begins with; empty: it is sound
	}{
		{own, false, ""},
		{own, true, "is not connected"},
		{forgetful, true, "does not reconnect"},
		{binds, true, "waits there itself"},
		{stalePort, true, "has no <seclabel"},
	} {
		d, err := deviceOf(c.text)
		if err != nil {
			t.Fatal(err)
		}
		d.cut = c.cut
		if got := d.flaw(); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%v: %q, want %q", d, got, c.want)
		}
	}
	for _, text := range []string{"", agent, own + own, "<rng"} {
		if d, err := deviceOf(text); err == nil {
			t.Errorf("%q: %+v", text, d)
		}
	}
}
