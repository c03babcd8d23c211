//go:build linux

package evtchn

import (
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const soon = 10 * time.Second

// device stands for /dev/xen/evtchn: a socket pair, whose other end queues ports as
// the driver does and sees what is unmasked. It has no ioctls.
func device(t *testing.T) (*Conn, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	driver := os.NewFile(uintptr(fds[1]), "driver")
	c, err := open(os.NewFile(uintptr(fds[0]), Device))
	must(t, err)
	t.Cleanup(func() { c.Close(); driver.Close() })
	return c, driver
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// event queues ports, little-endian.
func event(t *testing.T, driver *os.File, ports ...byte) {
	t.Helper()
	var b []byte
	for _, p := range ports {
		b = append(b, p, 0, 0, 0)
	}
	_, err := driver.Write(b)
	must(t, err)
}

// unmasked is the next port that was given back.
func unmasked(t *testing.T, driver *os.File) Port {
	t.Helper()
	must(t, driver.SetReadDeadline(time.Now().Add(soon)))
	b := make([]byte, 4)
	n, err := driver.Read(b)
	if n != 4 || err != nil {
		t.Fatal(n, err)
	}
	return Port(b[0])
}
