package backends

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestEGDConfig(t *testing.T) {
	for path, want := range map[string]string{
		"":                             "no socket is given",
		"8888":                         "entropy never crosses",
		"127.0.0.1:8888":               "entropy never crosses",
		"localhost:8888":               "entropy never crosses",
		"[::1]:8888":                   "entropy never crosses",
		"::1":                          "entropy never crosses",
		"tcp:localhost:8888":           "entropy never crosses",
		"tcp://10.0.0.1:8888":          "entropy never crosses",
		"//10.0.0.1/egd":               "entropy never crosses",
		"host:/run/egd.sock":           "entropy never crosses",
		"unix:/run/egd.sock":           `name the path alone: "/run/egd.sock"`,
		"@egd":                         "abstract socket",
		"\x00egd":                      "abstract socket",
		"egd.sock":                     "is relative",
		"./egd.sock":                   "is relative",
		"/" + strings.Repeat("x", 107): "can have 107",
	} {
		_, err := New(Config{Name: "key", Type: "egd", Path: path})
		if err == nil || !strings.Contains(err.Error(), "path: ") || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "allowed: the absolute path of a unix socket") {
			t.Errorf("%q: %v", path, err)
		}
	}
	for _, path := range []string{"/run/egd.sock", "/run/a:b/egd.sock", "/" + strings.Repeat("x", 106)} {
		if _, err := New(Config{Type: "egd", Path: path}); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestEGDOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	check(t, os.WriteFile(at("file"), nil, 0o600))

	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: at("dead")})
	check(t, err)
	l.SetUnlinkOnClose(false)
	check(t, l.Close())

	datagram, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at("datagram"), Net: "unixgram"})
	check(t, err)
	defer datagram.Close()

	full, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	check(t, err)
	defer syscall.Close(full)
	check(t, syscall.Bind(full, &syscall.SockaddrUnix{Name: at("full")}))
	check(t, syscall.Listen(full, 0))
	first, err := net.Dial("unix", at("full"))
	check(t, err)
	defer first.Close()

	for _, c := range []struct {
		name, want string
		is         error
	}{
		{"nothing", "start the EGD server that makes it", os.ErrNotExist},
		{"file", "it is a regular file, not a socket", nil},
		{"dead", "the EGD server that made this socket is gone", syscall.ECONNREFUSED},
		{"datagram", "it is not a stream socket", syscall.EPROTOTYPE},
		{"full", "does not take connections", syscall.EAGAIN},
	} {
		files := openFiles(t)
		_, _, err := build(t, Config{Type: "egd", Path: at(c.name)}).Open()
		if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), at(c.name)) {
			t.Errorf("%s: %v", c.name, err)
		}
		if n := openFiles(t); n != files {
			t.Errorf("%s: %d descriptors, were %d", c.name, n, files)
		}
	}
}
