package daemon

import (
	"log/slog"
	"maps"
	"strconv"
	"sync"
	"time"

	"headgate/hostd/control"
	"headgate/wire/feed"
)

// reports are what the guestd of one guest has said of itself. Each word of it is the
// guest's; how many there are is bounded where they are read (package host,
// ReportEvery), and how many are told by the event log. The zero value is ready.
type reports struct {
	mu     sync.Mutex
	last   *control.Report   // nil: there was none
	counts map[string]uint64 // by feed.KnownReason
	since  time.Time         // when it was connected, or pushed to, last; zero: never
	took   time.Duration     // from then to the first report that its kernel is seeded; 0: there was none
}

// await notes that guestd has connected, or was pushed to.
func (r *reports) await(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since, r.took = now, 0
}

// take notes what guestd says, and returns why it says so, in one of the words that are
// known, and its report as it is kept.
func (r *reports) take(said feed.Report, now time.Time) (reason string, report control.Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	report = control.Report{
		Received:     now,
		Version:      said.Version,
		BootID:       bootID(said.Boot),
		CreditedBits: said.Credited,
		Reason:       said.Reason,
	}
	if said.Seeded != 0 {
		report.SeededAt = time.Unix(0, said.Seeded)
	}
	if r.last != nil {
		report.Rebooted = r.last.Rebooted
		if r.last.BootID != report.BootID {
			report.Rebooted = now
		}
	}
	r.last = &report
	reason = feed.KnownReason(said.Reason)
	if r.counts == nil {
		r.counts = map[string]uint64{}
	}
	r.counts[reason]++
	if reason != feed.ReasonHealth && said.Seeded != 0 && r.took == 0 && !r.since.IsZero() {
		r.took = max(now.Sub(r.since), 1)
	}
	return reason, report
}

// tell adds what was said to the guest's status.
func (r *reports) tell(s *control.GuestStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.LastReport, s.Reseeds, s.SeededSeconds = r.last, maps.Clone(r.counts), r.took.Seconds()
}

// reported takes in what guestd says. That it has reseeded because it was time is no
// event: every guest does so all the time.
func (g *guest) reported(said feed.Report) {
	reason, report := g.reports.take(said, time.Now())
	fields := map[string]string{
		"boot_id": report.BootID, "credited_bits": strconv.FormatUint(report.CreditedBits, 10),
		"reason": report.Reason, "version": report.Version,
	}
	switch reason {
	case feed.ReasonInterval:
	case feed.ReasonHealth:
		g.event(slog.LevelWarn, "guest_health", "its guestd says that what it got failed a health test, and was mixed without credit: if it happens again, test the sources with hostd source test", fields)
	default:
		g.event(slog.LevelInfo, "guest_reseeded", "its guestd has reseeded the kernel", fields)
	}
}

const hexDigits = "0123456789abcdef"

// bootID writes a boot id as /proc/sys/kernel/random/boot_id does.
func bootID(id [16]byte) string {
	b := make([]byte, 0, 36)
	for i, v := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = append(b, hexDigits[v>>4], hexDigits[v&15])
	}
	return string(b)
}
