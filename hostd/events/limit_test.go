package events

import (
	"strconv"
	"testing"
	"time"
)

func TestFloodIsLimitedAndCounted(t *testing.T) {
	l, now := stepped(quiet())
	for range 10_000 {
		l.Add(Event{Kind: "refused", Subject: "web1"})
	}
	l.Add(Event{Kind: "refused", Subject: "web2"})
	l.Add(Event{Kind: "connected", Subject: "web1"})
	if n := len(l.Since(0)); n != burst+2 {
		t.Fatalf("%d events were taken, want %d", n, burst+2)
	}
	*now = now.Add(period)
	l.Add(Event{Kind: "refused", Subject: "web1"})
	l.Add(Event{Kind: "refused", Subject: "web1"})
	list := l.Since(burst + 2)
	if len(list) != 1 || list[0].Fields["suppressed"] != strconv.Itoa(10_000-burst) {
		t.Errorf("after a period: %+v", list)
	}
}

// What happens to many guests again and again leaves room for what happens once.
func TestCommonEventsAreLimitedTogether(t *testing.T) {
	l, now := stepped(quiet())
	l.Add(Event{Kind: "source_failed", Subject: "trng0"})
	for i := range 24 * 60 * 100 {
		if i%100 == 0 {
			*now = now.Add(time.Minute)
		}
		l.Add(Event{Kind: "reseeded", Subject: "web" + strconv.Itoa(i%100), Common: true})
	}
	l.Add(Event{Kind: "reseeded", Subject: "web1"}) // of its own, another limit
	list := l.Since(0)
	if n, most := len(list)-2, int(burst+24*time.Hour/commonPeriod); n < most-1 || n > most {
		t.Errorf("%d of them were taken in a day, want %d", n, most)
	}
	if list[0].Kind != "source_failed" {
		t.Error("the ring has lost an event that came before them")
	}
	if last := list[len(list)-2]; last.Fields["suppressed"] != strconv.Itoa(5*100-1) {
		t.Errorf("suppressed: %+v", last)
	}
}

func TestQuietKeyGetsItsBurstBack(t *testing.T) {
	l, now := stepped(quiet())
	for range 2 * burst {
		l.Add(Event{Kind: "k"})
	}
	*now = now.Add(burst * period)
	before := len(l.Since(0))
	for range 2 * burst {
		l.Add(Event{Kind: "k"})
	}
	if n := len(l.Since(0)) - before; n != burst {
		t.Errorf("%d events after a long time, want %d", n, burst)
	}
}

func TestClockGoesBack(t *testing.T) {
	l, now := stepped(quiet())
	for range burst {
		l.Add(Event{Kind: "k"})
	}
	*now = now.Add(-time.Hour)
	l.Add(Event{Kind: "k"})
	*now = now.Add(period)
	l.Add(Event{Kind: "k"})
	if n := len(l.Since(0)); n != burst+1 {
		t.Errorf("%d events, want %d: none for going back, one for a period after it", n, burst+1)
	}
}

func TestLimiterForgetsAndIsBounded(t *testing.T) {
	l := limiter{buckets: map[key]*bucket{}}
	now := time.Now()
	for i := range maxKeys + 1000 {
		l.allow(key{kind: "k", subject: strconv.Itoa(i)}, now)
	}
	if len(l.buckets) > maxKeys+1 {
		t.Errorf("%d keys are remembered", len(l.buckets))
	}
	l.allow(key{kind: "k", subject: "later"}, now.Add(2*burst*period))
	if len(l.buckets) > 2 { // the shared one still has something to tell
		t.Errorf("%d keys are remembered after a long time", len(l.buckets))
	}
}
