//go:build linux

package console

import (
	"bytes"
	"errors"
	"headgate/xen/console/consoletest"
	"io"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := OpenRaw(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestEveryByteAsItIs(t *testing.T) {
	master, path := consoletest.Terminal(t)
	f := open(t, path)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, way := range map[string][2]*os.File{"in": {master, f}, "out": {f, master}} {
		if _, err := way[0].Write(all); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 256)
		must(t, way[1].SetReadDeadline(time.Now().Add(10*time.Second)))
		if _, err := io.ReadFull(way[1], got); err != nil || !bytes.Equal(got, all) {
			t.Errorf("%s: %v, % x", name, err, got)
		}
	}
	// And nothing is echoed.
	must(t, master.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
	if n, err := master.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(n, err)
	}
}

func TestFlush(t *testing.T) {
	master, path := consoletest.Terminal(t)
	f := open(t, path)
	if _, err := master.Write([]byte("of before")); err != nil {
		t.Fatal(err)
	}
	// It is ours once the terminal has passed it on.
	for n, end := 0, time.Now().Add(10*time.Second); n < 9 && time.Now().Before(end); {
		must(t, control(f, func(fd int) (err error) { n, err = unix.IoctlGetInt(fd, unix.TIOCINQ); return err }))
	}
	must(t, Flush(f))
	if _, err := master.Write([]byte("after")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	must(t, f.SetReadDeadline(time.Now().Add(10*time.Second)))
	if _, err := io.ReadFull(f, got); err != nil || string(got) != "after" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestCloseEndsARead(t *testing.T) {
	_, path := consoletest.Terminal(t)
	f := open(t, path)
	ended := make(chan error, 1)
	go func() { _, err := f.Read(make([]byte, 1)); ended <- err }()
	time.Sleep(10 * time.Millisecond)
	must(t, f.Close())
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it still reads")
	}
	if err := Flush(f); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestNotATerminal(t *testing.T) {
	for _, path := range []string{"/dev/null", "/nowhere", t.TempDir()} {
		if f, err := OpenRaw(path); err == nil {
			f.Close()
			t.Errorf("%s was opened", path)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
