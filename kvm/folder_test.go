package kvm

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"headgate/integration/need"
	"headgate/wire/pipe"
)

const stranger = 12345 // a user that nobody is

// reachable is a new folder through which every user can pass.
func reachable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func attribute(t *testing.T, path, name string) []byte {
	t.Helper()
	var list [200]byte
	n, err := unix.Lgetxattr(path, name, list[:])
	if errors.Is(err, unix.ENODATA) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return list[:n]
}

func TestTheFolderOfASocketOfQEMUs(t *testing.T) {
	for uid, want := range map[int]struct {
		mode fs.FileMode
		list string
	}{
		-1:           {0o700, ""},
		os.Geteuid(): {0o700, ""},
		stranger: {0o770, "\x02\x00\x00\x00" + // acl(5), as getfattr -e hex shows it
			"\x01\x00\x07\x00\xff\xff\xff\xff" + "\x02\x00\x07\x00\x39\x30\x00\x00" +
			"\x04\x00\x00\x00\xff\xff\xff\xff" + "\x10\x00\x07\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"},
	} {
		top := t.TempDir()
		old := syscall.Umask(0o177) // whatever it is
		s := Socket{Path: filepath.Join(top, "guests", "web1.vhost", "sock"), UID: uid, GID: -1}
		err := s.makeFolder()
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		folder := filepath.Dir(s.Path)
		if info, err := os.Stat(filepath.Dir(folder)); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("uid %d: the one above: %v, %v", uid, info.Mode(), err)
		}
		if info, err := os.Stat(folder); err != nil || info.Mode() != fs.ModeDir|want.mode {
			t.Errorf("uid %d: %v, %v", uid, info.Mode(), err)
		}
		if list := attribute(t, folder, "system.posix_acl_access"); string(list) != want.list {
			t.Errorf("uid %d: list %x", uid, list)
		}
		if entries, err := os.ReadDir(filepath.Dir(folder)); err != nil || len(entries) != 1 {
			t.Errorf("uid %d: beside it: %v, %v", uid, entries, err)
		}
		if err := s.makeFolder(); err != nil {
			t.Errorf("uid %d: again: %v", uid, err)
		}
		if !RemoveFolder(s.Path) || RemoveFolder(s.Path) {
			t.Errorf("uid %d: not removed once", uid)
		}
	}
}

func TestAFolderThatIsThereIsLeftAlone(t *testing.T) {
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o751); err != nil {
		t.Fatal(err)
	}
	s := Socket{Path: filepath.Join(folder, "sock"), UID: stranger, GID: -1}
	if err := s.makeFolder(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o751 || attribute(t, folder, "system.posix_acl_access") != nil {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if RemoveFolder(s.Path) {
		t.Error("it was removed")
	}
}

// A guest that runs as another user from now on can use what was made for the one before.
func TestAFolderForAnotherUserIsMadeAnew(t *testing.T) {
	need.Root(t, "hostd's user is not the one that it is made for")
	s := Socket{Path: filepath.Join(t.TempDir(), "web1.vhost", "sock"), GID: -1}
	folder := filepath.Dir(s.Path)
	inode := func() uint64 {
		t.Helper()
		info, err := os.Lstat(folder)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Ino
	}
	for _, uid := range []int{stranger, -1, stranger + 1, stranger + 1, -1, -1} {
		s.UID = uid
		if err := s.makeFolder(); err != nil {
			t.Fatal(err)
		}
		if !listed(folder, accessName, accessList(uid)) {
			t.Errorf("not made for %d", uid)
		}
		was := inode()
		if err := s.makeFolder(); err != nil || inode() != was {
			t.Errorf("for %d a second time: %v", uid, err)
		}
	}
	l, err := net.Listen("unix", s.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s.UID = stranger
	if err := s.makeFolder(); err != nil || !listed(folder, accessName, accessList(-1)) {
		t.Errorf("while somebody listens in it: %v", err)
	}
}

func TestWhatIsInTheFolderKeepsIt(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a socket that lives": func(path string) error {
			l, err := net.Listen("unix", path)
			if err == nil {
				t.Cleanup(func() { l.Close() })
			}
			return err
		},
		"one that is bound and does not listen": func(path string) error {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err == nil {
				t.Cleanup(func() { unix.Close(fd) })
				err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
			}
			return err
		},
		"a file":          func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a link":          func(path string) error { return os.Symlink("/dev/null", path) },
		"something other": func(path string) error { return os.WriteFile(path+"2", nil, 0o600) },
	} {
		s := Socket{Path: filepath.Join(t.TempDir(), "web1.vhost", "sock"), UID: -1, GID: -1}
		if err := s.makeFolder(); err != nil {
			t.Fatal(err)
		}
		if err := put(s.Path); err != nil {
			t.Fatal(name, err)
		}
		if RemoveFolder(s.Path) {
			t.Errorf("%s: removed", name)
		}
		if entries, err := os.ReadDir(filepath.Dir(s.Path)); err != nil || len(entries) != 1 {
			t.Errorf("%s: %v, %v", name, entries, err)
		}
	}
}

func TestAFolderThatCannotBeMadeSaysWhatToDo(t *testing.T) {
	for folder, want := range map[string]string{
		"/sys/headgate": "make the folder yourself",
		"/dev/null":     "not a directory",
		"/dev/null/x":   "not a directory",
	} {
		err := Socket{Path: folder + "/sock", UID: -1, GID: -1}.makeFolder()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), folder) {
			t.Errorf("%s: %v", folder, err)
		}
	}
}

// QEMU runs as a user of its own, and so does hostd: this test plays hostd as root,
// which may connect to everything, so that whether it could without that is read off
// the socket's list.
func TestAnotherUserMakesItsSocketInTheFolder(t *testing.T) {
	need.Root(t, "it starts a process of another user")
	for _, test := range []struct {
		name      string
		umask     int
		effective bool
	}{{"umask 002, as libvirt has it", 0o002, true}, {"umask 022", 0o022, false}} {
		t.Run(test.name, func(t *testing.T) {
			r := dialling(t, 1<<16)
			RemoveFolder(r.path)
			r.path = filepath.Join(reachable(t), "web1.vhost", "sock")
			r.opt.Socket.Path, r.opt.Socket.UID = r.path, stranger
			var err error
			if r.Pipe, err = Open(r.opt); err != nil {
				t.Fatal(err)
			}
			r.run(t)
			other := r.listens(t, stranger, test.umask)
			if e := r.expect(t, pipe.Connected); e.Peer.(Peer) != (Peer{PID: int32(other.pid), UID: stranger, GID: stranger}) {
				t.Fatalf("it connected to %v", e.Peer)
			}
			info, err := os.Lstat(r.path)
			if err != nil || info.Sys().(*syscall.Stat_t).Uid != stranger {
				t.Fatalf("%+v, %v", info, err)
			}
			// Of a list with a mask, the mode's group bits are the mask (acl(5)).
			list := attribute(t, r.path, "system.posix_acl_access")
			if !strings.Contains(string(list), "\x02\x00\x07\x00\x00\x00\x00\x00") {
				t.Errorf("hostd's user is not in %x", list)
			}
			if effective := info.Mode().Perm()&0o020 != 0; effective != test.effective || info.Mode().Perm()&0o007 != 0 {
				t.Errorf("mode %v", info.Mode())
			}
			// Nobody else can pass.
			if cmd := as(t, stranger+1, "test", "-e", r.path); cmd.Run() == nil {
				t.Error("another user sees the socket")
			}
			other.hold.Close()
			_ = other.cmd.Wait()
			r.expect(t, pipe.Disconnected)
		})
	}
}
