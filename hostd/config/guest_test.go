package config

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"headgate/backends"
)

func TestCheckGuest(t *testing.T) {
	c, err := Parse("f", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	good := Guest{Name: "db1", Class: "gold", Pipes: []Pipe{{Kind: "qemu", Path: "/run/hg/db1.sock"}}}
	for _, tc := range []struct {
		want   string // nothing: it is right
		change func(*Guest)
	}{
		{"", func(*Guest) {}},
		{"", func(g *Guest) { g.Rate, g.Burst, g.Weight, g.SocketOwner = Unlimited, 64, 1000, "0:0" }},
		{`guest.name: "web1" is taken by another`, func(g *Guest) { g.Name = "web1" }},
		{`guest.class: there is no class "tin"; allowed: gold, build, bulk, default`, func(g *Guest) { g.Class = "tin" }},
		{"guest.pipes: guest db1 has 0 pipes", func(g *Guest) { g.Pipes = nil }},
		{"is taken by guest web2", func(g *Guest) { g.Pipes = []Pipe{{Kind: "qemu", Path: "/run/hg/web2.sock"}} }},
		{"is taken by the control socket", func(g *Guest) { g.Pipes = []Pipe{{Kind: "qemu", Path: c.Control}} }},
		{"is taken by guest db1", func(g *Guest) { g.Pipes = append(g.Pipes, Pipe{Kind: "egd", Path: "/run/hg/db1.sock"}) }},
		{"guest.rate: -1B/s is out of bounds", func(g *Guest) { g.Rate = -1 }},
		{"guest.burst: 1B is out of bounds", func(g *Guest) { g.Burst = 1 }},
		{"guest.weight: -1 is out of bounds", func(g *Guest) { g.Weight = -1 }},
		{"guest.socket_owner: there is no group", func(g *Guest) { g.SocketOwner = ":no-such-group" }},
	} {
		g := good
		tc.change(&g)
		err := c.CheckGuest(g)
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}

func TestGuestJSON(t *testing.T) {
	g := Guest{Name: "a", Class: "b", Pipes: []Pipe{{Kind: "qemu", Path: "/x"}}, Rate: Unlimited, Burst: 4096, Weight: 2, SocketMode: 0o660}
	data, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"a","class":"b","pipes":["qemu:/x"],"rate":"unlimited","burst":"4KiB","weight":2,"socket_mode":"0660"}`
	if string(data) != want {
		t.Errorf("got %s", data)
	}
	var back Guest
	if err := json.Unmarshal(data, &back); err != nil || !back.Equal(g) {
		t.Errorf("came back as %+v, %v", back, err)
	}
}

func TestEqualAndSamePipes(t *testing.T) {
	a := Guest{Name: "a", Pipes: []Pipe{{Kind: "qemu", Path: "/x"}}}
	b := a
	b.Weight = 2
	if a.Equal(b) || !a.SamePipes(b) || !a.Equal(a) {
		t.Error("another weight is another guest with the same pipes")
	}
	b.Pipes = []Pipe{{Kind: "egd", Path: "/x"}}
	if a.SamePipes(b) {
		t.Error("another kind is another pipe")
	}
}

// TestSourceAgreesWithBackends holds the check of sources to the package that
// will build them.
func TestSourceAgreesWithBackends(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Source{
			Name:       "s",
			Type:       rapid.SampledFrom([]string{"hwrng", "rdseed", "file", "tpm", "exec", "", "dice"}).Draw(t, "type"),
			Path:       rapid.SampledFrom([]string{"", "/dev/x"}).Draw(t, "path"),
			MinEntropy: rapid.SampledFrom([]float64{0, 0.0005, 0.001, 2, 8, 8.1, -1}).Draw(t, "h"),
			Consume:    rapid.Bool().Draw(t, "consume"),
		}
		_, backend := backends.New(backends.Config(s))
		ours := s.MinEntropy == 0 || checkMinEntropy(s.MinEntropy) == nil
		s.check("source", func(string, error) { ours = false })
		if ours != (backend == nil) {
			t.Fatalf("%+v: configuration says %v, backends says %v", s, ours, backend)
		}
	})
}
