package command

import (
	"slices"
	"strings"
	"testing"

	"headgate/kvm/libvirt"
)

// TestDevicesAreFoundAsTheyStand: libvirt gets a device's own text back.
func TestDevicesAreFoundAsTheyStand(t *testing.T) {
	text := "<?xml version='1.0'?><!-- <rng/> --><domain><x:devices xmlns:x='u'><rng/></x:devices><other><rng/></other><devices><disk><rng/></disk>" +
		urandom + agent + stalePort + "<rng model='virtio'/>" + "</devices></domain>"
	found, err := devicesOf([]byte(text))
	if err != nil || len(found) != 3 {
		t.Fatalf("%+v, %v", found, err)
	}
	for i, want := range []string{strings.TrimSpace(urandom), strings.TrimSpace(stalePort), "<rng model='virtio'/>"} {
		if found[i].xml != want {
			t.Errorf("%q, want %q", found[i].xml, want)
		}
	}
	if _, err := devicesOf(make([]byte, libvirt.MaxXML+1)); err == nil {
		t.Error("more than the bound")
	}
}

func FuzzDevices(f *testing.F) {
	for _, devices := range []string{urandom, stale + agent, stalePort + forgetful, "<rng>", "<devices><rng/></devices>"} {
		f.Add([]byte("<domain><devices>" + devices + "</devices></domain>"))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := libvirt.ParseDomain(text)
		if err != nil {
			return
		}
		found, err := devicesOf(text)
		if err != nil {
			return // an element that cannot stand alone
		}
		var rngs []libvirt.RNG
		var ports []libvirt.Channel
		for _, o := range found {
			if !strings.Contains(string(text), o.xml) {
				t.Errorf("%q is not in it", o.xml)
			}
			if o.rng != nil {
				rngs = append(rngs, *o.rng)
			}
			if o.channel != nil {
				ports = append(ports, *o.channel)
			}
		}
		if !slices.Equal(rngs, d.RNGs) || !slices.Equal(ports, d.Channels) {
			t.Errorf("%+v %+v, and the domain has %+v %+v", rngs, ports, d.RNGs, d.Channels)
		}
	})
}
