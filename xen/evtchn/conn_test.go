//go:build linux

package evtchn

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

type result struct {
	port Port
	err  error
}

func later(f func() (Port, error)) <-chan result {
	c := make(chan result, 1)
	go func() { p, err := f(); c <- result{p, err} }()
	return c
}

func await(t *testing.T, c <-chan result) result {
	t.Helper()
	select {
	case r := <-c:
		return r
	case <-time.After(soon):
		t.Fatal("it still waits")
		return result{}
	}
}

func TestEachEventOnceInOrder(t *testing.T) {
	c, driver := device(t)
	event(t, driver, 3, 1, 2)
	for _, want := range []Port{3, 1, 2} {
		if got, err := c.Wait(); got != want || err != nil {
			t.Fatal(got, err)
		}
		must(t, c.Unmask(want))
		if got := unmasked(t, driver); got != want {
			t.Fatal(got)
		}
	}
	waits := later(c.Wait)
	time.Sleep(5 * time.Millisecond)
	event(t, driver, 9)
	if r := await(t, waits); r.port != 9 || r.err != nil {
		t.Fatal(r)
	}
}

func TestDeadline(t *testing.T) {
	c, driver := device(t)
	waits := later(c.Wait)
	must(t, c.SetDeadline(time.Now().Add(5*time.Millisecond)))
	if r := await(t, waits); !errors.Is(r.err, os.ErrDeadlineExceeded) {
		t.Fatal(r)
	}
	// One that has passed ends those to come, until it is taken back.
	event(t, driver, 5)
	must(t, c.SetDeadline(time.Unix(1, 0)))
	if _, err := c.Wait(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	must(t, c.SetDeadline(time.Time{}))
	if p, err := c.Wait(); p != 5 || err != nil {
		t.Fatal(p, err)
	}
}

func TestCloseEndsAWait(t *testing.T) {
	c, _ := device(t)
	waits := []<-chan result{later(c.Wait), later(c.Wait)}
	time.Sleep(5 * time.Millisecond)
	must(t, c.Close())
	for _, w := range waits {
		if r := await(t, w); !errors.Is(r.err, os.ErrClosed) {
			t.Error(r)
		}
	}
	for name, f := range map[string]func() error{
		"close":  c.Close,
		"notify": func() error { return c.Notify(1) },
		"unmask": func() error { return c.Unmask(1) },
		"unbind": func() error { return c.Unbind(1) },
		"bind":   func() error { _, err := c.BindUnbound(0); return err },
		"wait":   func() error { _, err := c.Wait(); return err },
	} {
		if err := f(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDeviceThatEnds(t *testing.T) {
	c, driver := device(t)
	waits := later(c.Wait)
	must(t, driver.Close())
	if r := await(t, waits); r.err == nil {
		t.Error(r)
	}
	if err := c.Notify(1); !errors.Is(err, unix.ENOTTY) {
		t.Error(err)
	}
}

func TestNoAllocation(t *testing.T) {
	c, driver := device(t)
	queue, back := []byte{7, 0, 0, 0}, make([]byte, 4)
	n := testing.AllocsPerRun(100, func() {
		if _, err := driver.Write(queue); err != nil {
			t.Fatal(err)
		}
		if p, err := c.Wait(); p != 7 || err != nil {
			t.Fatal(p, err)
		}
		if err := c.Unmask(7); err != nil {
			t.Fatal(err)
		}
		if _, err := driver.Read(back); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func TestOpenWithoutXen(t *testing.T) {
	if _, err := os.Stat(Device); err == nil {
		t.Skip("this is Xen")
	}
	if _, err := Open(); !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	} else if want := "load the module xen-evtchn"; !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
}
