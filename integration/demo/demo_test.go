//go:build linux

package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"headgate/hostd/control"
)

func TestFlow(t *testing.T) {
	var f flow
	begun := time.Unix(1000, 0)
	for i := range 101 { // 10 s at 4096 bytes/s
		f.add(begun.Add(time.Duration(i)*100*time.Millisecond), uint64(4096*i/10))
	}
	if got := f.rate(); got < 4090 || got > 4100 {
		t.Errorf("rate %.1f, want 4096", got)
	}
	if len(f.history) != 10 {
		t.Errorf("%d seconds of history, want 10", len(f.history))
	}
	if got := strings.TrimSpace(sparkline(f.history, 4096)); got != strings.Repeat("█", 10) {
		t.Errorf("sparkline %q", got)
	}
	f.add(begun.Add(11*time.Second), 5) // hostd was started again
	if got := f.rate(); got != 0 {
		t.Errorf("rate %.1f of a count that fell, want 0", got)
	}
}

func TestBars(t *testing.T) {
	for share, want := range map[float64]string{-1: "░░░░", 0: "░░░░", 0.5: "██░░", 1: "████", 2: "████"} {
		full, empty := bar(share, 4)
		if full+empty != want {
			t.Errorf("bar(%v) = %q, want %q", share, full+empty, want)
		}
	}
	if got := sparkline([]float64{0, 50, 100, 200}, 100); strings.TrimSpace(got) != "▁▅██" || len([]rune(got)) != columns {
		t.Errorf("sparkline %q", got)
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[float64]string{0: "0 B", 1023: "1023 B", 4096: "4.00 KiB", 200 << 10: "200 KiB", 3 << 20: "3.0 MiB", 64 << 20: "64 MiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%v) = %q, want %q", n, got, want)
		}
	}
}

// played is a scene at its end.
func played() *scene {
	s := newScene()
	s.saw(control.Status{
		Sources: []control.SourceStatus{
			{Name: "hwrng", Path: "/dev/hwrng", Driver: "virtio_rng.0", State: sourceUp, MinEntropy: 2, Assumed: true, RawBytes: 90000},
			{Name: "rdseed", State: "missing", Error: "not on this CPU"},
		},
		Reservoir: control.ReservoirStatus{Level: 48 << 10, Capacity: 64 << 10, ConditionedBytes: 1 << 20},
		Guests: []control.GuestStatus{
			{Name: greedy, Bytes: 80000, Pipes: []control.PipeStatus{{Connected: true}}},
			{Name: normal, Bytes: 500, LastReport: &control.Report{CreditedBits: 512, Version: "dev", Reason: "interval"}},
		},
	}, time.Now())
	for _, name := range []string{greedy, normal} {
		s.change(name, func(a *actor) {
			a.booted, a.ready, a.readyAfter, a.peakKiB = time.Second, 40*time.Millisecond, "it was asked to", 1700
		})
	}
	s.measured(4096*16, 16*time.Second)
	s.note("all is said")
	return s
}

func TestFrame(t *testing.T) {
	text := strings.Join(frame(played(), time.Now(), 24), "\n")
	t.Log("\n" + text)
	for _, want := range []string{"virtio_rng.0", "assumed", "healthy", "not on this CPU", "48 KiB of 64 KiB", "credited 512 bits", "all is said"} {
		if !strings.Contains(text, want) {
			t.Errorf("the frame does not show %q", want)
		}
	}
	if all := frame(played(), time.Now(), 5); strings.Contains(strings.Join(all, "\n"), "all is said") {
		t.Error("a note is shown where there is no room for it")
	}
	if empty := strings.Join(frame(newScene(), time.Now(), 24), "\n"); !strings.Contains(empty, "not up yet") {
		t.Errorf("the first frame is\n%s", empty)
	}
}

func TestConclude(t *testing.T) {
	var out bytes.Buffer
	if err := conclude(&out, played()); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	t.Log(out.String())
	for name, spoil := range map[string]func(*scene){
		"too much":       func(s *scene) { s.measured(4300*16, 16*time.Second) },
		"nothing":        func(s *scene) { s.measured(0, 0) },
		"never ready":    func(s *scene) { s.actors[normal].ready = 0 },
		"stalled":        func(s *scene) { s.actors[greedy].latest = 2 * time.Second },
		"no report":      func(s *scene) { s.status.Guests[1].LastReport = nil },
		"health failure": func(s *scene) { s.status.Sources[0].Failures = map[string]uint64{"rct": 1} },
		"no source":      func(s *scene) { s.status.Sources = nil },
	} {
		s := played()
		spoil(s)
		out.Reset()
		if err := conclude(&out, s); !errors.Is(err, errShown) {
			t.Errorf("%s: %v\n%s", name, err, &out)
		}
	}
}

func TestLines(t *testing.T) {
	var out bytes.Buffer
	s := newScene()
	draw := lines(&out, s)
	s.note("first")
	draw()
	draw()
	if got := strings.Count(out.String(), "first"); got != 1 {
		t.Errorf("a note was told %d times", got)
	}
	draw = lines(&out, played())
	draw()
	if !strings.Contains(out.String(), "1 of 2 sources up   reservoir 48 KiB of 64 KiB   greedy 0 B/s") {
		t.Errorf("lines:\n%s", &out)
	}
}
