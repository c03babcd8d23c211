//go:build linux

package xen

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/hostd/events"
	"headgate/integration/load"
	"headgate/integration/rig"
	"headgate/integration/rig/job"
	xenhost "headgate/xen"
	"headgate/xen/xenstore"
)

// hostdInDom0 shows hostd in dom0 with a guest of each kind that has nothing but its
// guestd and a policy in dom0's xenstore: both are seeded; they are fed again at once
// when hostd was killed, and when they were saved and restored; they share a short
// supply by their weights; and nothing of them is left.
func hostdInDom0(t *testing.T, shared *sharing) {
	ctx, cancel := context.WithTimeout(t.Context(), partTime*3/2)
	defer cancel()
	h := newHosting(ctx, t)
	for name, weight := range map[string]string{"light": "1", "heavy": "3", "late": "1"} { // before they are there
		policy, uuid := xenhost.Policy{Class: "gold", Weight: weight}, shared.prepare(t, name).UUID
		if err := xenhost.SetPolicy(h.store, uuid, policy); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = xenhost.RemovePolicy(h.store, uuid) }) // if it does not come to "gone"
	}
	domUs := shared.get(t, "light", "heavy")
	stop := h.guestds(ctx, t, domUs)
	for _, d := range domUs {
		h.ready(ctx, t, d)
	}
	t.Run("policies", func(t *testing.T) {
		for name, weight := range map[string]int{"light": 1, "heavy": 3} {
			g := h.guest(ctx, t, name)
			if g.Origin != control.OriginXen || g.Class != "gold" || g.Weight != weight || !g.Transient || g.Domain == nil || len(g.Domain.Problems) > 0 {
				t.Errorf("%+v", g)
			}
		}
	})
	t.Run("killed", func(t *testing.T) {
		h.Kill()
		begun := time.Now()
		if err := h.Start(ctx); err != nil {
			t.Fatal(err)
		}
		ready := time.Now()
		for _, d := range domUs {
			at := h.reported(ctx, t, d, begun, "push")
			t.Logf("%s is fed again %s after hostd's start, %s after it was ready", d.Name, at.Sub(begun).Round(time.Millisecond), at.Sub(ready).Round(time.Millisecond))
			if took := at.Sub(begun); took > fedAgain {
				t.Errorf("%s is fed again after %s, want at most %s", d.Name, took, fedAgain)
			}
		}
	})
	stop()
	t.Run("shares", func(t *testing.T) { h.shares(ctx, t, domUs) })
	// One of each kind; that of kind pvh is there no longer than it has to be.
	both := []*rig.DomU{domUs[0], shared.get(t, "late")[0]}
	stop = h.guestds(ctx, t, both)
	h.ready(ctx, t, both[1])
	t.Run("restored", func(t *testing.T) {
		for _, d := range both {
			h.restored(ctx, t, d)
		}
	})
	stop()
	t.Run("gone", func(t *testing.T) { h.gone(ctx, t, append(domUs, both[1])) })
	shared.end("heavy")
	shared.end("late")
}

// fedAgain is how long it may take from hostd's start after a kill to the report on
// fresh bytes. Of it a start takes a second in an emulated dom0 with one processor.
const fedAgain = 3 * time.Second

// hosting is a hostd in this dom0 whose supply the test sets.
type hosting struct {
	*rig.Daemon
	noise    *load.Noise
	store    *xenstore.Conn
	credited map[string]int // bits, by each guest as it last said
}

const plenty = 16 << 10 // bytes a second

func newHosting(ctx context.Context, t *testing.T) *hosting {
	t.Helper()
	dir := rig.Dir(t)
	noise, err := load.StartNoise(context.WithoutCancel(ctx), filepath.Join(dir, "noise"), plenty)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(noise.Close)
	store, err := xenstore.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	hostd := rig.Hostd(t, "/bin/hostd", dir, noise.Source()+`
[reservoir]
size = "4KiB"
boot_reserve = "1KiB"

[[class]]
name = "gold"
rate = "unlimited"
`)
	return &hosting{hostd, noise, store, map[string]int{}}
}

// guestds starts guestd in each guest, one after the other, and returns when each has
// credited what it began with, and what stops them.
func (h *hosting) guestds(ctx context.Context, t *testing.T, domUs []*rig.DomU) (stop func()) {
	t.Helper()
	var running []*rig.Program
	for _, d := range domUs {
		begun := time.Now()
		guestd, err := d.Start(ctx, "/bin/guestd")
		if err != nil {
			t.Fatal(err)
		}
		running = append(running, guestd)
		h.credited[d.Name] = 0 // it counts anew
		h.reported(ctx, t, d, begun, "start")
	}
	return func() {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		for i, d := range domUs {
			if exit, err := running[i].Stop(ctx); err != nil || !exit.Stopped() {
				t.Errorf("stop guestd of %s: %+v, %v", d.Name, exit, err)
			}
		}
	}
}

func (h *hosting) guest(ctx context.Context, t *testing.T, name string) control.GuestStatus {
	t.Helper()
	s, err := h.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	g, _ := rig.GuestOf(s, name)
	return g
}

// reported waits for guestd's report that it credited what came for this reason after
// a time, and returns when hostd had it.
func (h *hosting) reported(ctx context.Context, t *testing.T, d *rig.DomU, after time.Time, reason string) time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	c := control.Dial(h.Control)
	defer c.Close()
	var at time.Time
	err := c.Events(ctx, 0, true, func(e events.Event) error {
		if e.Kind != "guest_reseeded" || e.Subject != d.Name || e.Time.Before(after) || e.Fields["reason"] != reason {
			return nil
		}
		bits, err := strconv.Atoi(e.Fields["credited_bits"])
		if err != nil || bits <= h.credited[d.Name] {
			t.Errorf("%s has credited %d bits, and had %d before: %v", d.Name, bits, h.credited[d.Name], err)
		}
		h.credited[d.Name], at = bits, e.Time
		return errFound
	})
	if !errors.Is(err, errFound) {
		s, _ := h.Status(context.WithoutCancel(ctx))
		g, _ := rig.GuestOf(s, d.Name)
		t.Fatalf("%s reported nothing for %q: %v: %+v, report %+v, Xen %+v", d.Name, reason, err, g, g.LastReport, s.Xen)
	}
	return at
}

var errFound = errors.New("found")

// ready says when the guest's generator was.
func (h *hosting) ready(ctx context.Context, t *testing.T, d *rig.DomU) {
	t.Helper()
	records, err := d.KernelLog(ctx, job.CRNGReady)
	if err != nil || len(records) == 0 {
		t.Fatalf("the generator of %s is not ready: %v", d.Name, err)
	}
	t.Logf("%s: crng init done %s after power-on", d.Name, records[0].At)
}

// restored saves a guest while its pipe is open and brings it back. When it goes on
// lies between the beginning and the end of xl unpause.
func (h *hosting) restored(ctx context.Context, t *testing.T, d *rig.DomU) {
	t.Helper()
	if g := h.guest(ctx, t, d.Name); len(g.Pipes) == 0 || !g.Pipes[0].Connected {
		t.Fatalf("the pipe of %s is not open: %+v", d.Name, g)
	}
	file := filepath.Join(rig.Dir(t), "saved")
	if err := d.Save(ctx, file); err != nil {
		t.Fatal(err)
	}
	until(t, d.Name+" is no guest while it is saved", func() bool { return h.guest(ctx, t, d.Name).Name == "" })
	if err := d.Restore(ctx, file); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(file)
	at := h.reported(ctx, t, d, d.Unpausing, "push")
	t.Logf("%s is domain %d: credited %s after xl unpause began, %s after it ended; its init answered after %s",
		d.Name, d.ID(), at.Sub(d.Unpausing).Round(time.Millisecond), at.Sub(d.Unpaused).Round(time.Millisecond), d.Answered.Sub(d.Unpausing).Round(time.Millisecond))
	exit, err := d.Run(ctx, 10*time.Second, "/bin/guestd", "status", "--json")
	var record struct{ Reseeded time.Time }
	if err == nil {
		err = json.Unmarshal([]byte(exit.Stdout), &record)
	}
	if err != nil {
		t.Fatal(err, exit)
	}
	t.Logf("%s: reseeded %s after its programs went on, by its own clock", d.Name, record.Reseeded.Sub(wentOn(ctx, t, d)).Round(time.Millisecond))
	within(t, d.Name+": credited, since xl unpause began:", at.Sub(d.Unpausing), max(resumedWithin, 2*d.Answered.Sub(d.Unpausing)))
	sound(ctx, t, d)
}

// shares has both guests draw all that they get of a supply that is short.
func (h *hosting) shares(ctx context.Context, t *testing.T, domUs []*rig.DomU) {
	const (
		short    = 2 << 10 // bytes a second: an emulated processor has to carry more than that
		measured = 16 * time.Second
		tol      = 0.02
	)
	for _, d := range domUs {
		drinker, err := d.Start(ctx, "/bin/hostile", "honest")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { // however this ends: guestd is to offer its ring next, and alone
			if exit, err := drinker.Stop(ctx); err != nil || exit.Stderr != "" {
				t.Errorf("%s: %+v, %v", d.Name, exit, err)
			}
		})
	}
	h.noise.SetRate(short)
	until(t, "the reservoir is drained", func() bool {
		s, err := h.Status(ctx)
		return err == nil && s.Reservoir.Level <= s.Reservoir.BootReserve
	})
	time.Sleep(2 * time.Second) // what the FIFO had has gone, too
	given := func() ([]float64, float64) {
		s, err := h.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return rig.Given(s, "light", "heavy")
	}
	before, made0 := given()
	time.Sleep(measured)
	after, made := given()
	light, heavy, made := after[0]-before[0], after[1]-before[1], made-made0
	ratio := heavy / light
	t.Logf("in %s light got %.0f bytes and heavy %.0f, %.3f times as much; together %.0f bytes/s of %.0f", measured, light, heavy, ratio, (light+heavy)/measured.Seconds(), made/measured.Seconds())
	if ratio < 3*(1-tol) || ratio > 3*(1+tol) {
		t.Errorf("heavy got %.3f times as much as light, want 3 ± %.0f%%", ratio, tol*100)
	}
	if got := light + heavy; got < made*0.9 || got > made*1.1 {
		t.Errorf("together they got %.0f bytes of %.0f", got, made)
	}
}

// gone takes the policies away.
func (h *hosting) gone(ctx context.Context, t *testing.T, domUs []*rig.DomU) {
	for _, d := range domUs {
		if there, err := xenhost.RemovePolicy(h.store, d.UUID); !there || err != nil {
			t.Fatalf("remove the policy: %v, %v", there, err)
		}
		until(t, "it is no guest without its policy", func() bool { return h.guest(ctx, t, d.Name).Name == "" })
	}
	until(t, "no guest is left", func() bool {
		s, err := h.Status(ctx)
		return err == nil && len(s.Guests) == 0 && s.Xen.Domains == 0
	})
}
