package backends

import (
	"cmp"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// subject is one source under the contract. write, if not nil, puts bytes where
// the source reads them; until then a Read waits.
type subject struct {
	source  Source
	write   func(p []byte)
	assumed float64 // what it claims when nothing was assessed; 0: AssumedMinEntropy
}

// subjects is every kind of source, over every way in which it reads.
var subjects = map[string]func(t *testing.T, minEntropy float64) subject{
	"fake": func(_ *testing.T, h float64) subject {
		samples := make(chan []byte, 1)
		return subject{
			source: &Fake{Info: Info{MinEntropy: h}, Fill: func(p []byte) (int, error) {
				select {
				case s := <-samples:
					return copy(p, s), nil
				default:
					return 0, nil
				}
			}},
			write: func(p []byte) { samples <- p },
		}
	},
	"rdseed": func(t *testing.T, h float64) subject {
		return subject{source: build(t, Config{Type: "rdseed", MinEntropy: h})}
	},
	"hwrng over a poller": func(t *testing.T, h float64) subject {
		path, master := pty(t)
		return subject{source: testHWRNG(t, path, "tpm-rng-0", "1024", h), write: writer(t, master)}
	},
	"hwrng detached": func(t *testing.T, h float64) subject {
		return subject{source: testHWRNG(t, "/dev/zero", "tpm-rng-0", "1024", h)}
	},
	"file: terminal": func(t *testing.T, h float64) subject {
		path, master := pty(t)
		return subject{source: build(t, Config{Type: "file", Path: path, MinEntropy: h}), write: writer(t, master)}
	},
	"file: device without a poller": func(t *testing.T, h float64) subject {
		return subject{source: build(t, Config{Type: "file", Path: "/dev/zero", MinEntropy: h})}
	},
	"file: FIFO": func(t *testing.T, h float64) subject {
		path := mkfifo(t)
		var end *os.File
		t.Cleanup(func() {
			if end != nil {
				_ = end.Close()
			}
		})
		return subject{
			source: build(t, Config{Type: "file", Path: path, MinEntropy: h}),
			write: func(p []byte) {
				if end == nil {
					end = must(os.OpenFile(path, os.O_WRONLY, 0))
				}
				must(end.Write(p))
			},
		}
	},
	"file: regular": func(t *testing.T, h float64) subject {
		path := filepath.Join(t.TempDir(), "samples")
		check(t, os.WriteFile(path, noise(8192), 0o600))
		return subject{source: build(t, Config{Type: "file", Path: path, MinEntropy: h, Consume: true})}
	},
}

func TestSourceContract(t *testing.T) {
	for name, make := range subjects {
		t.Run(name, func(t *testing.T) {
			if name == "rdseed" && !hasRDSEED() {
				if _, _, err := make(t, 0).source.Open(); err == nil {
					t.Error("opened without the instruction")
				}
				return
			}
			t.Run("reads", func(t *testing.T) { readsTwice(t, make(t, 0)) })
			t.Run("claim", func(t *testing.T) { claims(t, make(t, 0), make(t, 6)) })
			t.Run("close", func(t *testing.T) { closes(t, make(t, 0)) })
		})
	}
}

// readsTwice wants samples, then the same from a second stream, and no descriptor
// left behind.
func readsTwice(t *testing.T, s subject) {
	files := openFiles(t)
	for range 2 {
		stream, _, err := s.source.Open()
		check(t, err)
		if s.write != nil {
			s.write(noise(64))
			if n := openFiles(t); files < n-1 {
				files = n - 1 // the writing end stays open
			}
		}
		p := make([]byte, 512)
		if n, err := stream.Read(p); n < 1 || n > len(p) || err != nil {
			t.Fatalf("Read: %d, %v", n, err)
		}
		check(t, stream.Close())
	}
	eventually(t, "descriptors are left open", func() bool { return openFiles(t) <= files+1 })
}

func claims(t *testing.T, assumed, assessed subject) {
	for _, c := range []struct {
		source  Source
		want    float64
		assumed bool
	}{{assumed.source, cmp.Or(assumed.assumed, AssumedMinEntropy), true}, {assessed.source, 6, false}} {
		stream, info, err := c.source.Open()
		check(t, err)
		if info.Kind == "" || info.Origin == "" || info.MinEntropy != c.want || info.Assumed != c.assumed {
			t.Errorf("info is %+v, want a claim of %v, assumed %v", info, c.want, c.assumed)
		}
		check(t, stream.Close())
	}
}

// closes wants os.ErrClosed from the Read that Close interrupts, where Read can
// wait, and from every later one.
func closes(t *testing.T, s subject) {
	stream, _, err := s.source.Open()
	check(t, err)
	done := make(chan error, 1)
	if s.write != nil {
		go func() {
			_, err := stream.Read(make([]byte, 16))
			done <- err
		}()
		select {
		case err := <-done:
			t.Fatalf("Read did not wait: %v", err)
		case <-time.After(2 * time.Millisecond):
		}
	} else {
		done <- os.ErrClosed
	}
	check(t, stream.Close())
	for range 2 {
		select {
		case err := <-done:
			if !errors.Is(err, os.ErrClosed) {
				t.Errorf("Read after Close: %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("Close did not end the Read")
		}
		n, err := stream.Read(make([]byte, 16))
		if n != 0 {
			t.Errorf("Read after Close gave %d bytes", n)
		}
		done <- err
	}
	_ = stream.Close() // a second one does no harm
}

func build(t testing.TB, c Config) Source {
	t.Helper()
	s, err := New(c)
	check(t, err)
	return s
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func noise(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.Read(p)
	return p
}

func eventually(t testing.TB, problem string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(problem)
		}
	}
}

func openFiles(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	check(t, err)
	return len(entries)
}

func mkfifo(t testing.TB) string {
	path := filepath.Join(t.TempDir(), "fifo")
	check(t, unix.Mkfifo(path, 0o600))
	return path
}

func writer(t testing.TB, w io.Writer) func([]byte) {
	return func(p []byte) {
		if _, err := w.Write(p); err != nil {
			t.Error(err)
		}
	}
}

// pty returns a character device in raw mode, and the end that feeds it.
func pty(t testing.TB) (path string, master *os.File) {
	path, master = newTTY(t)
	slave := other(t, path) // keeps the settings
	mode := must(unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS))
	mode.Iflag, mode.Oflag, mode.Lflag = 0, 0, 0
	mode.Cc[unix.VMIN], mode.Cc[unix.VTIME] = 1, 0
	check(t, unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, mode))
	return path, master
}

// testHWRNG is a hwrng source over another device and a sysfs of its own.
func testHWRNG(t testing.TB, path, driver, quality string, minEntropy float64) *hwrng {
	h := newHWRNG(Config{Type: "hwrng", Path: path, MinEntropy: minEntropy})
	h.attr = t.TempDir()
	setAttribute(t, h, "rng_current", driver)
	setAttribute(t, h, "rng_quality", quality)
	return h
}

func setAttribute(t testing.TB, h *hwrng, name, value string) {
	check(t, os.WriteFile(filepath.Join(h.attr, name), []byte(value+"\n"), 0o600))
}
