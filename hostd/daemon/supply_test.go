package daemon

import (
	"fmt"
	"testing"
	"time"

	"headgate/backends"
	"headgate/hostd/control"
)

func TestLack(t *testing.T) {
	at := time.Now()
	up := func(name, origin string) control.SourceStatus {
		return control.SourceStatus{Name: name, Origin: origin, State: backends.Up, Credited: true}
	}
	failed := up("tpm", "tpm-rng-0")
	failed.State, failed.LastFailure, failed.LastError = backends.Failed, &backends.LastFailure{Test: "rct", Time: at}, &backends.LastError{Time: at}
	again := failed
	again.State = backends.Starting
	gone := control.SourceStatus{Name: "usb-trng", State: backends.Missing, Credited: true}
	back := again
	back.LastError = &backends.LastError{Text: "no such device", Time: at.Add(time.Second)}
	mixed := up("rdrand", "cpu")
	mixed.Credited = false
	for _, c := range []struct {
		name    string
		sources []control.SourceStatus
		need    int
		want    string
	}{
		{"none", nil, 1, "0 of 1 origins up: "},
		{"enough", []control.SourceStatus{up("hwrng", "a"), up("rdseed", "cpu")}, 2, ""},
		{"more than enough", []control.SourceStatus{up("hwrng", "a"), up("rdseed", "cpu"), failed, gone}, 2, ""},
		{"as it is shown", []control.SourceStatus{failed, up("hwrng", "a"), gone}, 2, "1 of 2 origins up: tpm failed (rct), usb-trng missing"},
		{"tried again", []control.SourceStatus{again, up("hwrng", "a")}, 2, "1 of 2 origins up: tpm failed (rct)"},
		{"back from elsewhere", []control.SourceStatus{back, up("hwrng", "a")}, 2, "1 of 2 origins up: tpm starting"},
		{"one noise", []control.SourceStatus{up("hwrng", "tpm-rng-0"), up("tpm", "tpm-rng-0")}, 2, "1 of 2 origins up: tpm is the same noise as hwrng"},
		{"counts nothing", []control.SourceStatus{up("rdseed", "cpu"), mixed}, 2, "1 of 2 origins up: rdrand counts nothing"},
		{"counts nothing alone", []control.SourceStatus{mixed}, 1, "0 of 1 origins up: rdrand counts nothing"},
	} {
		if got := lack(c.sources, c.need); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestOrigins: the sources of one origin are one, and up if one of them is.
func TestOrigins(t *testing.T) {
	list := origins([]control.SourceStatus{
		{Name: "a", Origin: "x", State: backends.Failed, Credited: true},
		{Name: "b", Origin: "x", State: backends.Up, Credited: true},
		{Name: "c", Origin: "y", State: backends.Missing, Credited: true},
		{Name: "d", Origin: "y", State: backends.Up},
		{Name: "e", State: backends.Missing, Credited: true},
	})
	if got, want := fmt.Sprint(list), "[{x true [a b]} {y false [c]}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
