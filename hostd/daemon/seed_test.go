package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"headgate/hostd/control"
)

// draw gives a copy of a seed.
func (r *rig) draw(name string) (seed []byte, count uint64, err error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	err = r.GiveSeed(ctx, control.SeedRequest{For: name, As: control.SeedFile}, func(n uint64, s []byte) error {
		count, seed = n, bytes.Clone(s)
		return nil
	})
	return seed, count, err
}

func TestEverySeedIsAnother(t *testing.T) {
	r := start(t, t.TempDir(), plenty)
	const drawers, each = 8, 10
	var mu sync.Mutex
	seen, counts := map[string]bool{}, map[uint64]bool{}
	var tasks sync.WaitGroup
	for range drawers {
		tasks.Go(func() {
			for range each {
				seed, count, err := r.draw("web1")
				mu.Lock()
				if err != nil || len(seed) != control.SeedSize || counts[count] {
					t.Errorf("%d bytes, number %d, %v", len(seed), count, err)
				}
				counts[count] = true
				for quantum := 0; quantum < len(seed); quantum += 64 {
					part := string(seed[quantum:][:64])
					if seen[part] || part == string(make([]byte, 64)) {
						t.Error("a part of a seed was given twice, or is none")
					}
					seen[part] = true
				}
				mu.Unlock()
			}
		})
	}
	tasks.Wait()
	if n := r.Status().SeedsGiven; n != drawers*each || len(counts) != drawers*each || !counts[drawers*each] {
		t.Errorf("%d given, %d numbers", n, len(counts))
	}
	if _, count, err := r.draw("db1"); count != 1 || err != nil {
		t.Errorf("of another name: number %d, %v", count, err)
	}
}

func TestSeedsAreToldOfAndNeverTold(t *testing.T) {
	r := start(t, t.TempDir(), plenty)
	seed, _, err := r.draw("web1")
	if err != nil {
		t.Fatal(err)
	}
	var kept []byte
	err = r.GiveSeed(t.Context(), control.SeedRequest{For: "web2", As: control.SeedRoot}, func(_ uint64, s []byte) error {
		kept = s
		return errors.New("broken pipe")
	})
	if err == nil || err.Error() != "broken pipe" || !bytes.Equal(kept, make([]byte, control.SeedSize)) {
		t.Errorf("one that cannot be given on: %v; wiped: %v", err, bytes.Equal(kept, make([]byte, control.SeedSize)))
	}
	given, lost := r.said("seed_given"), r.said("seed_lost")
	if len(given) != 1 || given[0].Subject != "web1" || given[0].Fields["as"] != "file" || given[0].Fields["count"] != "1" ||
		len(lost) != 1 || lost[0].Subject != "web2" || lost[0].Fields["as"] != "root" || !strings.Contains(lost[0].Message, "broken pipe") {
		t.Errorf("given: %+v, lost: %+v", given, lost)
	}
	if n := r.Status().SeedsGiven; n != 1 {
		t.Errorf("%d count as given", n)
	}
	for _, e := range r.Events().Since(0) {
		if said := fmt.Sprintf("%v", e); strings.Contains(said, string(seed[:8])) || strings.Contains(said, fmt.Sprintf("%x", seed[:4])) {
			t.Errorf("the event tells of the seed: %s", said)
		}
	}
}

// TestASeedWaitsItsTurn: there is nothing, then a source comes. Who leaves before that
// costs nothing.
func TestASeedWaitsItsTurn(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, "") // its source never comes
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := r.GiveSeed(ctx, control.SeedRequest{For: "web1", As: control.SeedFile}, func(uint64, []byte) error {
		t.Error("a seed of nothing")
		return nil
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a source: %v", err)
	}
	if n := r.scheduler.Waiting(); n != 0 {
		t.Errorf("%d wait still", n)
	}
	type drawn struct {
		count uint64
		err   error
	}
	came := make(chan drawn, 1)
	go func() {
		_, count, err := r.draw("web1")
		came <- drawn{count, err}
	}()
	select {
	case got := <-came:
		t.Fatalf("of nothing: %+v", got)
	case <-time.After(50 * time.Millisecond):
	}
	if err := os.Symlink("/dev/urandom", filepath.Join(dir, "never")); err != nil {
		t.Fatal(err)
	}
	if got := <-came; got.err != nil || got.count != 1 {
		t.Errorf("%+v", got)
	}
}

// TestSeedsOverTheSocket goes the way of the command, with one that leaves in the middle.
func TestSeedsOverTheSocket(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir, "")
	c := control.Dial(filepath.Join(dir, "control.sock"))
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var seed [control.SeedSize]byte
	if _, err := c.Seed(ctx, control.SeedRequest{For: "web1", As: control.SeedFile}, &seed); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("left: %v", err)
	}
	r.until("nobody waits", func() bool { return r.scheduler.Waiting() == 0 })
	if err := os.Symlink("/dev/urandom", filepath.Join(dir, "never")); err != nil {
		t.Fatal(err)
	}
	count, err := c.Seed(t.Context(), control.SeedRequest{For: "web1", As: control.SeedFile}, &seed)
	if err != nil || count != 1 || seed == [control.SeedSize]byte{} {
		t.Errorf("number %d, %v", count, err)
	}
	if s, err := c.Status(t.Context()); err != nil || s.SeedsGiven != 1 {
		t.Errorf("%d given, %v", s.SeedsGiven, err)
	}
}

func TestSeedNamesAreBounded(t *testing.T) {
	var s seeds
	for i := range maxSeedNames {
		s.next(fmt.Sprint(i))
	}
	if s.next("one more") != 0 || s.next("0") != 2 || len(s.of) != maxSeedNames {
		t.Errorf("%d names", len(s.of))
	}
}

func TestCaptureOfRestarts(t *testing.T) {
	r := start(t, t.TempDir(), plenty)
	r.until("the source is up", func() bool { return r.Status().Sources[0].State == "up" })
	var out bytes.Buffer
	if err := r.CaptureRestarts(t.Context(), "plenty", 20, 300, &out); err != nil || out.Len() != 6000 {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
	r.until("the source goes on", func() bool { return r.Status().Sources[0].State == "up" })
	if _, _, err := r.draw("web1"); err != nil {
		t.Error(err)
	}
	if err := r.CaptureRestarts(t.Context(), "dice", 1, 1, &out); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("of no source: %v", err)
	}
}
