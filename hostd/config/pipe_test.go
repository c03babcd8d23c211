package config

import (
	"strings"
	"testing"
)

func TestPipesComeBackAndSayWhoIsWhere(t *testing.T) {
	for text, want := range map[string]struct {
		pipe            Pipe
		listens, guestd bool
	}{
		"qemu:/x/a,b":               {Pipe{Kind: "qemu", Path: "/x/a,b"}, true, false},
		"egd:/x/a,server=on":        {Pipe{Kind: "egd", Path: "/x/a,server=on"}, true, false},
		"port:/x/a":                 {Pipe{Kind: "port", Path: "/x/a"}, true, true},
		"vhost-user:/x/a":           {Pipe{Kind: VhostUser, Path: "/x/a"}, false, false},
		"vhost-user:/x/a,server=on": {Pipe{Kind: VhostUser, Path: "/x/a", Server: true}, true, false},
		"vchan:web1":                {Pipe{Kind: Vchan, Path: "web1"}, false, true},
		"channel:/x/a":              {Pipe{Kind: Channel, Path: "/x/a"}, false, true},
	} {
		p, err := ParsePipe(text)
		if err != nil || p != want.pipe || p.String() != text || p.Listens() != want.listens || p.ReachesGuestd() != want.guestd {
			t.Errorf("%s: %+v, %v, listens %v, reaches guestd %v", text, p, err, p.Listens(), p.ReachesGuestd())
		}
		var back Pipe
		if out, err := p.MarshalText(); err != nil || string(out) != text || back.UnmarshalText(out) != nil || back != p {
			t.Errorf("%s: written as %q (%v), read as %+v", text, out, err, back)
		}
	}
}

func TestAVhostUserPipeHasOneOptionAndNoComma(t *testing.T) {
	for _, text := range []string{
		"vhost-user:/a,", "vhost-user:/a,server=off", "vhost-user:/a,server=on,", "vhost-user:/a,server=on,server=on",
		"vhost-user:/a,b", "vhost-user:/a,Server=on", "vhost-user:/a, server=on",
	} {
		if p, err := ParsePipe(text); err == nil || !strings.Contains(err.Error(), "follows the path") || !strings.Contains(err.Error(), "no comma in PATH") {
			t.Errorf("%s: %+v, %v", text, p, err)
		}
	}
	for _, text := range []string{"vhost-user:", "vhost-user:a", "vhost-user:,server=on", "vhost-user:/a/../b", "vhost-user:/" + strings.Repeat("x", 107) + ",server=on"} {
		if p, err := ParsePipe(text); err == nil || !strings.Contains(err.Error(), "an absolute path of at most 107 bytes") {
			t.Errorf("%.20s: %+v, %v", text, p, err)
		}
	}
	if _, err := ParsePipe("vhost-user:/" + strings.Repeat("x", 106) + ",server=on"); err != nil {
		t.Errorf("the longest path: %v", err)
	}
}

func FuzzParsePipe(f *testing.F) {
	for _, s := range []string{"qemu:/a", "vhost-user:/a,server=on", "vhost-user:/a,b", "vchan:7", "channel:/a", "vhost-user:,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePipe(s)
		if err != nil {
			return
		}
		if p.String() != s {
			t.Errorf("%q is written as %q", s, p.String())
		}
		if p.Server && p.Kind != VhostUser || p.Kind == VhostUser && strings.Contains(p.Path, ",") {
			t.Errorf("%q is %+v", s, p)
		}
	})
}
