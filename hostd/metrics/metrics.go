package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"headgate/backends"
	"headgate/hostd/config"
	"headgate/hostd/control"
)

// Waits is the histogram of how long requests waited that were not granted at
// once.
type Waits struct{ histogram prometheus.Histogram }

// NewWaits returns an empty histogram, from 1 ms to about a minute.
func NewWaits() *Waits {
	return &Waits{prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "headgate_guest_wait_seconds",
		Help:    "How long requests waited that were not granted at once.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 17),
	})}
}

// Observe takes one wait.
func (w *Waits) Observe(d time.Duration) { w.histogram.Observe(d.Seconds()) }

// Handler answers scrapes with what status and readers say at that moment.
func Handler(status func() control.Status, readers func() (control.RNG, error), waits *Waits) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{status}, drinkers{readers}, waits.histogram,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// collector turns a status into metrics.
type collector struct{ status func() control.Status }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("headgate_"+name, help, labels, nil)
}

var (
	buildInfo = desc("build_info", "The version of hostd; always 1.", "version")

	sourceUp       = desc("source_up", "1 if the source has passed its tests and gives entropy.", "source")
	sourceRaw      = desc("source_raw_bytes_total", "Raw bytes read from the source.", "source")
	sourceBits     = desc("source_entropy_bits_total", "Min-entropy credited to the source's bytes, in bits.", "source")
	sourceFailures = desc("source_health_failures_total", "Failures of health tests (SP 800-90B §4.4).", "source", "test")
	sourceStartups = desc("source_startup_tests_total", "Start-up tests passed.", "source")

	sourceCredited = desc("source_credited", "1 if what the source brings counts; else it is only mixed in.", "source")

	reservoirBytes       = desc("reservoir_bytes", "Conditioned full-entropy bytes held ready.")
	reservoirCapacity    = desc("reservoir_capacity_bytes", "Conditioned bytes that can be held.")
	reservoirConditioned = desc("reservoir_conditioned_bytes_total", "Bytes that were conditioned.")
	reservoirOrigins     = desc("reservoir_origins_up", "Distinct origins of credited sources that are up.")
	reservoirNeeded      = desc("reservoir_origins_needed", "Distinct origins that a block needs (min_sources): with fewer up, nothing new comes into the reservoir.")

	guestBytes     = desc("guest_bytes_total", "Bytes given to the guest: full, those of the reservoir; drbg, those of its own DRBG.", "guest", "quality")
	guestSeeds     = desc("guest_drbg_seeds_total", "Times that the guest's DRBG was seeded from the reservoir, the first included.", "guest")
	guestStale     = desc("guest_drbg_stale", "1 if the guest's DRBG gives nothing because it has had no seed for max_stale.", "guest")
	guestRequests  = desc("guest_requests_total", "Requests of the guest.", "guest")
	guestThrottled = desc("guest_throttled_seconds_total", "Time that the guest waited, for its own rate or for the supply.", "guest", "reason")
	guestFirst     = desc("guest_first_bytes_seconds", "From the guest's last connect to its first 64 bytes.", "guest")
	guestSeeded    = desc("guest_seeded_seconds", "From when the guest's guestd was connected or pushed to, whichever was last, to its report that its kernel is seeded, by the host's clock; not there until that comes. A port is connected while its guest boots, or is paused. The many short sessions over a vchan count as one connection, from the first.", "guest")
	guestReseeds   = desc("guest_reseeds_total", "Reports of the guest's guestd, by its reason to reseed; health: it did not, because what it got failed a test; other: in words of its own.", "guest", "reason")
	guestConnected = desc("guest_connected", "1 if the guest is connected to one of its pipes.", "guest")
	guestRefused   = desc("guest_refused_total", "Clients that were turned away from the guest's pipes.", "guest")
	guestErrors    = desc("guest_errors_total", "Connections closed because the guest's side broke the protocol or failed, and reads of garbage.", "guest")
	guestProblems  = desc("guest_problems", "What the guest's domain has wrong in its policy or its devices: hostd libvirt status, or hostd xen status, names it.", "guest")
	guestDropped   = desc("guest_dropped_total", "What the guest asked for or offered and was not taken: EGD's opcode 03, requests beyond the bound.", "guest")

	hostFed      = desc("host_fed", "1 if the kernel of this host was fed the last time; not there if it is not to be.")
	hostBytes    = desc("host_bytes_total", "Bytes mixed into the pool of this host's kernel.")
	hostCredited = desc("host_credited_bits_total", "Min-entropy credited to the pool of this host's kernel, in bits.")

	seedsGiven = desc("seeds_given_total", "Seeds that hostd seed was given, each of 512 bytes.")

	libvirtConnected = desc("libvirt_connected", "1 if libvirt's domains are followed; not there if they are not to be.")
	libvirtDomains   = desc("libvirt_domains", "Domains of libvirt's that are fed, or are to be.")
	libvirtProblems  = desc("libvirt_domain_problems", "What domains of libvirt's that are no guests, and get nothing, have wrong: hostd libvirt doctor names it.")
	libvirtHookCalls = desc("libvirt_hook_calls_total", "Calls of libvirt's hook, and of attach before a live attach.")

	xenConnected = desc("xen_connected", "1 if Xen's domains are followed; not there if they are not to be, or this host is no Xen dom0.")
	xenDomains   = desc("xen_domains", "Domains of Xen's that are fed, or are to be.")
	xenProblems  = desc("xen_domain_problems", "What domains of Xen's that are no guests, and get nothing, have wrong: hostd xen doctor names it.")
)

// Describe sends nothing: the collector is unchecked, its guests come and go.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect reads one status.
func (c collector) Collect(out chan<- prometheus.Metric) {
	s := c.status()
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(buildInfo, 1, s.Version)
	gauge(reservoirBytes, float64(s.Reservoir.Level))
	gauge(reservoirCapacity, float64(s.Reservoir.Capacity))
	counter(reservoirConditioned, float64(s.Reservoir.ConditionedBytes))
	gauge(reservoirOrigins, float64(s.Reservoir.OriginsUp))
	gauge(reservoirNeeded, float64(s.Reservoir.MinSources))
	if s.Host.Feed {
		gauge(hostFed, truth(!s.Host.FedAt.IsZero() && s.Host.Error == ""))
	}
	counter(hostBytes, float64(s.Host.Bytes))
	counter(hostCredited, float64(s.Host.CreditedBits))
	counter(seedsGiven, float64(s.SeedsGiven))
	if s.Libvirt.Follow {
		gauge(libvirtConnected, truth(s.Libvirt.Connected))
	}
	gauge(libvirtDomains, float64(s.Libvirt.Domains))
	gauge(libvirtProblems, float64(s.Libvirt.ProblemCount))
	counter(libvirtHookCalls, float64(s.Libvirt.HookCalls))
	if s.Xen.Follow && s.Xen.Dom0 {
		gauge(xenConnected, truth(s.Xen.Connected))
		gauge(xenDomains, float64(s.Xen.Domains))
		gauge(xenProblems, float64(s.Xen.ProblemCount))
	}
	guarded(s.Guard, counter, gauge)
	for _, src := range s.Sources {
		gauge(sourceUp, truth(src.State == backends.Up), src.Name)
		gauge(sourceCredited, truth(src.Credited), src.Name)
		counter(sourceRaw, float64(src.RawBytes), src.Name)
		counter(sourceBits, float64(src.EntropyBits), src.Name)
		counter(sourceStartups, float64(src.Startups), src.Name)
		for test, n := range src.Failures {
			counter(sourceFailures, float64(n), src.Name, test)
		}
	}
	for _, g := range s.Guests {
		connected, refused, errs, dropped := false, uint64(0), uint64(0), uint64(0)
		for _, p := range g.Pipes {
			connected = connected || p.Connected
			refused, errs, dropped = refused+p.Refused, errs+p.Errors, dropped+p.Dropped
		}
		if g.Quality != config.QualityDRBG || g.BytesFull > 0 {
			counter(guestBytes, float64(g.BytesFull), g.Name, config.QualityFull)
		}
		if g.DRBG != nil {
			counter(guestBytes, float64(g.BytesDRBG), g.Name, config.QualityDRBG)
			counter(guestSeeds, float64(g.DRBG.Seeds), g.Name)
			gauge(guestStale, truth(g.DRBG.Stale), g.Name)
		}
		counter(guestRequests, float64(g.Requests), g.Name)
		counter(guestThrottled, g.ThrottledRate, g.Name, "rate")
		counter(guestThrottled, g.ThrottledSupply, g.Name, "supply")
		if g.Seeded {
			gauge(guestFirst, g.FirstBytes, g.Name)
		}
		if g.SeededSeconds > 0 {
			gauge(guestSeeded, g.SeededSeconds, g.Name)
		}
		for reason, n := range g.Reseeds {
			counter(guestReseeds, float64(n), g.Name, reason)
		}
		gauge(guestConnected, truth(connected), g.Name)
		counter(guestRefused, float64(refused), g.Name)
		counter(guestErrors, float64(errs), g.Name)
		counter(guestDropped, float64(dropped), g.Name)
		if g.Domain != nil {
			gauge(guestProblems, float64(len(g.Domain.Problems)), g.Name)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
