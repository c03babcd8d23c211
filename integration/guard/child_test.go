//go:build linux

package guard

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"headgate/backends"
	"headgate/hostd/control"
	"headgate/hostd/events"
	"headgate/integration/rig"
)

// TestCommandOfASource shows that what hostd runs is kept from the network as hostd is:
// a source's command has what it tries refused and counted under its own name, and brings
// its bytes all the same.
func TestCommandOfASource(t *testing.T) {
	const times = 7
	ctx := rig.Within(t, time.Minute)
	p := needed(t)
	d := rig.Hostd(t, p.hostd, rig.Dir(t), require+fmt.Sprintf(`
[[source]]
name = "caller"
type = "exec"
command = [%q, "%d"]
min_entropy = 7.0
`, p.caller, times))
	s := d.Await(ctx, t, "the source is up", func(s control.Status) bool { return s.Sources[0].State == backends.Up })
	if r := s.Guard.Refused; r.Inet != times || r.Inet6 != 1 {
		t.Errorf("%d and %d tries are counted, want %d and 1: %+v", r.Inet, r.Inet6, times, r)
	}
	rows := map[string]uint64{}
	for row, n := range counted(s) {
		if strings.HasSuffix(row, fmt.Sprint(" ", d.PID())) {
			t.Errorf("what a command tried is counted as hostd's: %s", row)
		}
		rows[row[:strings.LastIndexByte(row, ' ')]] = n
	}
	if want := map[string]uint64{"inet caller": times, "inet6 caller": 1}; !maps.Equal(rows, want) {
		t.Errorf("by process there are %v, want %v", rows, want)
	}
	awaitEvents(ctx, t, d, tried, func(all []events.Event) bool {
		n := 0
		for _, e := range all {
			if e.Subject == "caller" && e.Fields["process"] == "caller" {
				n++
			}
		}
		return n == times+1
	})
}
