package backends

import (
	"bytes"
	"errors"
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
			w := send(t, path, samples)
			poured(fine)
			eventually(t, "the failure was not noticed", has(SourceFailed))
			check(t, w.Close())

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
