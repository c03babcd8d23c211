package backends

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// send writes p in uneven pieces. The pump may be about to close its end, since
// the last writer has left; it will be back.
func send(t *testing.T, path string, p []byte) *os.File {
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	check(t, err)
	for size := 1; len(p) > 0; size = size%700 + 97 {
		n, err := w.Write(p[:min(size, len(p))])
		if errors.Is(err, syscall.EPIPE) {
			time.Sleep(time.Millisecond)
			continue
		}
		check(t, err)
		p = p[n:]
	}
	return w
}

// TestPumpThroughFIFO is a source that breaks, is away, comes back, leaves in the
// middle of a window, and comes back again.
func TestPumpThroughFIFO(t *testing.T) {
	for name, breakDown := range map[string]func(p []byte){
		"zeros":         func(p []byte) { clear(p) },
		"repeated byte": func(p []byte) { copy(p, bytes.Repeat([]byte{0xa5}, len(p))) },
		"biased": func(p []byte) { // every second byte, so that it is not the RCT
			for i := range p {
				if i%2 == 0 {
					p[i] = 0x55
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := mkfifo(t)
			source := build(t, Config{Type: "file", Path: path, MinEntropy: 6})
			r := start(t, source, new(bucket), PumpOptions{RetryMin: time.Millisecond, RetryMax: 2 * time.Millisecond})
			defer r.stop()
			has := func(kind string) func() bool {
				return func() bool {
					return slices.ContainsFunc(r.kinds(), func(k string) bool { return strings.HasPrefix(k, kind) })
				}
			}
			var want []byte
			poured := func(p []byte) { // all of p but its start-up and the run at its end
				want = append(want, p[startup:len(p)-run(p)]...)
				eventually(t, "not all was poured", func() bool { return len(r.bytes()) >= len(want) })
			}

			samples := good(startup+4*window, 10)
			fine := samples[:startup+3*window]
			breakDown(samples[len(fine)+100:])
			w := send(t, path, fine)
			poured(fine)
			_, err := w.Write(samples[len(fine):]) // as one: what follows the failure is queued by then
			check(t, err)
			eventually(t, "the failure was not noticed", has(SourceFailed))
			check(t, w.Close())
			eventually(t, "it was not opened again", func() bool { return r.Status().State == Starting })

			again := good(startup+2*window+300, 11) // the last 300 are never a window
			w = send(t, path, again)
			poured(again[:startup+2*window])
			check(t, w.Close())
			eventually(t, "the loss was not noticed", func() bool { return r.Status().State != Up && has(SourceLost)() })

			last := good(startup+window, 12)
			w = send(t, path, last)
			poured(last)
			check(t, w.Close())

			r.stop()
			if !bytes.Equal(r.bytes(), want) {
				t.Errorf("poured %d bytes, want other %d", len(r.bytes()), len(want))
			}
			if s := r.Status(); r.forfeits != 1 || s.Startups != 3 {
				t.Errorf("%d forfeits, status %+v", r.forfeits, s)
			}
		})
	}
}

func TestFIFOEndsWithItsLastWriter(t *testing.T) {
	path := mkfifo(t)
	stream, _, err := build(t, Config{Type: "file", Path: path}).Open()
	check(t, err)
	defer stream.Close()
	go func() {
		w := must(os.OpenFile(path, os.O_WRONLY, 0))
		_, _ = w.WriteString("abc")
		_ = w.Close()
	}()
	if got, err := io.ReadAll(stream); string(got) != "abc" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestFIFODrop drops from a FIFO that is open for writing all the time, so that
// a read of it waits.
func TestFIFODrop(t *testing.T) {
	path := mkfifo(t)
	w, err := os.OpenFile(path, os.O_RDWR, 0)
	check(t, err)
	defer w.Close()
	stream, err := openFIFO(path)
	check(t, err)
	f := stream.(*fifo)
	f.drop() // of nothing: it would hang here
	for _, queued := range []int{1, 4096, 10000, 64 << 10} {
		must(w.Write(make([]byte, queued)))
		f.drop()
		must(w.WriteString("new"))
		p := make([]byte, 16)
		if n, err := f.Read(p); string(p[:n]) != "new" || err != nil {
			t.Fatalf("after a drop of %d bytes: read %d, %v", queued, n, err)
		}
	}

	writing := make(chan struct{})
	go func() { // until it finds the FIFO closed
		defer close(writing)
		for err := error(nil); err == nil; _, err = w.Write(make([]byte, 64<<10)) {
		}
	}()
	must(f.Read(make([]byte, 1)))
	for range 100 {
		f.drop() // it does not follow the writer
	}
	check(t, w.Close())
	<-writing
	check(t, f.Close())
	f.drop() // of what is closed
}

// TestPumpKeepsWhatIsQueued has samples wait before the source is first opened: with
// no failure before them, they are as good as any.
func TestPumpKeepsWhatIsQueued(t *testing.T) {
	path := mkfifo(t)
	w, err := os.OpenFile(path, os.O_RDWR, 0)
	check(t, err)
	defer w.Close()
	samples := good(startup+window, 14)
	must(w.Write(samples))
	r := start(t, build(t, Config{Type: "file", Path: path, MinEntropy: 6}), new(bucket), PumpOptions{})
	defer r.stop()
	want := samples[startup : len(samples)-run(samples)]
	eventually(t, "what waited was not poured", func() bool { return bytes.Equal(r.bytes(), want) })
}

// TestPumpDropsWhatAFailedSourceQueued has a source that is well again, but has
// left more zeros behind than a few start-up tests would read.
func TestPumpDropsWhatAFailedSourceQueued(t *testing.T) {
	path := mkfifo(t)
	w, err := os.OpenFile(path, os.O_RDWR, 0)
	check(t, err)
	defer w.Close()
	_, err = w.Write(make([]byte, 60<<10))
	check(t, err)
	source := build(t, Config{Type: "file", Path: path, MinEntropy: 6})
	r := start(t, source, new(bucket), PumpOptions{RetryMin: time.Millisecond, RetryMax: 2 * time.Millisecond})
	defer r.stop()
	eventually(t, "it was not opened again", func() bool { s := r.Status(); return s.LastFailure != nil && s.State == Starting })
	_, err = w.Write(good(startup+window, 1))
	check(t, err)
	eventually(t, "the source is not up", func() bool { return r.Status().State == Up })
	if n := r.Status().Failures["rct"]; n != 1 {
		t.Errorf("%d start-up tests failed, want one", n)
	}
}
