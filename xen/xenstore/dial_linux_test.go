//go:build linux

package xenstore_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"headgate/xen/xenstore"
)

func TestSocket(t *testing.T) {
	s := store(t)
	path := filepath.Join(t.TempDir(), "socket")
	s.Listen(t, path)
	before := descriptors(t)
	for range 20 {
		c, err := xenstore.Dial(path)
		ok(t, err)
		ok(t, c.Write("data/x", "1"))
		if v, err := c.Read("/local/domain/0/data/x"); v != "1" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
		ok(t, c.Close())
		ok(t, c.Close())
	}
	deadline := time.Now().Add(patience)
	for descriptors(t) > before { // the other ends
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors, %d before", descriptors(t), before)
		}
		time.Sleep(time.Millisecond)
	}
}

func descriptors(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	ok(t, err)
	return len(list)
}

func TestDialErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	ok(t, os.WriteFile(file, nil, 0o600))
	dead := filepath.Join(dir, "dead")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	ok(t, err)
	ok(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: dead}))
	ok(t, syscall.Close(fd))
	before := descriptors(t)
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file or directory",
		file:                       "this is neither xenstored's socket nor the kernel's device",
		dead:                       "nobody listens on it: start xenstored",
	} {
		c, err := xenstore.Dial(path)
		if c != nil || err == nil || err.Error() != "xenstore open "+path+": "+want {
			t.Errorf("%v", err)
		}
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

func TestOpenFirst(t *testing.T) {
	s := store(t)
	dir := t.TempDir()
	none, socket := filepath.Join(dir, "none"), filepath.Join(dir, "socket")
	s.Listen(t, socket)
	c, err := xenstore.OpenFirst(none, socket, none)
	ok(t, err)
	s.Close() // and another xenstored in its place
	wait(t, c.Done(), "the end of the connection")
	ok(t, c.Close())
	store(t).Listen(t, socket)
	c, err = xenstore.OpenFirst(none, socket, none)
	ok(t, err)
	settle(t, c)
	ok(t, c.Close())
	if _, err := xenstore.OpenFirst(none, none); !errors.Is(err, fs.ErrNotExist) ||
		err.Error() != "xenstore open: no /run/xenstored/socket and no /dev/xen/xenbus: is this a Xen domain? In dom0, start xenstored" {
		t.Errorf("%v", err)
	}
}

// A xenstored that takes no connections is no reason to wait for ever.
func TestDialHangs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	ok(t, err)
	defer func() { ok(t, syscall.Close(fd)) }()
	ok(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}))
	ok(t, syscall.Listen(fd, 0))
	c, err := xenstore.DialIn(path, patience) // it fills the backlog
	ok(t, err)
	defer func() { ok(t, c.Close()) }()
	if _, err := xenstore.DialIn(path, 50*time.Millisecond); !errors.Is(err, xenstore.ErrHangs) {
		t.Errorf("%v", err)
	}
}
