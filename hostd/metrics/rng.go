package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"headgate/hostd/control"
	"headgate/hostd/meter"
)

var (
	rngSeen   = desc("rng_seen", "1 if it is counted who reads randomness from the host's kernel this way: hwrng, random, urandom (the devices), getrandom (the system call); not there if the meter is off or could not be attached.", "way")
	rngBytes  = desc("rng_read_bytes_total", "Bytes that processes of this host read from its kernel's randomness this way since hostd was started.", "way")
	rngReads  = desc("rng_reads_total", "Calls that read from the kernel's randomness this way, those that gave nothing included.", "way")
	rngMissed = desc("rng_missed_total", "Calls that are known not to have been counted.", "way")

	rngUserBytes = desc("rng_user_bytes_total", "Bytes of rng_read_bytes_total by who read them; domain is what a QEMU calls its guest. Processes of one name in one cgroup are one, also after they ended; (others) are those that were too many to be told apart.", "way", "process", "cgroup", "domain")
	rngUserReads = desc("rng_user_reads_total", "Calls of rng_reads_total by who made them, likewise.", "way", "process", "cgroup", "domain")

	unmetered = desc("rng_unmetered_bytes", "Bytes that a QEMU which runs now has read of /dev/hwrng, /dev/random or /dev/urandom of the host itself, past Headgate, by what it calls its domain.", "domain")
)

// drinkers turns what the meter shows into metrics.
type drinkers struct {
	readers func() (control.RNG, error)
}

// Describe sends nothing: the collector is unchecked, readers come.
func (d drinkers) Describe(chan<- *prometheus.Desc) {}

// Collect reads the meter once. Where there is none it sends nothing: status says why.
func (d drinkers) Collect(out chan<- prometheus.Metric) {
	r, err := d.readers()
	if err != nil {
		return
	}
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	for _, w := range r.Meter.Ways {
		way := string(w.Way)
		out <- prometheus.MustNewConstMetric(rngSeen, prometheus.GaugeValue, truth(w.How != ""), way)
		if w.How != "" {
			counter(rngBytes, w.Bytes, way)
			counter(rngReads, w.Calls, way)
			counter(rngMissed, w.Missed, way)
		}
	}
	type who struct {
		way                     meter.Way
		process, cgroup, domain string
	}
	type sum struct{ bytes, calls uint64 }
	sums := map[who]sum{}
	add := func(process, cgroup, domain string, bytes, calls map[meter.Way]uint64) {
		for _, way := range meter.Ways() {
			if bytes[way] == 0 && calls[way] == 0 {
				continue
			}
			w := who{way, label(process), label(cgroup), label(domain)}
			s := sums[w]
			sums[w] = sum{s.bytes + bytes[way], s.calls + calls[way]}
		}
	}
	for _, u := range r.Meter.Users {
		add(u.Process, u.Cgroup, u.Domain, u.Bytes, u.Calls)
	}
	add("(others)", "", "", r.Meter.Other.Bytes, r.Meter.Other.Calls)
	for w, s := range sums {
		counter(rngUserBytes, s.bytes, string(w.way), w.process, w.cgroup, w.domain)
		counter(rngUserReads, s.calls, string(w.way), w.process, w.cgroup, w.domain)
	}
	past := map[string]uint64{}
	for _, u := range control.UnmeteredIn(r.Meter) {
		past[label(u.Domain)] += u.Bytes
	}
	for domain, n := range past {
		out <- prometheus.MustNewConstMetric(unmetered, prometheus.GaugeValue, float64(n), domain)
	}
}
