//go:build linux

package status

import (
	"strconv"
	"strings"
	"time"

	"headgate/guestd/kernel"
)

// Text appends the record as lines for a person to read; running says whether the
// guestd that wrote it still is.
func (r *Record) Text(b []byte, running bool, now time.Time) []byte {
	line := func(label, value string) {
		b = append(append(append(append(b, label...), "          "[len(label):]...), value...), '\n')
	}
	lines := func(label, values string) {
		for value := range strings.SplitSeq(values, "; ") {
			line(label, value)
			label = ""
		}
	}
	state := "running, pid " + strconv.Itoa(r.PID)
	if !running {
		state = "not running"
	}
	line("guestd", r.Version+", "+state)
	if r.Kernel != "" {
		line("kernel", r.Kernel+", "+tested(r.Kernel))
	}
	line("source", or(strings.TrimSpace(r.Kind+" "+r.Pipe), "none yet"))
	line("seeded", when(r.Seeded, now, "not yet"))
	if !r.Seeded.IsZero() {
		line("", strconv.Itoa(r.Uptime)+" ms after the kernel started")
		line("reseeded", when(r.Reseeded, now, "")+", "+r.Reason+", "+strconv.Itoa(r.Reseeds)+" in all")
	}
	line("mixed", strconv.Itoa(r.Bytes)+" bytes")
	line("credited", strconv.Itoa(r.Bits)+" bits, policy "+r.Credit)
	if r.Confidential != "" {
		line("", "a confidential VM ("+r.Confidential+"): the policy auto credits nothing that its host sends")
	}
	line("health", or(r.Health, "nothing tested yet"))
	if r.Failures > 0 {
		line("", strconv.Itoa(r.Failures)+" batches failed; mixed, not credited")
	}
	if r.Clones == "" {
		line("clones", "not covered: nothing here tells guestd of one")
	} else {
		lines("clones", "covered by "+r.Clones)
	}
	if r.Notes != "" {
		lines("note", r.Notes)
	}
	if r.Error != "" {
		line("error", r.Error)
	}
	return b
}

func when(t, now time.Time, never string) string {
	if t.IsZero() {
		return never
	}
	return t.UTC().Format(time.RFC3339) + ", " + now.Sub(t).Truncate(time.Second).String() + " ago"
}

func tested(release string) string {
	if name := kernel.Tested(release); name != "" {
		return "tested (" + name + ")"
	}
	return "not among the kernels that Headgate is tested with"
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
