//go:build linux

package guard

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/integration/rig"
)

// given is a hostd that is started with something at a descriptor.
func given(t *testing.T, text string, at int, file *os.File) *rig.Daemon {
	t.Helper()
	d, err := rig.NewDaemon(rig.Dir(t), needed(t).hostd, text+rig.Sound)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	d.Change = func(cmd *exec.Cmd) {
		if at == 0 {
			cmd.Stdin = file
			return
		}
		cmd.ExtraFiles = make([]*os.File, at-2) // from descriptor 3
		cmd.ExtraFiles[at-3] = file
	}
	return d
}

// socket is one that this test has.
func socket(t *testing.T, domain, kind, protocol int) *os.File {
	t.Helper()
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), fmt.Sprintf("socket of family %d", domain))
	t.Cleanup(func() { f.Close() })
	return f
}

// connected is one end of a TCP connection.
func connected(t *testing.T) *os.File {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestInheritedSocket shows that hostd does not start with a socket in its hands that
// reaches beyond this host, whatever its number is, and names it; and that it does with
// one that does not, or where the guard is off.
func TestInheritedSocket(t *testing.T) {
	needed(t)
	for _, c := range []struct {
		name string
		file func(*testing.T) *os.File
		at   int
	}{
		{"TCP", func(t *testing.T) *os.File { return socket(t, unix.AF_INET, unix.SOCK_STREAM, 0) }, 3},
		{"TCP connected", connected, 4},
		{"TCP as inetd gives it", connected, 0},
		{"UDP", func(t *testing.T) *os.File { return socket(t, unix.AF_INET, unix.SOCK_DGRAM, 0) }, 17},
		{"IPv6", func(t *testing.T) *os.File { return socket(t, unix.AF_INET6, unix.SOCK_STREAM, 0) }, 200},
		{"raw IPv6", func(t *testing.T) *os.File {
			return socket(t, unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6)
		}, 5},
		{"packet", func(t *testing.T) *os.File { return socket(t, unix.AF_PACKET, unix.SOCK_RAW, 0) }, 3},
	} {
		for _, mode := range []string{"on", "require"} {
			t.Run(c.name+" "+mode, func(t *testing.T) {
				d := given(t, fmt.Sprintf("guard = %q\n", mode), c.at, c.file(t))
				said := refused(t, d)
				if !strings.Contains(said, fmt.Sprintf("descriptor %d", c.at)) {
					t.Errorf("hostd does not name descriptor %d: %s", c.at, said)
				}
				t.Log(said)
			})
		}
	}
	t.Run("TCP off", func(t *testing.T) {
		begins(t, given(t, off, 3, socket(t, unix.AF_INET, unix.SOCK_STREAM, 0)))
	})
	t.Run("unix require", func(t *testing.T) {
		begins(t, given(t, require, 3, socket(t, unix.AF_UNIX, unix.SOCK_STREAM, 0)))
	})
	t.Run("a file require", func(t *testing.T) {
		file, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		begins(t, given(t, require, 3, file))
	})
}

// begins starts a hostd that is to start.
func begins(t *testing.T, d *rig.Daemon) {
	t.Helper()
	if err := d.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

// refused starts a hostd that is not to start, and returns the one line that it says.
func refused(t *testing.T, d *rig.Daemon) string {
	t.Helper()
	begun := time.Now()
	err := d.Start(context.WithoutCancel(t.Context()))
	if err == nil {
		t.Fatal("hostd has started")
	}
	if !strings.Contains(err.Error(), "exit status 1;") {
		t.Errorf("hostd did not exit with 1: %v", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("hostd took %s to say so", took)
	}
	text, err := os.ReadFile(d.Log)
	if err != nil {
		t.Fatal(err)
	}
	said := string(text)
	if strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "hostd: ") {
		t.Errorf("hostd says more, or less, than one line:\n%s", said)
	}
	return strings.TrimSpace(said)
}
