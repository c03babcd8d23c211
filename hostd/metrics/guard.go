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
)

// send gives one value to Prometheus.
type send func(d *prometheus.Desc, v float64, labels ...string)

// guarded sends what the guard has refused.
func guarded(g control.GuardStatus, counter, gauge send) {
	if g.Mode == "" || g.Mode == config.GuardOff {
		return
	}
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

// label makes a name that a process has given itself one that a label may have, which
// is UTF-8.
func label(name string) string { return strings.ToValidUTF8(name, "?") }
