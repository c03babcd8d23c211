//go:build linux

package sign

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// No time has more turns than a burst and what the rate gives, whatever the times.
func TestPace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p pace
		now := time.Now()
		var turns []time.Time
		for range 20 {
			gap := time.Duration(rapid.Int64Range(0, int64(8*time.Millisecond)).Draw(t, "gap"))
			for range rapid.IntRange(1, paceBurst).Draw(t, "turns") {
				turns = append(turns, now)
				now = now.Add(p.took(now) + gap)
			}
		}
		for i := range turns {
			for _, n := range []int{1, paceRate, paceBurst, 5 * paceBurst} {
				if i+n >= len(turns) {
					break
				}
				d := turns[i+n].Sub(turns[i])
				if most := paceBurst + paceRate*(int(d/time.Second)+1); n > most {
					t.Fatalf("%d turns in %v", n, d)
				}
			}
		}
	})
}

func TestPaceIsOutOfTheWay(t *testing.T) {
	var p pace
	now := time.Now()
	for range 10 * paceBurst {
		if wait := p.took(now); wait != 0 {
			t.Fatalf("waits %v", wait)
		}
		now = now.Add(time.Second / paceRate)
	}
	for range paceBurst / 2 { // at once
		if wait := p.took(now); wait != 0 {
			t.Fatalf("waits %v", wait)
		}
	}
	if wait := p.took(now.Add(-time.Hour)); wait != 0 {
		t.Errorf("waits %v for a clock that was set back", wait)
	}
}

// Of any events there is a sign at the first; never more than one in half a burst's
// length; and none is left without a sign after it, at the latest when a burst ends.
func TestBurst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b burst
		now := time.Now()
		began, told, pending := now, 0, false
		step := func(at time.Time, event bool) {
			now = at
			quiet := b.ends.IsZero() || !now.Before(b.ends) && !b.more
			tell := b.at(now, event)
			if pending = (pending || event) && !tell; tell {
				told++
			}
			if event && quiet && !tell {
				t.Fatal("the first of a burst is not told")
			}
			if pending && b.ends.IsZero() {
				t.Fatal("an event is forgotten")
			}
		}
		for range rapid.IntRange(1, 200).Draw(t, "events") {
			at := now.Add(time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "gap")))
			for !b.ends.IsZero() && !at.Before(b.ends) { // the deadline comes first
				step(b.ends, false)
			}
			step(at, true)
		}
		for !b.ends.IsZero() {
			step(b.ends, false)
		}
		if pending {
			t.Fatal("an event was never told")
		}
		if most := 2 + 2*int(now.Sub(began)/burstEnds); told > most {
			t.Fatalf("%d signs in %v", told, now.Sub(began))
		}
	})
}

// QEMU's five announcements after a restore are two signs.
func TestBurstOfQEMU(t *testing.T) {
	var b burst
	now, told := time.Now(), 0
	for _, ms := range []int{0, 50, 200, 450, 800} {
		if b.at(now.Add(time.Duration(ms)*time.Millisecond), true) {
			told++
		}
	}
	for range 3 {
		if !b.ends.IsZero() && b.at(b.ends, false) {
			told++
		}
	}
	if told != 2 || !b.ends.IsZero() {
		t.Errorf("%d signs, ends %v", told, b.ends)
	}
}
