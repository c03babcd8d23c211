package kvm

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"headgate/integration/need"
)

func TestListenReplacesADeadSocketAndNoOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	socket := Socket{Path: path, UID: -1, GID: -1}

	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if _, err := Dead(path); !errors.Is(err, ErrInUse) {
		t.Fatalf("a socket that lives: %v", err)
	}
	dead.Close()
	if info, err := Dead(path); err != nil || info.Name() != "s" {
		t.Fatalf("a dead one: %v, %v", info, err)
	}
	if _, err := Dead(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("none: %v", err)
	}
	live, err := Listen(socket)
	if err != nil {
		t.Fatalf("a dead daemon's socket was not replaced: %v", err)
	}
	if _, err := Listen(socket); !errors.Is(err, ErrInUse) {
		t.Fatalf("a live daemon's socket: %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Fatalf("left beside the socket: %v, %v", entries, err)
	}
	if err := live.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(socket); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Fatalf("a file in the socket's place: %v", err)
	}
}

func TestCloseLeavesAnothersSocketAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	old, err := Listen(Socket{Path: path, UID: -1, GID: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	next, err := Listen(Socket{Path: path, UID: -1, GID: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	old.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal("the newer socket was removed")
	}
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	for path, want := range map[string]string{
		"/" + strings.Repeat("x", maxPath): "at most 107",
		"/dev/null/guest.sock":             "not a directory",
	} {
		if _, err := Listen(Socket{Path: path, UID: -1, GID: -1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20s: %v, want %q", path, err, want)
		}
	}
}

// A name of 107 bytes is possible although the one at birth is longer.
func TestListenUnderTheLongestName(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, strings.Repeat("x", maxPath-len(dir)-1))
	l, err := Listen(Socket{Path: path, UID: -1, GID: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestListenMakesDirectoriesThatOthersCanPass(t *testing.T) {
	top := t.TempDir()
	l, err := Listen(Socket{Path: filepath.Join(top, "a", "b", "s"), UID: -1, GID: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, dir := range []string{"a", "a/b"} {
		if info, err := os.Stat(filepath.Join(top, dir)); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
}

const svirt = "system_u:object_r:svirt_image_t:s0:c1,c2"

func TestASocketGetsItsLabel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(Socket{Path: path, UID: -1, GID: -1, Label: svirt})
	if err != nil {
		need.Unmet(t, "run it as root, with TMPDIR on a tmpfs or ext4, and with no SELinux policy that knows no ", svirt, ": ", err)
	}
	defer l.Close()
	var label [100]byte
	n, err := unix.Lgetxattr(path, "security.selinux", label[:])
	if err != nil || string(label[:n]) != svirt+"\x00" {
		t.Fatalf("%q, %v", label[:n], err)
	}
}

func TestALabelThatCannotBeSetSaysWhy(t *testing.T) {
	for label, want := range map[string]string{
		"a\x00b":                   "no such label",
		strings.Repeat("x", 1<<20): "label it \"" + strings.Repeat("x", 200) + "\": ",
	} {
		path := filepath.Join(t.TempDir(), "s")
		_, err := Listen(Socket{Path: path, UID: -1, GID: -1, Label: label})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.10q: %v", label, err)
		}
		if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 0 {
			t.Errorf("%.10q: left behind: %v, %v", label, entries, err)
		}
	}
}
