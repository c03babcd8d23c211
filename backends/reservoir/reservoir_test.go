package reservoir

import (
	"bytes"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

func TestNewRefuses(t *testing.T) {
	for _, c := range []Config{{Size: 0}, {Size: -1}, {Size: MaxSize + 1}, {Size: 64, MinSources: -1}} {
		if r, err := New(c); err == nil {
			r.Close()
			t.Errorf("New(%+v) succeeds", c)
		}
	}
}

func TestSizes(t *testing.T) {
	for size, want := range map[int]int{1: 64, 64: 64, 65: 128, 64 << 10: 64 << 10} {
		r, err := New(Config{Size: size})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if r.Cap() != want || r.Level() != 0 || r.Stats().MinSources != 1 {
			t.Errorf("size %d: capacity %d, want %d; %+v", size, r.Cap(), want, r.Stats())
		}
	}
}

func TestOnFill(t *testing.T) {
	r := onHeap(4, 1)
	var levels []int
	r.OnFill(func() {
		levels = append(levels, r.Level())
		r.Stats() // would deadlock if a lock were held
	})
	if err := source(r, "a").Pour(t.Context(), make([]byte, 3*72+10), 8); err != nil {
		t.Fatal(err)
	}
	if len(levels) != 3 || levels[0] != 64 || levels[2] != 192 {
		t.Errorf("levels seen at each fill: %v", levels)
	}
}

func TestTakenBytesAreGone(t *testing.T) {
	r, err := New(Config{Size: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	samples := make([]byte, 72*r.Cap()/BlockSize)
	for i := range samples {
		samples[i] = byte(i % 251) // does not repeat with the blocks
	}
	if err := source(r, "a").Pour(t.Context(), samples, 8); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 1000)
	if n := r.Take(p, 0); n != len(p) {
		t.Fatalf("took %d", n)
	}
	if !bytes.Equal(r.ring.mem[:1000], make([]byte, 1000)) {
		t.Error("taken bytes are still in memory")
	}
	for at := 0; at+16 <= len(p); at += 16 {
		if bytes.Contains(r.ring.mem, p[at:at+16]) {
			t.Error("taken bytes are elsewhere in memory")
		}
	}
	if bytes.Contains(r.ring.mem[1000:], make([]byte, 16)) {
		t.Error("bytes that were not taken are gone")
	}
}

// TestClose unmaps while takers and a source are at work: nobody may touch the
// memory afterwards.
func TestClose(t *testing.T) {
	for range 50 {
		r, err := New(Config{Size: 512})
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		in := source(r, "a")
		all.Go(func() {
			for in.Pour(t.Context(), make([]byte, 720), 8) == nil {
			}
		})
		stop := make(chan struct{})
		for range 4 {
			all.Go(func() {
				p := make([]byte, 100)
				for {
					select {
					case <-stop:
						return
					default:
						r.Take(p, 0)
						runtime.Gosched()
					}
				}
			})
		}
		for r.Stats().Blocks < 20 {
			runtime.Gosched()
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if n := r.Take(make([]byte, 10), 0); n != 0 || r.Level() != 0 {
			t.Errorf("Take after Close = %d, level %d", n, r.Level())
		}
		if err := r.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		close(stop)
		all.Wait()
	}
}

// TestCloseAwaitsTakers stops a taker halfway: Close may not give the memory back
// before it is through.
func TestCloseAwaitsTakers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := onHeap(4, 1)
		released := false
		r.release = func() error { released = true; return nil }
		if err := source(r, "a").Pour(t.Context(), make([]byte, 3*72), 8); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, r.ring.reserve(100, 0))
		go r.Close()
		synctest.Wait()
		if released {
			t.Error("memory is gone under a taker")
		}
		r.ring.move(p)
		synctest.Wait()
		if !released || len(p) != 100 {
			t.Errorf("after a take of %d bytes: released %v", len(p), released)
		}
	})
}

func TestErrorsNameNoBytes(t *testing.T) {
	r := onHeap(1, 1)
	if err := source(r, "a").Pour(t.Context(), []byte("secret"), 9); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("Pour at 9 bits: %v", err)
	}
}
