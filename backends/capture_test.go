package backends

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// endless is a Fill of consecutive samples, at 1 ms a read, that remembers them.
func endless(all *[]byte) func(p []byte) (int, error) {
	return func(p []byte) (int, error) {
		time.Sleep(time.Millisecond)
		n := copy(p, noise(len(p)))
		*all = append(*all, p[:n]...)
		return n, nil
	}
}

// TestCapture takes 5,000 samples from the middle: consecutive ones, of which none
// is poured, whether the sink has room or not.
func TestCapture(t *testing.T) {
	for name, full := range map[string]bool{"flowing": false, "full sink": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var all []byte
				r := start(t, sixBits(endless(&all)), &bucket{full: full}, PumpOptions{})
				time.Sleep(20 * time.Millisecond)
				began := time.Now()
				var got bytes.Buffer
				check(t, r.Capture(t.Context(), 5000, &got))
				if d := time.Since(began); d > 50*time.Millisecond {
					t.Errorf("took %v", d)
				}
				time.Sleep(20 * time.Millisecond)
				r.stop()
				at := bytes.Index(all, got.Bytes())
				if got.Len() != 5000 || at < 0 {
					t.Fatalf("captured %d bytes, at %d of the source's", got.Len(), at)
				}
				poured := r.bytes()
				for c := got.Bytes(); len(c) >= 8; c = c[8:] {
					if bytes.Contains(poured, c[:8]) {
						t.Fatal("captured bytes were poured")
					}
				}
				// One window is lost to the interruption, and the last is unfinished.
				if least := len(all) - startup - 5000 - 3*window; full != (len(poured) == 0) || !full && len(poured) < least {
					t.Errorf("poured %d bytes, want at least %d", len(poured), least)
				}
			})
		})
	}
}

// slow is a writer that takes one piece and then waits.
type slow struct{ release chan struct{} }

func (s slow) Write(p []byte) (int, error) {
	<-s.release
	return len(p), nil
}

func TestCaptureRefusedOrCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []byte
		fill := endless(&all)
		var fail atomic.Bool
		source := sixBits(func(p []byte) (int, error) {
			n, err := fill(p)
			if fail.Load() {
				clear(p)
			}
			return n, err
		})
		r := start(t, source, new(bucket), PumpOptions{})
		defer r.stop()
		discard := new(bytes.Buffer)
		if err := r.Capture(t.Context(), 10, discard); err == nil || err.Error() != `source "trng0" is starting: only one that is up can be captured` {
			t.Errorf("before it is up: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
		if err := r.Capture(t.Context(), 0, discard); err == nil {
			t.Error("captured nothing")
		}
		if err := r.Capture(t.Context(), 1e6, broken{}); !errors.Is(err, os.ErrPermission) {
			t.Errorf("a writer that fails: %v", err)
		}

		w, done := slow{make(chan struct{})}, make(chan error)
		go func() { done <- r.Capture(t.Context(), 1e6, w) }()
		synctest.Wait()
		if err := r.Capture(t.Context(), 10, discard); !errors.Is(err, errCapturing) {
			t.Errorf("a second one: %v", err)
		}
		time.Sleep(11 * time.Second)
		close(w.release)
		if err := <-done; !errors.Is(err, errSlow) {
			t.Errorf("a slow writer: %v", err)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Capture(ctx, 1e6, discard); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("out of time: %v", err)
		}
		time.AfterFunc(100*time.Millisecond, func() { fail.Store(true) })
		if err := r.Capture(t.Context(), 1e6, discard); err == nil || !strings.HasPrefix(err.Error(), "health test rct failed") {
			t.Errorf("the source fails: %v", err)
		}
		if err := r.Capture(t.Context(), 10, discard); err == nil || !strings.Contains(err.Error(), "is failed") {
			t.Errorf("after that: %v", err)
		}
	})
}

// TestCaptureEndIsItsOwn has a caller leave and another one come while the pump is
// at the end of the first one's capture: the second one's goes on.
func TestCaptureEndIsItsOwn(t *testing.T) {
	p := NewPump(Config{}, sixBits(nil), nowhere{}, PumpOptions{})
	first, second := newCapture(10), newCapture(10)
	p.capture.Store(first)
	first.leave(p)
	p.capture.Store(second)
	for _, err := range []error{nil, errSlow} {
		p.endCapture(first, err)
	}
	if p.capture.Load() != second {
		t.Fatal("the second capture was ended with the first")
	}
	if rest := p.divert(t.Context(), noise(30)); len(rest) != 20 {
		t.Errorf("%d bytes are left to be poured, want 20", len(rest))
	}
	if chunk, ok := <-second.chunks; len(chunk) != 10 || !ok {
		t.Errorf("the second capture was given %d bytes", len(chunk))
	}
	if _, ok := <-second.chunks; ok || second.err != nil {
		t.Errorf("the second capture has not ended well: %v", second.err)
	}
}

// TestCaptureLeavesNothing offers samples to a caller that has left.
func TestCaptureLeavesNothing(t *testing.T) {
	p := NewPump(Config{}, sixBits(nil), nowhere{}, PumpOptions{})
	c := newCapture(1000)
	p.capture.Store(c)
	c.leave(p)
	for range 100 { // which of the two ways is chosen is chance
		if err := c.offer(t.Context(), noise(10), time.Minute); err != nil {
			t.Fatal(err)
		}
		if len(c.chunks) != 0 {
			t.Fatal("samples were left in the channel")
		}
	}
	p.capture.Store(c) // as divert may have found it
	if rest := p.divert(t.Context(), noise(30)); len(rest) != 30 || c.left != 1000 {
		t.Errorf("%d of 30 bytes are left to be poured, %d of the capture", len(rest), c.left)
	}
}

// TestCaptureLeavesNothingInARace is the same for one that leaves just then.
func TestCaptureLeavesNothingInARace(t *testing.T) {
	p := NewPump(Config{}, sixBits(nil), nowhere{}, PumpOptions{})
	for range 1000 {
		c := newCapture(1000)
		p.capture.Store(c)
		done := make(chan struct{})
		go func() {
			p.divert(context.Background(), make([]byte, 10))
			close(done)
		}()
		c.leave(p)
		<-done
		if len(c.chunks) != 0 {
			t.Fatal("samples were left in the channel")
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, os.ErrPermission }
