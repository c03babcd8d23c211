//go:build linux

package libvirt

import (
	"context"
	"strings"
	"testing"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/integration/rig"
)

// TestPolicy changes a running domain's policy in its XML, with virsh, and shows
// that hostd follows at once; that a domain cannot give itself what its class has
// not, nor a class that the operator keeps; and that each mistake is told with the
// domain's name and the attribute.
func TestPolicy(t *testing.T) {
	const kib = 1 << 10
	h := theHost(t)
	ctx := rig.Within(t, 2*time.Minute)
	h.hooked(ctx, t)
	// The most that a domain may want from the first: what libvirt starts it with
	// is judged as what it is changed to.
	d := shell(t, "greedy", "d1c7be4f-0f5f-4e6c-a9b6-3a53c2c0e001", policy(`class="operator"`), egd(guestSocket("greedy")))
	start(ctx, t, d, "--paused")
	for _, c := range []struct {
		policy  string // "-": as the domain was started
		class   string
		rate    float64 // bytes a second; 0: unlimited
		weight  int
		problem string // what it says beside the domain's name; "": none
	}{
		{"-", "default", kib, 1, "class"},
		{`<policy class="silver"/>`, "silver", 4 * kib, 2, ""},
		{`<policy class="gold" rate="2KiB/s" weight="3"/>`, "gold", 2 * kib, 3, ""},
		{`<policy class="silver" rate="1MiB/s"/>`, "silver", 4 * kib, 2, "rate"},
		{`<policy class="gold"/>`, "gold", 0, 4, ""},
		{`<policy class="silver" rate="unlimited"/>`, "silver", 4 * kib, 2, "rate"},
		{`<policy class="silver" weight="50"/>`, "silver", 4 * kib, 2, "weight"},
		{`<policy class="nowhere"/>`, "default", kib, 1, "class"},
		{`<policy class="gold" rate="fast"/>`, "default", kib, 1, "rate"},
		{`<policy class="gold"/>`, "gold", 0, 4, ""},
		{`<policy klass="gold"/>`, "default", kib, 1, "klass"},
		{`<policy class="gold" weight="-1"/>`, "default", kib, 1, "weight"},
		{`<policy class="gold" quality="best"/>`, "default", kib, 1, "quality"},
		{`<policy rate="100MiB/s"/>`, "default", kib, 1, "rate"},
		{`<policy class="silver"/>`, "silver", 4 * kib, 2, ""},
		{"", "default", kib, 1, ""},
	} {
		last := h.hostd.LastEvent(ctx, t)
		begun := time.Now()
		if c.policy != "-" {
			setPolicy(ctx, t, d, c.policy)
		}
		g := h.hostd.AwaitGuest(ctx, t, "greedy", "policy "+c.policy, func(g control.GuestStatus) bool {
			return g.Class == c.class && g.Rate == rateOf(c.rate) && g.Weight == c.weight && told(g.Domain, c.problem)
		})
		t.Logf("%s after %s: class %s, rate %v, weight %d %v", c.policy, time.Since(begun).Round(time.Millisecond),
			g.Class, g.Rate, g.Weight, g.Domain.Problems)
		if c.problem != "" && c.policy != "-" && !h.warned(ctx, t, last, "greedy", c.problem) {
			t.Errorf("%s: no event says so: %+v", c.policy, h.hostd.Events(ctx, t, last))
		}
	}
	h.destroy(ctx, t, d, "greedy")
}

func rateOf(perSecond float64) config.Rate {
	if perSecond == 0 {
		return config.Unlimited
	}
	return config.Rate(perSecond)
}

// told tells whether the domain's problems are one that has the word, or none
// without one.
func told(d *control.DomainStatus, word string) bool {
	if d == nil || word == "" {
		return d != nil && len(d.Problems) == 0
	}
	return len(d.Problems) == 1 && strings.Contains(d.Problems[0].Text, word)
}

// warned tells whether there was a warning about the domain's policy.
func (h *host) warned(ctx context.Context, t *testing.T, since uint64, domain, word string) bool {
	t.Helper()
	for _, e := range h.hostd.Events(ctx, t, since) {
		all := e.Message
		for _, f := range e.Fields {
			all += " " + f
		}
		if e.Kind == "domain_policy" && e.Subject == domain && strings.Contains(all, word) {
			return true
		}
	}
	return false
}

// setPolicy changes the running domain's policy; "" takes it away.
func setPolicy(ctx context.Context, t *testing.T, d *rig.Domain, xml string) {
	t.Helper()
	args := []string{"metadata", d.UUID, "urn:headgate:policy:1", "--live"}
	if xml == "" {
		args = append(args, "--remove")
	} else {
		args = append(args, "--key", "headgate", "--set", xml)
	}
	if _, err := rig.Virsh(ctx, args...); err != nil {
		t.Fatal(err)
	}
}
