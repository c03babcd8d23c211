package control

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"headgate/kvm/libvirt"
)

const uuid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

func TestHookIsToldAsItIs(t *testing.T) {
	f := fake()
	c, _ := serve(t, f)
	uid := uint32(64055)
	domain := libvirt.Domain{
		Name: "a b", UUID: uuid, ID: 7, UID: &uid, Label: "system_u:object_r:svirt_image_t:s0:c1,c2",
		Policy:   &libvirt.Policy{Class: "gold", Rate: "1KiB/s", Weight: "2", Quality: "full", Unknown: []string{"x"}},
		RNGs:     []libvirt.RNG{{Backend: "egd", Type: "unix", Mode: "connect", Path: "/run/a.sock", Reconnect: 1, Alias: "rng0"}},
		Channels: []libvirt.Channel{{Mode: "connect", Path: "/run/a.port", Reconnect: 1}},
		Vhosts:   []libvirt.Vhost{{Path: "/run/a.vhost/sock", Server: true, Wait: true, Private: true}},
	}
	before := libvirt.Clock()
	if err := c.Hook(t.Context(), HookCall{Op: "start", Domain: domain}); err != nil {
		t.Fatal(err)
	}
	got := f.Hooks[0]
	if got.Op != "start" || !reflect.DeepEqual(got.Domain, domain) {
		t.Errorf("told %+v, came as %+v", domain, got)
	}
	if got.At < before || got.At > libvirt.Clock() {
		t.Errorf("told at %v, not now", got.At)
	}
	domain.UUID = ""
	if err := c.Hook(t.Context(), HookCall{Op: "start", Domain: domain}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a domain without a UUID: %v", err)
	}
	f.HookErr = errors.New("no room")
	domain.UUID = uuid
	if err := c.Hook(t.Context(), HookCall{Op: "start", Domain: domain}); err == nil || err.Error() != "no room" {
		t.Errorf("a call that fails: %v", err)
	}
}

// TestAnyDomainFitsARequest tells of one with very many devices, and every text of
// it as long as it can be and such as JSON makes longest: the devices that are ours
// arrive.
func TestAnyDomainFitsARequest(t *testing.T) {
	f := fake()
	c, _ := serve(t, f)
	long := strings.Repeat("<", 5000)
	value := strings.Repeat("<", libvirt.MaxValue)
	domain := libvirt.Domain{
		Name: strings.Repeat("<", 255), UUID: uuid, Label: strings.Repeat("<", libvirt.MaxLabel),
		Policy: &libvirt.Policy{Class: value, Rate: value, Weight: value, Quality: value, Unknown: slices.Repeat([]string{value}, libvirt.MaxUnknown)},
	}
	path := strings.Repeat("<", MaxPath)
	for range 1000 {
		domain.RNGs = append(domain.RNGs, libvirt.RNG{Backend: "random", Path: "/dev/urandom"}, libvirt.RNG{Backend: "egd", Type: "unix", Path: long})
	}
	for range 1000 {
		domain.RNGs = append(domain.RNGs, libvirt.RNG{Backend: "egd", Type: "unix", Mode: long, Path: path, Alias: long})
		domain.Channels = append(domain.Channels, libvirt.Channel{Mode: long, Path: path})
		domain.Vhosts = append(domain.Vhosts, libvirt.Vhost{Path: long}, libvirt.Vhost{Path: path, Server: true, Wait: true, Reconnect: 1 << 30, Private: true})
	}
	call := HookCall{Op: "prepare", Domain: domain}
	data, err := json.Marshal(call.bounded())
	if err != nil || len(data) > maxBody {
		t.Fatalf("a call has %d bytes, %v", len(data), err)
	}
	if err := c.Hook(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if got := f.Hooks[0].Domain; len(got.RNGs) != maxDevices || got.RNGs[0].Path != path || len(got.Channels) != maxDevices || len(got.Vhosts) != maxDevices || got.Vhosts[0].Path != path {
		t.Errorf("came as %+v", got)
	}
	if len(domain.RNGs) != 3000 {
		t.Error("the caller's domain was changed")
	}
}

// Whoever does not cut a domain as ParseDomain does is turned away.
func TestABoundedDomainIsDemanded(t *testing.T) {
	long := strings.Repeat("a", libvirt.MaxValue+1)
	for name, change := range map[string]func(*libvirt.Domain){
		"label":    func(d *libvirt.Domain) { d.Label = strings.Repeat("a", libvirt.MaxLabel+1) },
		"rate":     func(d *libvirt.Domain) { d.Policy.Rate = long },
		"unknown":  func(d *libvirt.Domain) { d.Policy.Unknown = []string{long} },
		"unknowns": func(d *libvirt.Domain) { d.Policy.Unknown = make([]string, libvirt.MaxUnknown+1) },
		"rngs":     func(d *libvirt.Domain) { d.RNGs = make([]libvirt.RNG, maxDevices+1) },
		"vhosts":   func(d *libvirt.Domain) { d.Vhosts = make([]libvirt.Vhost, maxDevices+1) },
	} {
		d := libvirt.Domain{Name: "a", UUID: uuid, Label: strings.Repeat("a", libvirt.MaxLabel), Policy: &libvirt.Policy{Rate: long[1:]}}
		if err := (HookCall{Op: "start", Domain: d}).Check(); err != nil {
			t.Fatal(err)
		}
		change(&d)
		if err := (HookCall{Op: "start", Domain: d}).Check(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
