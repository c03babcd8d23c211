//go:build linux

package sources

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"headgate/backends"
	"headgate/hostd/control"
	"headgate/integration/rig"
)

// kind is one kind of source and what stands for the device.
type kind struct {
	name    string
	against string // what it is tested against; "" is the driver
	more    string // keys of the configuration
	noise   backends.Noise
	gone    func()           // unplugs it; nil where that cannot be done
	back    func(*testing.T) // and plugs it in again
}

// TestKinds runs each kind of source alone: what hostd says of it, what it brings,
// that it is missed when it goes and tested anew when it is back. What it prints at
// the end is the table of the README.
func TestKinds(t *testing.T) {
	var rows []string
	for _, name := range backends.Types() {
		t.Run(name, func(t *testing.T) {
			make, known := kinds[name]
			if !known {
				t.Fatalf("no device for sources of type %q", name)
			}
			ctx := rig.Within(t, time.Minute)
			dir := rig.Dir(t)
			k := make(ctx, t, dir)
			k.name = name
			rows = append(rows, try(ctx, t, dir, k))
		})
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 8, 1, ' ', tabwriter.Debug)
	fmt.Fprintf(w, "kind\ttested against\tnoise\tclaimed\traw bytes\n%s", strings.Join(rows, ""))
	_ = w.Flush()
	t.Logf("each kind of source, alone:\n%s", table.String())
}

// kinds are what there is of each type on this machine.
var kinds = map[string]func(ctx context.Context, t *testing.T, dir string) kind{
	"egd": func(ctx context.Context, t *testing.T, dir string) kind {
		b := newBroker(ctx, t, dir)
		return kind{
			against: "Entropy Broker " + b.versions["entropybroker"],
			more:    path(b.socket), noise: backends.Unknown, gone: b.off, back: b.on,
		}
	},
	"exec": func(_ context.Context, t *testing.T, dir string) kind {
		return kind{against: "cat /dev/urandom", more: `command = ["/bin/cat", "/dev/urandom"]`, noise: backends.Unknown}
	},
	"file": func(ctx context.Context, t *testing.T, dir string) kind {
		noise := startNoise(ctx, t, dir, "fifo", plenty)
		return kind{
			against: "a FIFO", more: path(noise.Path), noise: backends.Unknown,
			gone: func() {
				_ = os.Remove(noise.Path)
				noise.Close()
			},
			back: func(t *testing.T) { noise = startNoise(ctx, t, dir, "fifo", plenty) },
		}
	},
	"hwrng": func(_ context.Context, t *testing.T, _ string) kind {
		return kind{}
	},
	"jitter": func(_ context.Context, t *testing.T, _ string) kind {
		return kind{against: "this processor", noise: backends.NonPhysical}
	},
	"rdrand": func(_ context.Context, t *testing.T, _ string) kind {
		return kind{against: "this processor", more: "credit = true", noise: backends.Generated}
	},
	"rdseed": func(_ context.Context, t *testing.T, _ string) kind {
		return kind{against: "this processor", noise: backends.Physical}
	},
	"serial": func(ctx context.Context, t *testing.T, dir string) kind {
		l := newLine(ctx, t, dir, "tty", plenty)
		l.plug(t)
		return kind{against: "a pty", more: path(l.path), noise: backends.Physical, gone: l.unplug, back: l.plug}
	},
	"tpm": func(_ context.Context, t *testing.T, dir string) kind {
		c := newChip(t, dir)
		return kind{against: c.version, more: path(c.socket) + "credit = true", noise: backends.Generated, gone: c.off, back: c.on}
	},
}

// plenty is a rate, in bytes a second, that a source does not keep up with.
const plenty = 20e6

func path(of string) string { return fmt.Sprintf("path = %q\n", of) }

// try runs a hostd that has nothing but this source, and returns a row of the table.
func try(ctx context.Context, t *testing.T, dir string, k kind) string {
	t.Helper()
	if c := (backends.Config{Name: k.name, Type: k.name}); k.more == "" {
		absent(t, c)
	}
	text, socket := guest("drawing", "open", dir)
	d := rig.Hostd(t, hostd(t), dir, source(k.name, k.name, k.more)+open+text)
	draw(ctx, t, socket, nil)
	up := awaitSource(ctx, t, d, k.name, "up", state(backends.Up))
	if k.noise != "" && up.Noise != k.noise {
		t.Errorf("its noise is %q, want %q", up.Noise, k.noise)
	}
	if !up.Credited || up.Startups != 1 || up.Origin == "" {
		t.Errorf("credited %v, %d start-up tests, origin %q", up.Credited, up.Startups, up.Origin)
	}
	rate := measure(ctx, t, d, k.name)
	claim := fmt.Sprintf("%.3g bits, assumed", up.MinEntropy)
	if strings.Contains(k.more, "credit") {
		claim = "counts nothing"
	}
	if k.gone != nil {
		since := d.LastEvent(ctx, t)
		k.gone()
		away := awaitSource(ctx, t, d, k.name, "gone", state(backends.Missing))
		wantEvent(t, d.Events(ctx, t, since), backends.SourceLost, k.name)
		before := conditioned(ctx, t, d)
		k.back(t)
		back := awaitSource(ctx, t, d, k.name, "back", func(s backends.Status) bool {
			return s.State == backends.Up && s.Startups == up.Startups+1
		})
		d.Await(ctx, t, "it counts again", func(s control.Status) bool { return s.Reservoir.ConditionedBytes > before })
		t.Logf("gone: %s; back after %d start-up tests", away.Error, back.Startups)
	}
	if up.Detail != "" {
		t.Log("it says: ", up.Detail)
	}
	if k.against == "" {
		k.against = "this machine's, " + up.Driver
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\n", k.name, k.against, up.Noise, claim, perSecond(rate))
}

// absent ends the test where this machine has no such thing.
func absent(t *testing.T, c backends.Config) {
	t.Helper()
	s, err := backends.New(c)
	if err != nil {
		t.Fatal(err)
	}
	stream, _, err := s.Open()
	if err != nil {
		t.Skip(err) // not a thing to install
	}
	_ = stream.Close()
}

// measure is how many raw bytes a second hostd counts of a source.
func measure(ctx context.Context, t *testing.T, d *rig.Daemon, name string) float64 {
	t.Helper()
	watch := time.Second
	if *whole {
		watch = 10 * time.Second
	}
	look := func() (uint64, time.Time) {
		s, err := d.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return sourceOf(s, name).RawBytes, time.Now()
	}
	before, from := look()
	rig.Pause(ctx, t, watch)
	after, to := look()
	return float64(after-before) / to.Sub(from).Seconds()
}

func conditioned(ctx context.Context, t *testing.T, d *rig.Daemon) uint64 {
	t.Helper()
	s, err := d.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s.Reservoir.ConditionedBytes
}

func perSecond(rate float64) string {
	switch {
	case rate >= 1e6:
		return fmt.Sprintf("%.1f MB/s", rate/1e6)
	case rate >= 1e3:
		return fmt.Sprintf("%.1f kB/s", rate/1e3)
	}
	return fmt.Sprintf("%.0f B/s", rate)
}
