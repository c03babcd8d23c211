package daemon

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/backends"
	"headgate/backends/reservoir"
	"headgate/hostd/control"
)

// stick is noise behind a FIFO, which can turn to zeros and be unplugged.
type stick struct {
	t     testing.TB
	path  string
	zeros atomic.Bool
	file  *os.File
	task  sync.WaitGroup
}

func (s *stick) plug() {
	s.t.Helper()
	err := unix.Mkfifo(s.path, 0o600)
	if err == nil {
		s.file, err = os.OpenFile(s.path, os.O_RDWR, 0)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.task.Go(func() {
		samples := make([]byte, 512)
		for err := error(nil); err == nil; _, err = s.file.Write(samples) {
			if _, _ = rand.Read(samples); s.zeros.Load() {
				clear(samples)
			}
		}
	})
}

func (s *stick) unplug() {
	_ = os.Remove(s.path)
	_ = s.file.Close()
	s.task.Wait()
}

// three sources of three origins, of which a block needs two; the assessment of each is
// far below what it gives.
const three = `
[reservoir]
size = "8KiB"
boot_reserve = "1KiB"
min_sources = 2
[[source]]
name = "stick"
type = "file"
path = "DIR/stick.fifo"
min_entropy = 6.0
[[source]]
name = "trng"
type = "file"
path = "DIR/trng.fifo"
min_entropy = 6.0
[[source]]
name = "tape"
type = "file"
path = "DIR/tape"
consume = true
min_entropy = 6.0
[[guest]]
name = "thirsty"
pipes = ["egd:DIR/thirsty"]
rate = "512KiB/s"
`

func (r *rig) source(name string) control.SourceStatus {
	r.t.Helper()
	for _, s := range r.Status().Sources {
		if s.Name == name {
			return s
		}
	}
	r.t.Fatalf("no source %q", name)
	return control.SourceStatus{}
}

// drink reads from a guest's egd pipe until the daemon ends, 64 bytes a request, and
// counts them.
func (r *rig) drink(name string) *atomic.Int64 {
	conn := r.dial(name)
	_ = conn.SetDeadline(time.Time{})
	given := new(atomic.Int64)
	go func() {
		block := make([]byte, reservoir.BlockSize)
		for {
			if _, err := conn.Write([]byte{2, byte(len(block))}); err != nil {
				return
			}
			for got := 0; got < len(block); {
				n, err := conn.Read(block)
				if err != nil {
					return
				}
				got += n
				given.Add(int64(n))
			}
		}
	}()
	return given
}

// writeTape makes the file of the source "tape", of so many bytes of noise.
func writeTape(t *testing.T, dir string, size int) {
	t.Helper()
	tape := make([]byte, size)
	_, _ = rand.Read(tape)
	if err := os.WriteFile(filepath.Join(dir, "tape"), tape, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTwoOfThreeSources: of three sources one turns to zeros, then one is unplugged. As
// long as two are well, blocks come and each is covered by those two; with one, what
// the reservoir holds is given out and then everybody waits, and it is said why. No
// restart is needed when they are back.
func TestTwoOfThreeSources(t *testing.T) {
	dir := t.TempDir()
	usb := &stick{t: t, path: filepath.Join(dir, "stick.fifo")}
	trng := &stick{t: t, path: filepath.Join(dir, "trng.fifo")}
	writeTape(t, dir, 16<<20)
	usb.plug()
	trng.plug()
	r := start(t, dir, three)
	t.Cleanup(usb.unplug)
	t.Cleanup(trng.unplug)
	given := r.drink("thirsty")
	flows := func(what string) {
		t.Helper()
		from := given.Load()
		r.until(what, func() bool { return given.Load() > from+128<<10 })
	}
	state := func(name, want string) func() bool {
		return func() bool { return r.source(name).State == want }
	}

	// All three.
	r.until("three are up", func() bool { return r.Status().Reservoir.OriginsUp == 3 })
	flows("bytes of three sources")
	if s := r.Status().Reservoir; s.Waiting != "" || s.MinSources != 2 || len(s.Origins) != 3 {
		t.Fatalf("%+v", s)
	}

	// The first turns to zeros: the others go on, and all blocks are theirs.
	trng.zeros.Store(true)
	r.until("zeros are noticed", state("trng", backends.Failed))
	before := r.Status()
	flows("bytes of two sources")
	after := r.Status()
	if s := after.Reservoir; s.OriginsUp != 2 || s.Waiting != "" {
		t.Errorf("with two of three: %+v", s)
	}
	if a, b := entropy(before, "trng"), entropy(after, "trng"); a != b {
		t.Errorf("%d bits of zeros were credited", b-a)
	}
	blocks := (after.Reservoir.ConditionedBytes - before.Reservoir.ConditionedBytes) / reservoir.BlockSize
	for _, name := range []string{"stick", "tape"} {
		// A pump counts a window of 512 samples when all of it is poured.
		bits := entropy(after, name) - entropy(before, name) + 2*512*6
		if need := blocks * reservoir.BlockEntropy; bits < need {
			t.Errorf("%d blocks in %d bits of %s, which is to cover each: want %d", blocks, bits, name, need)
		}
	}
	if n := len(r.said("supply_lacking")); n != 0 {
		t.Errorf("it is said %d times that sources are lacking", n)
	}
	failed := r.said(backends.SourceFailed)
	if len(failed) != 1 || failed[0].Subject != "trng" || failed[0].Fields["test"] == "" {
		t.Errorf("said of the failure: %+v", failed)
	}

	// The second is unplugged: one is left, which is no block.
	usb.unplug()
	r.until("it is missing", state("stick", backends.Missing))
	test := failed[0].Fields["test"]
	waits := r.Status()
	// The start-up tests that trng fails since need not fail the same one.
	want := []string{"1 of 2 origins up: stick missing, trng failed (rct)", "1 of 2 origins up: stick missing, trng failed (" + test + ")"}
	if s := waits.Reservoir; s.OriginsUp != 1 || !slices.Contains(want, s.Waiting) {
		t.Errorf("with one of three: %+v", s)
	}
	r.until("the guest waits", func() bool { return r.guest("thirsty").Waiting && r.reservoir.Level() <= 1<<10 })
	dry, conditioned := given.Load(), r.Status().Reservoir.ConditionedBytes
	if n := conditioned - waits.Reservoir.ConditionedBytes; n > reservoir.BlockSize {
		t.Errorf("%d bytes were conditioned of one source", n) // one may have been in work with what it had brought
	}
	r.until("it is said", func() bool { return len(r.said("supply_lacking")) == 1 })
	if e := r.said("supply_lacking")[0]; !strings.Contains(e.Message, "1 of 2 origins up: stick missing, trng failed (") {
		t.Errorf("said %q", e.Message)
	}
	time.Sleep(700 * time.Millisecond) // trng fails some more start-up tests
	if n, c := given.Load(), r.Status().Reservoir.ConditionedBytes; n != dry || c != conditioned {
		t.Errorf("%d bytes given, %d conditioned while there is one source", n-dry, c-conditioned)
	}
	if n := len(r.said("supply_lacking")); n != 1 {
		t.Errorf("it was said %d times", n)
	}
	if a, b := entropy(before, "trng"), entropy(r.Status(), "trng"); a != b {
		t.Errorf("%d bits of zeros were credited", b-a)
	}

	// The second is back: a new FIFO, which is another origin.
	usb.plug()
	r.until("it is back", state("stick", backends.Up))
	flows("bytes of two sources again")
	r.until("it is said", func() bool { return len(r.said("supply_back")) == 1 })
	if s := r.Status().Reservoir; s.OriginsUp != 2 || s.Waiting != "" {
		t.Errorf("with two again: %+v", s)
	}

	// And the first.
	trng.zeros.Store(false)
	r.until("the first is back", state("trng", backends.Up))
	flows("bytes of three sources again")
	if s := r.source("trng"); s.Startups != 2 || s.EntropyBits <= entropy(before, "trng") || s.LastError == nil || s.Error != "" {
		t.Errorf("%+v", s)
	}
	if s := r.Status().Reservoir; s.OriginsUp != 3 || len(s.Origins) != 3 {
		t.Errorf("with three again: %+v", s)
	}
}

func entropy(s control.Status, name string) uint64 {
	for _, src := range s.Sources {
		if src.Name == name {
			return src.EntropyBits
		}
	}
	return 0
}

// TestUncreditedSourceIsNoSupply: it is up and tested, and nobody gets anything of it.
func TestUncreditedSourceIsNoSupply(t *testing.T) {
	dir := t.TempDir()
	usb, trng := &stick{t: t, path: filepath.Join(dir, "a")}, &stick{t: t, path: filepath.Join(dir, "b")}
	usb.plug()
	r := start(t, dir, `
[reservoir]
size = "8KiB"
boot_reserve = "1KiB"
[[source]]
name = "counts"
type = "file"
path = "DIR/a"
min_entropy = 6.0
[[source]]
name = "mixed"
type = "file"
path = "DIR/b"
credit = false
[[guest]]
name = "thirsty"
pipes = ["egd:DIR/thirsty"]
rate = "512KiB/s"
`)
	t.Cleanup(func() { usb.unplug() })
	trng.plug()
	t.Cleanup(func() { trng.unplug() })
	given := r.drink("thirsty")
	r.until("both are up", func() bool {
		return r.source("counts").State == backends.Up && r.source("mixed").State == backends.Up
	})
	r.until("both are poured", func() bool { return given.Load() > 64<<10 && r.source("mixed").RawBytes > 64<<10 })
	if s := r.source("mixed"); s.EntropyBits != 0 || s.Credited || r.Status().Reservoir.OriginsUp != 1 {
		t.Errorf("%+v", s)
	}
	usb.unplug()
	r.until("the guest waits", func() bool { return r.guest("thirsty").Waiting && r.reservoir.Level() <= 1<<10 })
	usb.plug() // so that the end can unplug it
	if s := r.Status().Reservoir; s.Waiting != "" && s.Waiting != "0 of 1 origins up: counts missing, mixed counts nothing" {
		t.Errorf("%+v", s)
	}
}

// TestNoSupplyWhileRestartsAreCaptured: a source whose restarts are captured is no supply meanwhile,
// which is said, and is one again by itself.
func TestNoSupplyWhileRestartsAreCaptured(t *testing.T) {
	dir := t.TempDir()
	usb := &stick{t: t, path: filepath.Join(dir, "stick")}
	usb.plug()
	r := start(t, dir, "[[source]]\nname = \"stick\"\ntype = \"file\"\npath = \"DIR/stick\"\nmin_entropy = 6.0\n")
	t.Cleanup(usb.unplug)
	up := func() bool { return r.source("stick").State == backends.Up }
	r.until("it is up", up)
	var rows samples
	rows.each = func() {
		if s := r.Status().Reservoir; s.OriginsUp != 0 || s.Waiting != "0 of 1 origins up: stick restarting" {
			t.Errorf("meanwhile: %+v", s)
		}
	}
	if err := r.CaptureRestarts(t.Context(), "stick", 300, 100, &rows); err != nil || rows.n != 300*100 {
		t.Errorf("%d samples: %v", rows.n, err)
	}
	r.until("it is up again", up)
	if n := len(r.said(backends.RestartsBegan)); n != 1 {
		t.Errorf("said %d times", n)
	}
	if err := r.CaptureRestarts(t.Context(), "nobody", 20, 300, &rows); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

// samples counts what is written, and calls each while the first of it is.
type samples struct {
	n    int
	each func()
}

func (s *samples) Write(p []byte) (int, error) {
	if s.n == 0 {
		s.each()
	}
	s.n += len(p)
	return len(p), nil
}
