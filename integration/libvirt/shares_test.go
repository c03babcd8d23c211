//go:build linux

package libvirt

import (
	"testing"
	"time"

	"headgate/integration/rig"
)

// TestSharesByWeight boots two guests while hostd is killed, whose XML gives them
// the weights 1 and 3 of one class. Both come up without it, are fed within 2 s of
// its start, and share a supply that is short 1:3.
func TestSharesByWeight(t *testing.T) {
	const (
		supply   = 2 * short
		measured = 16 * time.Second
		tol      = 0.02
	)
	h := theHost(t)
	ctx := rig.Within(t, 3*time.Minute)
	h.hooked(ctx, t)
	var domains []*rig.Domain
	for name, c := range map[string]struct{ uuid, weight string }{
		"light": {"0b6d6c5e-3c55-49ac-8c4b-1f7b2f0f4a01", "1"},
		"heavy": {"0b6d6c5e-3c55-49ac-8c4b-1f7b2f0f4a03", "3"},
	} {
		domains = append(domains, h.machine(t, name, c.uuid, policy(`class="gold" weight="`+c.weight+`"`), egd(guestSocket(name))))
	}

	h.hostd.Kill()
	for _, d := range domains {
		begun := time.Now()
		start(ctx, t, d)
		t.Logf("without hostd, virsh start %s took %s", d.Name, time.Since(begun).Round(time.Millisecond))
	}
	// Inserting virtio-rng may take until there is something to read: Linux holds
	// one lock over both (reading_mutex, drivers/char/hw_random/core.c).
	inserted := make(chan error, len(domains))
	for _, d := range domains {
		if err := d.Booted(ctx); err != nil {
			t.Fatal(err)
		}
		go func() { inserted <- d.Insmod(ctx, rig.ModuleRNG) }()
	}
	rig.Pause(ctx, t, 500*time.Millisecond)
	h.startHostd(ctx, t)
	begun := time.Now()
	for range domains {
		if err := <-inserted; err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range domains {
		read := rig.Follow(ctx, t, d.Init, h.seen)
		took := read.Await(t, 192, 30*time.Second).Host.Sub(begun)
		t.Logf("%s was fed %s after hostd was back", d.Name, took.Round(time.Millisecond))
		if took > atMost {
			t.Errorf("%s was fed %s after hostd was back, want at most %s", d.Name, took, atMost)
		}
	}

	h.supply(t, supply)
	h.drained(ctx, t)
	rig.Pause(ctx, t, time.Second) // what the pipe to hostd still had has gone, too
	before, made0 := rig.Given(h.status(ctx, t), "light", "heavy")
	rig.Pause(ctx, t, measured)
	after, made := rig.Given(h.status(ctx, t), "light", "heavy")
	light, heavy, made := after[0]-before[0], after[1]-before[1], made-made0
	ratio := heavy / light
	t.Logf("in %s light got %.0f bytes and heavy %.0f, %.3f times as much; together %.0f bytes/s of %.0f", measured, light, heavy, ratio,
		(light+heavy)/measured.Seconds(), made/measured.Seconds())
	if ratio < 3*(1-tol) || ratio > 3*(1+tol) {
		t.Errorf("heavy got %.3f times as much as light, want 3 ± %.0f%%", ratio, tol*100)
	}
	if got := light + heavy; got < made*0.95 || got > made*1.05 {
		t.Errorf("together they got %.0f bytes of %.0f", got, made)
	}
	for _, d := range domains {
		if g := h.fed(ctx, t, d.Name); g.Class != "gold" {
			t.Errorf("%s has class %s", d.Name, g.Class)
		}
	}
}
