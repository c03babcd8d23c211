package daemon

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"headgate/hostd/control"
)

// BenchmarkHook is a domain's start and end, as hostd sees it, beside a thousand
// others: what libvirt waits for, but for the hook's own process and the request.
func BenchmarkHook(b *testing.B) {
	h := host(b, "")
	for i := range 1000 {
		h.boot(h.machine(fmt.Sprintf("vm%d", i), i, i+1))
	}
	web := h.machine("web1", 5000, 5000)
	var took []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		for _, op := range []string{"prepare", "start", "started", "stopped", "release"} {
			web.ID = 5000 + len(took)/5
			begun := time.Now()
			if err := h.Hook(control.HookCall{Op: op, Domain: web}); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(begun))
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs/call-median")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs/call-p99")
	b.ReportMetric(float64(took[len(took)-1].Microseconds()), "µs/call-max")
}
