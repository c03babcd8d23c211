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
		l.allow(key{"k", strconv.Itoa(i)}, now)
	}
	if len(l.buckets) > maxKeys+1 {
		t.Errorf("%d keys are remembered", len(l.buckets))
	}
	l.allow(key{"k", "later"}, now.Add(2*burst*period))
	if len(l.buckets) > 2 { // the shared one still has something to tell
		t.Errorf("%d keys are remembered after a long time", len(l.buckets))
	}
}
