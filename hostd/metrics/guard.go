package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"headgate/hostd/config"
	"headgate/hostd/control"
)

var (
	guardUp      = desc("guard_up", "1 if the kernel refuses hostd every inet socket and counts who tries; not there if the guard is off.")
	guardRefused = desc("guard_refused_total", "Inet sockets that were refused to hostd or what it runs, by family (inet, inet6) and process.", "family", "process")

	unmetered = desc("rng_unmetered_bytes", "Bytes that a QEMU which runs now has read of /dev/hwrng, /dev/random or /dev/urandom of the host itself, past Headgate, by what it calls its domain.", "domain")
)

// send gives one value to Prometheus.
type send func(d *prometheus.Desc, v float64, labels ...string)

// guarded sends what the guard has refused, and what guests have past hostd.
func guarded(s control.Status, counter, gauge send) {
	if g := s.Guard; g.Mode != "" && g.Mode != config.GuardOff {
		gauge(guardUp, truth(g.Up))
		type tried struct{ family, process string }
		refused := map[tried]uint64{}
		for _, r := range g.Refused.By {
			refused[tried{label(r.Family), label(r.Process)}] += r.Count
		}
		for who, n := range refused {
			counter(guardRefused, float64(n), who.family, who.process)
		}
	}
	past := map[string]uint64{}
	for _, u := range s.Meter.Unmetered {
		past[label(u.Domain)] += u.Bytes
	}
	for domain, n := range past {
		gauge(unmetered, float64(n), domain)
	}
}

// label makes a name that a process has given itself one that a label may have, which
// is UTF-8.
func label(name string) string { return strings.ToValidUTF8(name, "?") }
