package libvirt

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// libvirt gets a device's own text back.
func TestDevicesAreFoundAsTheyStand(t *testing.T) {
	const (
		urandom = "<rng model='virtio'>\n  <backend model='random'>/dev/urandom</backend>\n</rng>"
		agent   = "<channel type='unix'><source mode='bind' path='/x'/><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
		port    = "<channel type='unix'><source mode='connect' path='/p'/><target type='virtio' name='" + EntropyPort + "'/></channel>"
		strange = "<x:rng><x:a>&lt;</x:a></x:rng><rng x:colour='red'/>"
	)
	text := "<?xml version='1.0'?><!-- <rng/> --><domain xmlns:x='u'><x:devices><rng/></x:devices><other><rng/></other><devices><disk><rng/></disk>\n" +
		urandom + agent + port + "<rng model='virtio'/>" + strange + "</devices></domain>"
	found, err := Devices([]byte(text))
	if err != nil || len(found) != 4 {
		t.Fatalf("%+v, %v", found, err)
	}
	for i, want := range []string{urandom, port, "<rng model='virtio'/>", "<rng x:colour='red'/>"} {
		if d := found[i]; d.XML != want || (d.RNG != nil) == (d.Channel != nil) || (d.Channel != nil) != (want == port) {
			t.Errorf("%+v, want %q", d, want)
		}
	}
	if found[0].RNG.Path != "/dev/urandom" || found[1].Channel.Path != "/p" || found[2].RNG.Backend != "" {
		t.Errorf("%+v", found)
	}
	for what, text := range map[string]string{
		"more than the bound":   strings.Repeat(" ", MaxXML+1),
		"no domain":             "<devices><rng/></devices>",
		"half of it":            "<domain><devices><rng>",
		"two of them":           "<domain/><domain/>",
		"more than can be used": "<domain><devices>" + strings.Repeat("<rng/>", maxDevices+1) + "</devices></domain>",
	} {
		if found, err := Devices([]byte(text)); err == nil || found != nil || !strings.HasPrefix(err.Error(), "domain XML: ") {
			t.Errorf("%s: %+v, %v", what, found, err)
		}
	}
}

// Devices and ParseDomain see the same.
func FuzzDevices(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := ParseDomain(text)
		if err != nil {
			return
		}
		found, err := Devices(text)
		if err != nil {
			t.Fatalf("a domain, and not its devices: %v", err)
		}
		var rngs []RNG
		var ports []Channel
		var vhosts []Vhost
		for _, o := range found {
			if o.Vhost != nil {
				vhosts = append(vhosts, *o.Vhost)
				if o.XML != "" || o.RNG != nil || o.Channel != nil {
					t.Errorf("%+v", o)
				}
				continue
			}
			if !bytes.Contains(text, []byte(o.XML)) || !strings.HasPrefix(o.XML, "<") || !strings.HasSuffix(o.XML, ">") {
				t.Errorf("%q is not in it", o.XML)
			}
			if o.RNG != nil {
				rngs = append(rngs, *o.RNG)
			}
			if o.Channel != nil {
				ports = append(ports, *o.Channel)
			}
		}
		if !reflect.DeepEqual(rngs, d.RNGs) || !reflect.DeepEqual(ports, d.Channels) || !reflect.DeepEqual(vhosts, d.Vhosts) {
			t.Errorf("%+v %+v %+v, and the domain has %+v %+v %+v", rngs, ports, vhosts, d.RNGs, d.Channels, d.Vhosts)
		}
	})
}

func TestFlaws(t *testing.T) {
	const waits, forgets = "waits there itself", "does not reconnect"
	for _, c := range []struct {
		mode      string
		reconnect int
		relabels  bool
		rng, port string // what it says begins with; empty: it is sound
	}{
		{"connect", 1, false, "", ""},
		{"connect", 0, false, forgets, forgets},
		{"bind", 1, false, waits, waits},
		{"", 0, false, waits, waits},
		{"connect", 1, true, "", "has no <seclabel model='dac' relabel='no'/>"},
		{"connect", 0, true, forgets, forgets},
	} {
		rng := RNG{Backend: "egd", Type: "unix", Mode: c.mode, Reconnect: c.reconnect}.Flaw()
		port := Channel{Mode: c.mode, Reconnect: c.reconnect, Relabels: c.relabels}.Flaw()
		if !strings.HasPrefix(rng, c.rng) || (rng == "") != (c.rng == "") || !strings.HasPrefix(port, c.port) || (port == "") != (c.port == "") {
			t.Errorf("%+v: rng %q, port %q", c, rng, port)
		}
	}
	for _, give := range []func(string) (string, error){RNGXML, ChannelXML} {
		text, err := give("/x")
		if err != nil {
			t.Fatal(err)
		}
		found, err := Devices([]byte("<domain><devices>" + text + "</devices></domain>"))
		if err != nil || len(found) != 1 || found[0].RNG != nil && found[0].RNG.Flaw() != "" || found[0].Channel != nil && found[0].Channel.Flaw() != "" {
			t.Errorf("ours: %+v, %v", found, err)
		}
	}
}
