package quality

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"headgate/backends/reservoir"
	"headgate/ratelimit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tank is a reservoir that holds what a test has poured. Its bytes are a stream in which
// each place can be told from every other.
type tank struct {
	*ratelimit.Scheduler
	mu     sync.Mutex
	noise  *rand.ChaCha8
	held   []byte
	stream []byte // all that was ever poured
}

func newTank(level int, opt ratelimit.Options) *tank {
	w := &tank{noise: rand.NewChaCha8([32]byte{1})}
	w.Scheduler = ratelimit.NewScheduler(w, opt)
	w.pour(level)
	return w
}

func (w *tank) pour(n int) {
	p := make([]byte, n)
	w.mu.Lock()
	_, _ = w.noise.Read(p) // never fails
	w.held = append(w.held, p...)
	w.stream = append(w.stream, p...)
	w.mu.Unlock()
	w.Wake()
}

func (w *tank) Take(p []byte, keep int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := copy(p, w.held[:max(0, len(w.held)-keep)])
	w.held = w.held[n:]
	return n
}

func (w *tank) Level() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.held)
}

// has says whether p, at least 8 bytes, came out of the tank.
func (w *tank) has(p []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Contains(w.stream, p)
}

// seed is the nth seed that was drawn, if nothing else was.
func (w *tank) seed(n int) *[reservoir.SeedSize]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := [reservoir.SeedSize]byte(w.stream[n*reservoir.SeedSize:])
	return &s
}

// journal keeps what is told.
type journal struct {
	mu   sync.Mutex
	told []Event
}

func (j *journal) add(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.told = append(j.told, e)
}

func (j *journal) kinds() (all []Kind) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.told {
		all = append(all, e.Kind)
	}
	return all
}

// outlet is a tap on w that ends with the test.
func outlet(t testing.TB, w *tank, name string, c Config, tell func(Event)) *Tap {
	tap := New(Options{Name: name, UUID: "8dc0b7a4", Scheduler: w.Scheduler, Event: tell}, c)
	t.Cleanup(func() { _ = tap.Close() })
	return tap
}

// read is a read that has to give all of n bytes at once.
func read(t testing.TB, tap *Tap, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	if got := tap.TryRead(p); got != n {
		t.Fatalf("%d bytes at once, want %d", got, n)
	}
	return p
}

// reading is a read that goes on.
type reading struct {
	n    int
	full bool
	err  error
	p    []byte
}

func start(t testing.TB, tap *Tap, n int) <-chan reading {
	done := make(chan reading, 1)
	go func() {
		r := reading{p: make([]byte, n)}
		r.n, r.full, r.err = tap.ReadGraded(t.Context(), r.p)
		r.p = r.p[:r.n]
		done <- r
	}()
	return done
}

// some is the time in which whatever can happen at once has happened (synctest).
const some = time.Microsecond
