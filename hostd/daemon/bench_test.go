package daemon

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/xen"
)

// BenchmarkXenOffer is what hostd does, with its lock held, whenever a guest of Xen's
// has written its nodes, beside a thousand others.
func BenchmarkXenOffer(b *testing.B) {
	x := xenHosting(b, following)
	x.await(func() bool { return x.Status().Xen.Connected }) // and nobody else tells of domains
	domains := make([]xen.Domain, 1000)
	for i := range domains {
		domains[i] = xen.Domain{ID: uint16(i + 1), UUID: uuidOf(i), Name: fmt.Sprintf("vm%d", i), Policy: &xen.Policy{}}
	}
	sink := xenSink{x.Daemon}
	sink.All(domains)
	if n := x.Status().Xen.Domains; n != len(domains) {
		b.Fatal(n, " domains")
	}
	b.ReportAllocs()
	for b.Loop() {
		domains[500].Offer = &xen.Offer{Domain: 501, Generation: 1}
		sink.Up(domains[500])
	}
}

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
