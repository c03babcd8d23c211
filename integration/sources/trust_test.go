//go:build linux

package sources

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"headgate/backends"
	"headgate/backends/health"
	"headgate/backends/reservoir"
	"headgate/hostd/control"
	"headgate/integration/load"
	"headgate/integration/rig"
)

const (
	claim = 6.0 // of each source, in bits a sample
	// share is how many samples of that claim a source brings into a block.
	share = int(reservoir.BlockEntropy / claim)
	// trickle is how much noise each source gets, as what 8 bits a sample of it would
	// condition to, in bytes a second: so little that a FIFO of it is soon read.
	trickle = 57_000
)

// trio is a hostd with three sources of which a block needs two, a guest that draws
// all there is, and one with a generator.
type trio struct {
	*rig.Daemon
	pid        int
	fifo, pipe *load.Noise // behind the sources fifo and command
	line       *line       // behind the source tty
	full, drbg *drawn
	seen       *rig.Blocks
	before     uint64 // the last event before this phase
}

func newTrio(ctx context.Context, t *testing.T) *trio {
	t.Helper()
	dir := rig.Dir(t)
	s := &trio{seen: rig.NewBlocks()}
	s.fifo = startNoise(ctx, t, dir, "fifo", trickle)
	s.pipe = startNoise(ctx, t, dir, "pipe", trickle)
	s.line = newLine(ctx, t, dir, "tty", trickle)
	s.line.plug(t)
	worth := fmt.Sprintf("min_entropy = %v\n", claim)
	full, fullSocket := guest("full", "open", dir)
	drbg, drbgSocket := guest("drbg", "generated", dir)
	s.Daemon = rig.Hostd(t, hostd(t), dir, `
[reservoir]
size = "16KiB"
boot_reserve = "4KiB"
min_sources = 2
`+source("fifo", "file", worth+path(s.fifo.Path))+
		source("tty", "serial", worth+path(s.line.path))+
		source("command", "exec", worth+fmt.Sprintf("command = [\"/bin/cat\", %q]", s.pipe.Path))+open+`
[[class]]
name = "generated"
rate = "64KiB/s"
quality = "drbg"
reseed_interval = "1s"
max_stale = "2s"
`+full+drbg)
	s.pid = s.PID()
	s.full, s.drbg = draw(ctx, t, fullSocket, s.seen), draw(ctx, t, drbgSocket, s.seen)
	return s
}

// TestTwoOfThree turns one of three sources to zeros and unplugs another, and brings
// them back: with two healthy ones left guests are served on, with one left those
// that want full entropy wait, and nothing that failed is used.
func TestTwoOfThree(t *testing.T) {
	t.Parallel() // while others wait for a slow source
	ctx := rig.Within(t, 90*time.Second)
	s := newTrio(ctx, t)
	s.await(ctx, t, backends.Up, "fifo", "tty", "command")
	s.step(ctx, t, "all three are well", gives, gives)

	s.phase(ctx, t)
	s.fifo.Stuck.Store(true)
	s.await(ctx, t, backends.Failed, "fifo")
	sound := s.fifo.Sound.Load() // by now whatever comes after that many bytes is zeros
	s.unused(ctx, t, sound)
	s.step(ctx, t, "one gives zeros", gives, gives)
	s.unused(ctx, t, sound)
	s.logged(ctx, t, backends.SourceFailed, "fifo")

	s.phase(ctx, t)
	s.line.unplug()
	s.await(ctx, t, backends.Missing, "tty")
	rig.Pause(ctx, t, 3*time.Second) // what two had made is given out, and max_stale is over
	s.step(ctx, t, "and one is unplugged", waits, waits)
	s.unused(ctx, t, sound)
	s.told(ctx, t)
	s.logged(ctx, t, backends.SourceLost, "tty")
	s.logged(ctx, t, "supply_lacking", "")
	s.logged(ctx, t, "drbg_stale", "drbg")

	s.phase(ctx, t)
	s.line.plug(t)
	s.await(ctx, t, backends.Up, "tty")
	s.step(ctx, t, "it is plugged in again", gives, gives)
	s.logged(ctx, t, backends.SourceUp, "tty")
	s.logged(ctx, t, "supply_back", "")
	s.logged(ctx, t, "drbg_recovered", "drbg")

	s.phase(ctx, t)
	s.fifo.Stuck.Store(false)
	s.await(ctx, t, backends.Up, "fifo")
	s.step(ctx, t, "the first gives noise again", gives, gives)
	s.logged(ctx, t, backends.SourceUp, "fifo")

	s.seen.Check(t)
	s.account(ctx, t)
	if s.PID() != s.pid {
		t.Error("hostd was restarted")
	}
}

func (s *trio) await(ctx context.Context, t *testing.T, want string, names ...string) {
	t.Helper()
	for _, name := range names {
		is := awaitSource(ctx, t, s.Daemon, name, want, state(want))
		if is.Error != "" {
			t.Logf("%s is %s: %s", name, want, is.Error)
		}
	}
}

// phase begins what logged looks at.
func (s *trio) phase(ctx context.Context, t *testing.T) {
	t.Helper()
	s.before = s.LastEvent(ctx, t)
}

// logged looks for an event of this phase.
func (s *trio) logged(ctx context.Context, t *testing.T, kind, subject string) {
	t.Helper()
	wantEvent(t, s.Events(ctx, t, s.before), kind, subject)
}

// What a guest gets.
const (
	gives = true
	waits = false
)

// step watches for a second what is given out. The answer to a request may be on its way
// as it begins.
func (s *trio) step(ctx context.Context, t *testing.T, what string, full, drbg bool) {
	t.Helper()
	const watch, onItsWay = time.Second, request
	look := func() (uint64, uint64, uint64) {
		return s.full.bytes.Load(), s.drbg.bytes.Load(), conditioned(ctx, t, s.Daemon)
	}
	full0, drbg0, made0 := look()
	rig.Pause(ctx, t, watch)
	full1, drbg1, made1 := look()
	t.Logf("%s: conditioned %d bytes, full got %d, drbg %d in %v", what, made1-made0, full1-full0, drbg1-drbg0, watch)
	if got := full1 > full0+onItsWay; got != full {
		t.Errorf("%s: full entropy is given out: %v, want %v", what, got, full)
	}
	if got := made1 > made0; got != full {
		t.Errorf("%s: blocks are made: %v, want %v", what, got, full)
	}
	if got := drbg1 > drbg0+onItsWay; got != drbg {
		t.Errorf("%s: the generator gives: %v, want %v", what, got, drbg)
	}
	t.Log("  ", s.Metrics(ctx, t, "headgate_source_up"))
}

// unused fails the test if the fifo was credited for more than the whole windows
// before the one in which its zeros began: sound bytes came before those.
func (s *trio) unused(ctx context.Context, t *testing.T, sound uint64) {
	t.Helper()
	status, err := s.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	fifo := sourceOf(status, "fifo")
	used := float64(fifo.EntropyBits) / claim
	most := (sound - health.StartupSamples) / health.Window * health.Window
	t.Logf("the fifo had %d sound bytes, of which %.0f were used and %d may be; failures %v", sound, used, most, fifo.Failures)
	if fifo.Startups != 1 || used > float64(most) || fifo.Failures[health.RCT] == 0 {
		t.Errorf("used %.0f of %d, %d start-up tests passed, failures %v", used, most, fifo.Startups, fifo.Failures)
	}
	if counts := s.Metrics(ctx, t, `headgate_source_health_failures_total{source="fifo"`); len(counts) == 0 {
		t.Error("no metric counts its failures")
	} else {
		t.Log("  ", counts)
	}
}

// told fails the test unless the status says what the guests wait for.
func (s *trio) told(ctx context.Context, t *testing.T) {
	t.Helper()
	status, err := s.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r := status.Reservoir
	text := ask(ctx, t, s.Daemon, "status")
	t.Logf("hostd status:\n%s", text)
	if r.MinSources != 2 || r.OriginsUp != 1 || len(r.Origins) != 3 || r.Waiting == "" || !strings.Contains(text, r.Waiting) {
		t.Errorf("it does not say why they wait: %+v", r)
	}
	full, _ := rig.GuestOf(status, "full")
	drbg, _ := rig.GuestOf(status, "drbg")
	if !full.Waiting || drbg.DRBG == nil || !drbg.DRBG.Stale {
		t.Errorf("full waits: %v; the generator: %+v", full.Waiting, drbg.DRBG)
	}
}

// account holds what was given out to the noise that there was: a block needs a share
// from two sources each.
func (s *trio) account(ctx context.Context, t *testing.T) {
	t.Helper()
	blocks := conditioned(ctx, t, s.Daemon) / reservoir.BlockSize
	noise := s.fifo.Sound.Load() + s.pipe.Sound.Load() + s.line.noise.Sound.Load()
	t.Logf("%d blocks of two shares of %d samples, out of %d sound ones", blocks, share, noise)
	if need := blocks * 2 * uint64(share); need > noise {
		t.Errorf("%d blocks need %d samples, and there were %d", blocks, need, noise)
	}
	got := s.full.bytes.Load()
	full := s.AwaitGuest(ctx, t, "full", "what it got is counted", func(g control.GuestStatus) bool { return g.Bytes >= got })
	if made := conditioned(ctx, t, s.Daemon); full.Bytes > made {
		t.Errorf("full was given %d bytes, and %d were made", full.Bytes, made)
	}
}
