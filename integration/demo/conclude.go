//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"

	"headgate/integration/rig/job"
)

// errShown means that the demonstration ran, but did not show what it should.
var errShown = errors.New("not all was as it should be; see the lines above that are not ticked")

// verdict is one line of the summary.
type verdict struct {
	ok   bool
	text string
}

// conclude prints the summary. A verdict that is not good is the error.
func conclude(out io.Writer, s *scene) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(out, "\n%s\n", header.Render("What was shown"))
	var err error
	for _, v := range verdicts(s) {
		sign := good.Render("✓")
		if !v.ok {
			sign, err = bad.Render("✗"), errShown
		}
		fmt.Fprintf(out, "  %s %s\n", sign, v.text)
	}
	return err
}

// tolerance is how much more than its rate a guest may have got. Less can be
// the supply's doing, and is said, but is no failure.
const tolerance = 0.02

func verdicts(s *scene) []verdict {
	a, b := s.actors[greedy], s.actors[normal]
	all := []verdict{sourceVerdict(s)}

	got := 0.0
	if s.over > 0 {
		got = s.bytes / s.over.Seconds()
	}
	text := fmt.Sprintf("%s took all it could: %s over %.1f s, its limit is %s",
		greedy, rate(got), s.over.Seconds(), rate(greedyRate))
	if got < greedyRate*(1-tolerance) {
		text += fmt.Sprintf("; the supply gave %s", rate(s.inflow.rate()))
	}
	all = append(all, verdict{got > 0 && got <= greedyRate*(1+tolerance), text},
		verdict{a.latest < job.BeatLate, fmt.Sprintf("%s never stalled: of a heartbeat every %s the latest was %s late", greedy, took(job.BeatEvery), took(a.latest))},
		verdict{a.ready > 0, fmt.Sprintf("%s: its kernel's generator was ready %s after %s", greedy, took(a.ready), a.readyAfter)},
		verdict{b.ready > 0, fmt.Sprintf("%s: its kernel's generator was ready %s after %s (%d KiB of memory)", normal, took(b.ready), b.readyAfter, b.peakKiB)})

	report := guestOf(s.status, normal).LastReport
	if report == nil {
		return append(all, verdict{false, "guestd never reported to hostd"})
	}
	return append(all, verdict{report.CreditedBits >= 256,
		fmt.Sprintf("guestd %s credited %d bits to %s's kernel, the last time for: %s", report.Version, report.CreditedBits, normal, report.Reason)})
}

func sourceVerdict(s *scene) verdict {
	up, failed := 0, uint64(0)
	for _, source := range s.status.Sources {
		if source.State == sourceUp {
			up++
		}
		for _, n := range source.Failures {
			failed += n
		}
	}
	return verdict{up > 0 && failed == 0, fmt.Sprintf("%d of %d sources up, %d health failures, %s conditioned",
		up, len(s.status.Sources), failed, size(float64(s.status.Reservoir.ConditionedBytes)))}
}
