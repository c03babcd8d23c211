package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"headgate/backends"
)

// encode writes a configuration as a file that means the same.
func encode(c *Config) []byte {
	var b strings.Builder
	line := func(key string, value any) {
		switch v := value.(type) {
		case string:
			fmt.Fprintf(&b, "%s = %s\n", key, tomlString(v))
		case fmt.Stringer:
			fmt.Fprintf(&b, "%s = %q\n", key, v.String())
		default:
			fmt.Fprintf(&b, "%s = %v\n", key, v)
		}
	}
	some := func(key string, value any) {
		if !reflect.ValueOf(value).IsZero() {
			line(key, value)
		}
	}
	sockets := func(owner Owner, mode SocketMode) {
		some("socket_owner", string(owner))
		if mode != 0 {
			text, _ := mode.MarshalText()
			line("socket_mode", string(text))
		}
	}
	line("control", c.Control)
	line("state", c.State)
	line("guard", c.Guard)
	line("meter", c.Meter)
	b.WriteString("[log]\n")
	line("format", c.Log.Format)
	line("level", strings.ToLower(c.Log.Level.String()))
	b.WriteString("[reservoir]\n")
	line("size", c.Reservoir.Size)
	line("boot_reserve", c.Reservoir.BootReserve)
	line("min_sources", c.Reservoir.MinSources)
	b.WriteString("[health]\n")
	line("alpha", "2^-"+strconv.Itoa(c.Health.AlphaLog2))
	for _, s := range c.Sources {
		b.WriteString("[[source]]\n")
		line("name", s.Name)
		line("type", s.Type)
		some("path", s.Path)
		some("origin", s.Origin)
		if s.MinEntropy != 0 {
			fmt.Fprintf(&b, "min_entropy = %s\n", strconv.FormatFloat(s.MinEntropy, 'f', -1, 64))
		}
		if s.Credit != backends.CreditByType {
			line("credit", s.Credit == backends.CreditFull)
		}
		some("noise", string(s.Noise))
		some("consume", s.Consume)
		some("speed", s.Speed)
		some("start", s.Start)
		if s.Command != nil {
			var words []string
			for _, w := range s.Command {
				words = append(words, tomlString(w))
			}
			fmt.Fprintf(&b, "command = [%s]\n", strings.Join(words, ", "))
		}
		some("user", s.User)
	}
	for _, k := range c.Classes {
		b.WriteString("[[class]]\n")
		line("name", k.Name)
		line("rate", k.Rate)
		line("burst", k.Burst)
		line("weight", k.Weight)
		line("quality", k.Quality)
		sockets(k.SocketOwner, k.SocketMode)
		some("selectable", k.Selectable)
		some("drbg_rate", k.DRBGRate)
		some("reseed_bytes", k.ReseedBytes)
		some("reseed_interval", k.ReseedInterval)
		some("max_stale", k.MaxStale)
	}
	b.WriteString("[host]\n")
	line("feed", c.Host.Feed)
	line("class", c.Host.Class)
	b.WriteString("[libvirt]\n")
	line("follow", c.Libvirt.Follow)
	line("socket", c.Libvirt.Socket)
	line("guests", c.Libvirt.Guests)
	line("pids", c.Libvirt.PIDs)
	b.WriteString("[xen]\n")
	line("follow", c.Xen.Follow)
	line("socket", c.Xen.Socket)
	line("unlisted", c.Xen.Unlisted)
	for _, g := range c.Guests {
		b.WriteString("[[guest]]\n")
		line("name", g.Name)
		line("class", g.Class)
		var pipes []string
		for _, p := range g.Pipes {
			pipes = append(pipes, tomlString(p.String()))
		}
		fmt.Fprintf(&b, "pipes = [%s]\n", strings.Join(pipes, ", "))
		some("rate", g.Rate)
		some("burst", g.Burst)
		some("weight", g.Weight)
		sockets(g.SocketOwner, g.SocketMode)
	}
	return []byte(b.String())
}

// tomlString writes a basic string.
func tomlString(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r == '\\' || r == '"' || unicode.IsControl(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}

func TestEncodeComesBack(t *testing.T) {
	c, err := Parse("f", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("f", encode(c))
	if err != nil || !reflect.DeepEqual(c, again) {
		t.Errorf("%v\n%s", err, encode(c))
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Reference)
	f.Add([]byte(whole))
	f.Add([]byte(uncommented()))
	for _, s := range []string{
		"a.b.c = 1", "guest = [{name = 'a', pipes = ['qemu:/a']}]", "[[guest]]\n[[guest.pipes]]\n", "'a'.\"\\u0041\" = '''\n'''",
		"[a]\nb = \"\"\"\\\"\"\"\"\"\n#\n[[x.y]]\nz=1", "source = [1]", "x = 1979-05-27T07:32:00Z",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		started := time.Now()
		c, err := Parse("f.toml", data)
		if took := time.Since(started); took > 2*time.Second {
			t.Errorf("%d bytes took %v", len(data), took)
		}
		if err != nil {
			mistakes := Errors(err)
			if len(mistakes) == 0 {
				t.Fatalf("no mistake is in the error %v", err)
			}
			last := strings.Count(string(data), "\n") + 1
			for _, m := range mistakes {
				if m.File != "f.toml" || m.Line < 1 || m.Line > last || m.Problem == "" || strings.Contains(m.Error(), "\n") {
					t.Errorf("of %d lines: %#v", last, m)
				}
			}
			return
		}
		again, err := Parse("f.toml", encode(c))
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Errorf("it is not the same again: %v\n%+v\n%+v\n%s", err, c, again, encode(c))
		}
		if _, ok := c.Class(""); !ok {
			t.Error("there is no default class")
		}
		for _, s := range c.Sources {
			if math.IsNaN(s.MinEntropy) {
				t.Error("a claim that is no number")
			}
		}
		if err := c.CheckGuest(Guest{Name: "new-one", Pipes: []Pipe{{Kind: "qemu", Path: "/new/one"}}}); err != nil && !strings.Contains(err.Error(), "taken") {
			t.Error(err)
		}
	})
}
