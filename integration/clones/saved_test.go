//go:build linux

package clones

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/rig"
)

// guest is a guest to be saved.
type guest struct {
	kernel string
	cpus   int
	guestd bool
	every  time.Duration // between two calls of the spinner on one processor; 0: no pause
}

func (g guest) String() string {
	s := fmt.Sprintf("%s, %d vCPU", g.kernel, g.cpus)
	if g.guestd {
		s += ", guestd"
	}
	return s + ", " + g.pace()
}

// pace is the spinner's.
func (g guest) pace() string {
	if g.every == 0 {
		return "no pause"
	}
	return "every " + g.every.String()
}

// way is a way of going on from its state.
type way struct {
	name   string
	id     bool // QEMU gives each clone a vmgenid of its own
	paused bool // pushed to, and only then continued
	watch  time.Duration
	runs   int
}

const (
	// ring is how many calls the spinner keeps on each processor: more than it makes
	// while it is watched without a pause.
	ring = 1 << 20

	memoryMiB = 192 // two such rings are 64 of them

	// taken is how long QEMU may take to see what hostd says it has sent. (QEMU 7.2
	// gives it to the guest when that runs, and not before: its port is closed until
	// virtio_serial_post_load_timer_cb, hw/char/virtio-serial-bus.c.)
	taken = 50 * time.Millisecond

	longest = 10 * time.Minute // that a state takes with all its clones
)

// The vmgenids of the saved guest and of its clones.
var ids = map[string]string{
	original: "7f6a6e2c-52f5-4bd8-9a5e-3f1c6f0a0000",
	"a":      "7f6a6e2c-52f5-4bd8-9a5e-3f1c6f0a000a",
	"b":      "7f6a6e2c-52f5-4bd8-9a5e-3f1c6f0a000b",
}

const original = "original"

// saved is the state of a guest in which the spinner runs.
type saved struct {
	guest
	dir     string
	image   *rig.Image
	hostd   *rig.Daemon
	file    string
	spinner *rig.Program
}

// save boots a guest, has it seeded, starts the spinner and saves it.
func save(ctx context.Context, t *testing.T, g guest) *saved {
	t.Helper()
	dir := rig.Dir(t)
	s := &saved{guest: g, dir: dir, image: image(t, g.kernel), file: filepath.Join(dir, "state")}
	var err error
	if s.hostd, err = rig.NewDaemon(dir, builds(t).Hostd, s.hosts()); err != nil {
		t.Fatal(err)
	}
	s.hostd.Limit = longest
	t.Cleanup(s.hostd.Close)
	if err := s.hostd.Start(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	vm := rig.BootGuest(t, s.config(original))
	seed := func() {
		if exit, err := vm.Run(ctx, 10*time.Second, "guestd", "seed"); err != nil || exit.Code != 0 {
			t.Fatalf("guestd seed: %+v, %v", exit, err)
		}
	}
	seed()
	if g.guestd {
		if _, err := vm.Start(ctx, "guestd"); err != nil {
			t.Fatal(err)
		}
	}
	settle := 3 * time.Second
	if !g.guestd && g.every > 0 {
		// They are to be watched until Linux reseeds by itself, as it does after half
		// of the time for which it has run, and at most after a minute
		// (crng_reseed_interval, drivers/char/random.c).
		if settle = 6 * time.Second; *whole {
			settle = 2 * time.Minute
		}
	}
	rig.Pause(ctx, t, max(settle-vm.Booted, 0))
	if s.spinner, err = vm.StartOnto(ctx, "spinner", fmt.Sprint(ring), fmt.Sprint(g.every.Microseconds())); err != nil {
		t.Fatal(err)
	}
	rig.Pause(ctx, t, time.Second)
	if !g.guestd {
		seed() // so that its own reseed is as far away as it can be
	}
	if err := vm.Save(ctx, s.file); err != nil {
		t.Fatal(err)
	}
	return s
}

// hosts is hostd's configuration.
func (s *saved) hosts() string {
	text := rig.Sound + "[[class]]\nname = \"open\"\nrate = \"unlimited\"\n"
	for name := range ids {
		text += fmt.Sprintf("[[guest]]\nname = %q\nclass = \"open\"\npipes = [%q]\n", name, "port:"+s.path(name, "port"))
	}
	return text
}

func (s *saved) path(name, kind string) string { return filepath.Join(s.dir, name+"."+kind) }

func (s *saved) config(name string) rig.Config {
	return rig.Config{
		Name: name, Dir: s.dir, Image: s.image, CPUs: s.cpus, MemoryMiB: memoryMiB,
		Port: s.path(name, "port"), Output: s.path(name, "calls"), VMGenID: ids[original],
		Limit: longest,
	}
}

// twins has two clones go on from the state, one after the other, so that each has
// all of the host, and compares them.
func (s *saved) twins(ctx context.Context, t *testing.T, w way) Twins {
	t.Helper()
	var calls [2][][]Call
	for i, name := range []string{"a", "b"} {
		calls[i] = s.clone(ctx, t, name, w)
	}
	twins, err := Compare(calls[0], calls[1])
	if err != nil {
		t.Fatal(err)
	}
	return twins
}

// clone has a clone run for as long as it is watched, and returns what the spinner
// recorded in it.
func (s *saved) clone(ctx context.Context, t *testing.T, name string, w way) [][]Call {
	t.Helper()
	c := s.config(name)
	if w.id {
		c.VMGenID = ids[name]
	}
	before := s.status(ctx, t, name)
	clone, err := rig.Resume(context.WithoutCancel(ctx), c, s.file, w.paused)
	if err != nil {
		t.Fatal(err)
	}
	defer clone.Close()
	if w.paused {
		s.hostd.AwaitGuest(ctx, t, name, "a push on the port's connect", func(g control.GuestStatus) bool {
			return g.Pipes[0].Connected && g.Bytes > before.Bytes
		})
		rig.Pause(ctx, t, taken)
		if err := clone.Continue(ctx); err != nil {
			t.Fatal(err)
		}
	}
	rig.Pause(ctx, t, w.watch)
	if exit, err := s.spinner.In(clone.Init).Stop(ctx); err != nil || exit.Code != 0 {
		t.Fatalf("the spinner: %+v, %v", exit, err)
	}
	clone.Close()
	data, err := os.ReadFile(c.Output)
	if err != nil {
		t.Fatal(err)
	}
	calls, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

func (s *saved) status(ctx context.Context, t *testing.T, name string) control.GuestStatus {
	t.Helper()
	status, err := s.hostd.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	g, _ := rig.GuestOf(status, name)
	return g
}
