package kvm

import (
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWhyItCannotConnect(t *testing.T) {
	for errno, want := range map[unix.Errno]string{
		unix.ENOENT:       "server=on at that path",
		unix.ECONNREFUSED: "has ended",
		unix.EAGAIN:       "others are connected",
		unix.EACCES:       "umask 002",
		unix.EPERM:        "umask 002",
		unix.EIO:          "",
	} {
		if got := cure(&net.OpError{Op: "dial", Err: errno}); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%v: %q", errno, got)
		}
	}
}

// QEMU listens for one: who comes while others wait is told so.
func TestASocketAtWhichOthersWait(t *testing.T) {
	r := dialling(t, 0)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: r.path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 1); err != nil {
		t.Fatal(err)
	}
	waiting := 0
	for ; waiting < 10; waiting++ {
		conn, err := net.Dial("unix", r.path)
		if err != nil {
			break
		}
		defer conn.Close()
	}
	if waiting == 0 || waiting == 10 {
		t.Fatalf("%d can wait there", waiting)
	}
	defer os.Remove(r.path)
	r.run(t)
	r.troubled(t, "others are connected to it already")
}
