//go:build linux

package meter

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"headgate/hostd/meter"
)

// shown is what hostd rng top --json prints.
type shown struct {
	Ways  []meter.WayCount `json:"ways"`
	Users []user           `json:"users"`
	Other []meter.WayCount `json:"other"`
	Notes []string         `json:"notes"`
}

// user is who read in one way.
type user struct {
	PID     int       `json:"pid"`
	Process string    `json:"process"`
	Cgroup  string    `json:"cgroup"`
	QEMU    bool      `json:"qemu"`
	Domain  string    `json:"domain"`
	Gone    bool      `json:"gone"`
	Way     meter.Way `json:"way"`
	Bytes   uint64    `json:"bytes"`
	Calls   uint64    `json:"calls"`
}

// top is the command that prints it, at once.
func top() []string { return []string{"rng", "top", "--json", "--for", "1ms"} }

func parsed(t *testing.T, text string) (s shown) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatalf("hostd rng top printed %q: %v", text, err)
	}
	return s
}

// of are the rows of one process.
func (s shown) of(process string) (rows []user) {
	for _, u := range s.Users {
		if u.Process == process {
			rows = append(rows, u)
		}
	}
	return rows
}

// consistent fails the test unless all ways are seen as they are to be, and each is the sum
// of who used it.
func (s shown) consistent(t *testing.T, how string) {
	t.Helper()
	for _, w := range s.Ways {
		t.Logf("%-10s by %s of %s: %d bytes, %d calls, %d missed", w.Way, w.How, w.Function, w.Bytes, w.Calls, w.Missed)
		if w.How != how || w.Why != "" {
			t.Errorf("%s is seen by %q (%s), want %s", w.Way, w.How, w.Why, how)
		}
		var bytes, calls uint64
		for _, u := range s.Users {
			if u.Way == w.Way {
				bytes, calls = bytes+u.Bytes, calls+u.Calls
			}
		}
		for _, o := range s.Other {
			if o.Way == w.Way {
				bytes, calls = bytes+o.Bytes, calls+o.Calls
			}
		}
		if w.Bytes != bytes || w.Calls != calls || w.Missed != 0 {
			t.Errorf("%s: %+v, the users have %d bytes, %d calls together", w.Way, w, bytes, calls)
		}
	}
	if len(s.Ways) != len(meter.Ways()) {
		t.Errorf("%d ways are shown, want all of %v", len(s.Ways), meter.Ways())
	}
}

// seesAll tells whether the notes say that no getrandom is answered by this kernel's vDSO,
// and fails the test unless they say something of it.
func (s shown) seesAll(t *testing.T) bool {
	t.Helper()
	i := slices.IndexFunc(s.Notes, func(n string) bool { return strings.Contains(n, "vDSO") && strings.Contains(n, "not seen") })
	if i < 0 {
		t.Fatalf("no note tells of getrandom in the vDSO: %q", s.Notes)
	}
	t.Logf("note: %s", s.Notes[i])
	return strings.Contains(s.Notes[i], "has none")
}
