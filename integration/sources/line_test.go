//go:build linux

package sources

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"headgate/integration/load"
	"headgate/xen/console/consoletest"
)

// line is a serial device that can be plugged in and out: a pty behind a name that
// is there as long as it is, as udev's are.
type line struct {
	path   string
	noise  *load.Noise
	master *os.File
	from   *os.File
	copied chan struct{}
}

// newLine makes a line on which as much noise comes; it is not plugged in yet.
func newLine(ctx context.Context, t *testing.T, dir, name string, rate float64) *line {
	t.Helper()
	l := &line{path: filepath.Join(dir, name), noise: startNoise(ctx, t, dir, name+".noise", rate)}
	t.Cleanup(l.unplug)
	return l
}

func (l *line) plug(t *testing.T) {
	t.Helper()
	var path string
	l.master, path = consoletest.Terminal(t)
	var err error
	if l.from, err = os.Open(l.noise.Path); err != nil {
		t.Fatal(err)
	}
	l.copied = make(chan struct{})
	go func(to io.Writer, from io.Reader) {
		defer close(l.copied)
		_, _ = io.CopyBuffer(to, from, make([]byte, 256)) // ends when both are closed
	}(struct{ io.Writer }{l.master}, struct{ io.Reader }{l.from})
	if err := os.Symlink(path, l.path); err != nil {
		t.Fatal(err)
	}
}

func (l *line) unplug() {
	if l.master == nil {
		return
	}
	_ = os.Remove(l.path)
	l.master.Close()
	l.from.Close() // the noise may have ended, and the copy would wait for more
	<-l.copied
	l.master = nil
}

// startNoise makes a FIFO on which as many random bytes come a second as condition
// to rate bytes at a claim of 8 bits. Whoever a command runs as may read it.
func startNoise(ctx context.Context, t *testing.T, dir, name string, rate float64) *load.Noise {
	t.Helper()
	noise, err := load.StartNoise(ctx, filepath.Join(dir, name), rate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(noise.Close)
	for path, mode := range map[string]os.FileMode{dir: 0o711, noise.Path: 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	return noise
}

// source is a [[source]] with what else it needs.
func source(name, kind, more string) string {
	return fmt.Sprintf("\n[[source]]\nname = %q\ntype = %q\n%s\n", name, kind, more)
}
