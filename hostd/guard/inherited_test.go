package guard

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"headgate/integration/need"
)

func TestInherited(t *testing.T) {
	if !outside(t) {
		if err := Inherited(); err != nil {
			t.Fatal(err)
		}
		return
	}
	for name, c := range map[string]struct {
		family, kind int
		root         bool
		want         string // in the error; "" if there is none
	}{
		"none":    {},
		"unix":    {family: unix.AF_UNIX, kind: unix.SOCK_STREAM},
		"netlink": {family: unix.AF_NETLINK, kind: unix.SOCK_RAW},
		"inet":    {family: unix.AF_INET, kind: unix.SOCK_STREAM, want: "network socket (inet)"},
		"inet6":   {family: unix.AF_INET6, kind: unix.SOCK_DGRAM, want: "network socket (inet6)"},
		"packet":  {family: unix.AF_PACKET, kind: unix.SOCK_RAW, want: "network socket (packet)", root: true},
	} {
		t.Run(name, func(t *testing.T) {
			if c.root {
				need.Root(t, "a packet socket takes CAP_NET_RAW")
			}
			cmd := again(t.Context(), "TestInherited")
			if c.family != 0 {
				fd, err := unix.Socket(c.family, c.kind|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					need.Unmet(t, err)
				}
				file := os.NewFile(uintptr(fd), name)
				defer file.Close()
				cmd.ExtraFiles = []*os.File{file} // descriptor 3
			}
			out, err := cmd.CombinedOutput()
			switch said := string(out); {
			case c.want == "" && err != nil:
				t.Errorf("%v: %s", err, said)
			case c.want != "" && (err == nil || !strings.Contains(said, "descriptor 3, ") || !strings.Contains(said, c.want)):
				t.Errorf("%v, want %q: %s", err, c.want, said)
			}
		})
	}
}

func TestInheritedRing(t *testing.T) {
	if !outside(t) {
		if err := Inherited(); err != nil {
			t.Fatal(err)
		}
		return
	}
	var parameters [120]byte // struct io_uring_params: include/uapi/linux/io_uring.h
	fd, err := ring(&parameters)
	if err != nil {
		need.Unmet(t, "io_uring_setup: ", err)
	}
	file := os.NewFile(uintptr(fd), "ring")
	defer file.Close()
	cmd := again(t.Context(), t.Name())
	cmd.ExtraFiles = []*os.File{file}
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "descriptor 3, which hostd was started with, is an io_uring") {
		t.Errorf("%v: %s", err, out)
	}
}
