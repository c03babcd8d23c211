package daemon

import (
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/hostd/events"
	"headgate/hostd/quality"
	"headgate/ratelimit"
)

// newTap makes a guest's outlet under its class, with what the guest has of its own
// over it. The UUID is that of its domain, as far as it is known; "": it is not.
func (d *Daemon) newTap(name, uuid string, class config.Class) *quality.Tap {
	return quality.New(quality.Options{
		Name: name, UUID: uuid, Scheduler: d.scheduler, ObserveWait: d.waits.Observe,
		Event: func(e quality.Event) { d.log.Add(drbgEvent(name, e)) },
	}, qualityOf(class))
}

// qualityOf is what a guest gets under a class.
func qualityOf(c config.Class) quality.Config {
	return quality.Config{
		Quality:        c.Quality,
		Limits:         ratelimit.Limits{Rate: c.Rate.PerSecond(), Burst: int(c.Burst), Weight: c.Weight},
		DRBGRate:       c.DRBGRate.PerSecond(),
		ReseedBytes:    int(c.ReseedBytes),
		ReseedInterval: time.Duration(c.ReseedInterval),
		MaxStale:       time.Duration(c.MaxStale),
	}
}

// drbgEvent is what a guest's outlet tells, as it stands in the event log. A thousand
// guests' DRBGs are seeded when a host boots and stale when its sources go bad, and each
// is reseeded all the time: what happens to all of them is limited for all of them
// together, or nothing else were left in the ring.
func drbgEvent(guest string, e quality.Event) events.Event {
	out := events.Event{Subject: guest, Common: true, Fields: map[string]string{"seeds": strconv.FormatUint(e.Seeds, 10)}}
	age := e.Age.Round(time.Second).String()
	switch e.Kind {
	case quality.Seeded:
		out.Kind, out.Message = "drbg_seeded", "its DRBG is seeded from the reservoir"
	case quality.Reseeded:
		out.Level, out.Kind, out.Message = slog.LevelDebug, "drbg_reseeded", "its DRBG is reseeded from the reservoir"
		out.Fields["age"] = age
	case quality.Stale:
		out.Level, out.Kind, out.Message = slog.LevelError, "drbg_stale", "max_stale is over: its DRBG gives nothing until the sources bring a seed for it"
		out.Fields["age"] = age
	case quality.Recovered:
		out.Kind, out.Message = "drbg_recovered", "its DRBG has a seed again, and gives"
		out.Fields["age"] = age
	case quality.ToDRBG:
		out.Kind, out.Message = "quality_switched", "it takes more than its share of the reservoir, and gets bytes of its DRBG above that"
		out.Fields["to"] = quality.DRBG
	case quality.ToFull:
		out.Kind, out.Message = "quality_switched", "it keeps within its share of the reservoir, and gets bytes of that alone"
		out.Fields["to"] = quality.Full
	}
	return out
}

// requalified says that a guest gets another quality from now on than it did. It is
// another kind than what a guest's own appetite switches, which is told far more often.
func (d *Daemon) requalified(guest, was, is string) {
	if was != is {
		d.log.Add(events.Event{
			Kind: "guest_requalified", Subject: guest, Common: true, Fields: map[string]string{"from": was, "to": is},
			Message: fmt.Sprintf("it is given quality %s from now on, and was given %s", is, was),
		})
	}
}

// sayQualities says which classes give another quality in next than they did: many
// guests may have them.
func (d *Daemon) sayQualities(next *config.Config) {
	for _, is := range next.Classes {
		if was, there := d.config.Class(is.Name); there && was.Quality != is.Quality {
			d.event(slog.LevelInfo, "class_requalified", is.Name, fmt.Sprintf("the class gives quality %s from now on, and gave %s", is.Quality, was.Quality))
		}
	}
}

// drbgStatus is how a guest's DRBG is; nil: it has and had none.
func drbgStatus(c config.Class, s quality.Stats) *control.DRBGStatus {
	if c.Quality == config.QualityFull && s.Seeds == 0 {
		return nil
	}
	return &control.DRBGStatus{SeededAt: s.SeededAt, Seeds: s.Seeds, SeedBytes: s.SeedBytes, Stale: s.Stale}
}
