package daemon

import (
	"testing"
	"time"

	"headgate/hostd/config"
	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

const metals = gold + `
[[class]]
name = "silver"
rate = "8KiB/s"
weight = 4
selectable = true
`

// Whoever may edit a domain cannot undo what the operator has set, and can lower it.
func TestAPolicyOnlyLowersWhatWasSetLive(t *testing.T) {
	rate, weight, silver := config.Rate(512), 5, "silver"
	for name, tc := range map[string]struct {
		set      []control.GuestPatch // with the policy gold
		policy   libvirt.Policy       // that is written then
		class    string
		rate     config.Rate
		weight   int
		restored config.Rate // when the policy is gold again
	}{
		"nothing":                  {nil, libvirt.Policy{Class: "silver"}, "silver", 8 << 10, 4, 64 << 10},
		"rate, policy above":       {[]control.GuestPatch{{Rate: &rate}}, libvirt.Policy{Class: "silver"}, "silver", 512, 4, 512},
		"rate, policy below":       {[]control.GuestPatch{{Rate: &rate}}, libvirt.Policy{Class: "gold", Rate: "256B/s"}, "gold", 256, 9, 512},
		"weight":                   {[]control.GuestPatch{{Weight: &weight}}, libvirt.Policy{Class: "gold", Weight: "8"}, "gold", 64 << 10, 5, 64 << 10},
		"class":                    {[]control.GuestPatch{{Class: &silver}}, libvirt.Policy{Class: "gold", Rate: "32KiB/s"}, "silver", 8 << 10, 4, 8 << 10},
		"class, policy below":      {[]control.GuestPatch{{Class: &silver}}, libvirt.Policy{}, "silver", 1 << 10, 1, 8 << 10},
		"one after the other":      {[]control.GuestPatch{{Rate: &rate}, {Weight: &weight}}, libvirt.Policy{}, "default", 512, 1, 512},
		"a class after the others": {[]control.GuestPatch{{Rate: &rate}, {Class: &silver}}, libvirt.Policy{Class: "gold", Weight: "8"}, "silver", 8 << 10, 4, 8 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			h := host(t, metals)
			web := h.machine("web1", 1, 7)
			up := func(p libvirt.Policy) {
				web.Policy = &p
				sink{h.Daemon}.Up(web, time.Now())
			}
			up(libvirt.Policy{Class: "gold"})
			for _, patch := range tc.set {
				if err := h.SetGuest("web1", patch); err != nil {
					t.Fatal(err)
				}
			}
			up(tc.policy)
			if g := h.guest("web1"); g.Class != tc.class || g.Rate != tc.rate || g.Weight != tc.weight {
				t.Errorf("class %s, rate %v, weight %d", g.Class, g.Rate, g.Weight)
			}
			up(libvirt.Policy{Class: "gold"})
			if g := h.guest("web1"); g.Rate != tc.restored {
				t.Errorf("rate %v", g.Rate)
			}
			sink{h.Daemon}.Down(web.UUID, "", time.Now())
			up(libvirt.Policy{Class: "gold"})
			if g := h.guest("web1"); g.Class != "gold" || g.Rate != 64<<10 || g.Weight != 9 {
				t.Errorf("its next life has class %s, rate %v, weight %d", g.Class, g.Rate, g.Weight)
			}
		})
	}
}

// What is set beside a policy that was lowered does not raise it again.
func TestSettingMoreRaisesNothing(t *testing.T) {
	h := host(t, metals)
	web := h.machine("web1", 1, 7)
	web.Policy = &libvirt.Policy{Class: "gold"}
	h.boot(web)
	rate, weight := config.Rate(512), 3
	if err := h.SetGuest("web1", control.GuestPatch{Rate: &rate}); err != nil {
		t.Fatal(err)
	}
	web.Policy.Rate = "256B/s"
	sink{h.Daemon}.Up(web, time.Now())
	if err := h.SetGuest("web1", control.GuestPatch{Weight: &weight}); err != nil {
		t.Fatal(err)
	}
	if g := h.guest("web1"); g.Rate != 256 || g.Weight != 3 {
		t.Errorf("rate %v, weight %d", g.Rate, g.Weight)
	}
	sink{h.Daemon}.Up(web, time.Now())
	if g := h.guest("web1"); g.Rate != 256 || g.Weight != 3 {
		t.Errorf("rate %v, weight %d", g.Rate, g.Weight)
	}
	silver := "silver"
	if err := h.SetGuest("web1", control.GuestPatch{Class: &silver}); err != nil {
		t.Fatal(err)
	}
	h.rewrite(gold) // the class is gone
	if g := h.guest("web1"); g.Class != "gold" || g.Rate != 256 || g.Weight != 9 {
		t.Errorf("class %s, rate %v, weight %d", g.Class, g.Rate, g.Weight)
	}
}
