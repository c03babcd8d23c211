package command

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/mattn/go-isatty"

	"headgate/hostd/control"
)

// newFile is a file that is to be: it has its name only for whoever may read it, and
// where it takes the place of another, only when it is whole.
type newFile struct {
	dir     *os.Root
	f       *os.File
	name    string // in dir
	written string // as; another one until the end, if there is one of that name
	path    string // for people
}

// open makes a file in a folder, which it closes. What is there is left alone, unless
// it is forced and a regular file: a link may lead anywhere.
func open(dir *os.Root, name, path string, force bool) (n *newFile, err error) {
	defer func() {
		if err != nil {
			dir.Close()
		}
	}()
	n = &newFile{dir: dir, name: name, written: name, path: path}
	switch old, err := dir.Lstat(name); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, plain(path, err)
	case !old.Mode().IsRegular():
		return nil, fmt.Errorf("%s is there and no regular file: remove it, or choose another", path)
	case !force:
		return nil, fmt.Errorf("%s exists: choose another file, or replace it with --force", path)
	default:
		n.written += ".new"
	}
	n.f, err = dir.OpenFile(n.written, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s is there, of another hostd seed: wait for its end, or remove it", filepath.Join(filepath.Dir(path), n.written))
	}
	if err != nil {
		return nil, plain(path, err)
	}
	return n, nil
}

// plain tells an error of a file with the path as the user knows it.
func plain(path string, err error) error {
	var failed *fs.PathError
	if errors.As(err, &failed) {
		err = failed.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// openAt is open for a path of this system.
func openAt(path string, force bool) (*newFile, error) {
	dir, name := filepath.Split(path)
	if name == "" || name == "-" || name == "." || name == ".." {
		return nil, fmt.Errorf("%q is not the name of a file", path)
	}
	if dir == "" {
		dir = "."
	}
	in, err := os.OpenRoot(dir)
	if err != nil {
		return nil, plain(dir, err)
	}
	return open(in, name, path, force)
}

// put writes what it is to hold, and returns when that is on the disk.
func (n *newFile) put(content []byte) error {
	_, err := n.f.Write(content)
	if err == nil {
		err = n.f.Chmod(0o600) // whatever the umask
	}
	if err == nil {
		err = n.f.Sync()
	}
	if closed := n.f.Close(); err == nil {
		err = closed
	}
	if err == nil && n.written != n.name {
		err = n.dir.Rename(n.written, n.name)
	}
	if err != nil {
		return plain(n.path, err)
	}
	if dir, err := n.dir.Open("."); err == nil {
		_ = dir.Sync() // some file systems cannot; the file itself is there
		dir.Close()
	}
	n.dir.Close()
	return nil
}

// discard leaves nothing of it.
func (n *newFile) discard() {
	n.f.Close()
	_ = n.dir.Remove(n.written)
	n.dir.Close()
}

// creditable marks a seed as one that systemd-random-seed(8) may count as entropy, once:
// it takes the mark off before it does (src/random-seed/random-seed.c).
func (n *newFile) creditable() bool {
	return syscall.Setxattr(fmt.Sprintf("/proc/self/fd/%d", n.f.Fd()), "user.random-seed-creditable", []byte("1"), 0) == nil
}

// seedFile is a file of systemd's.
type seedFile struct {
	*newFile
	what string
}

func asFile(path string, force bool) (seedTarget, error) {
	n, err := openAt(path, force)
	return seedFile{n, control.SeedFile}, err
}

func (s seedFile) as() string { return s.what }

func (s seedFile) put(_ string, seed []byte) (string, error) {
	mark := "systemd may count it as entropy"
	if !s.creditable() {
		mark = "systemd will not count it as entropy, for this file system cannot keep user.random-seed-creditable"
	}
	if err := s.newFile.put(seed); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: a seed of %d bytes (%s)", s.path, len(seed), mark), nil
}

// userDataFile is a file of user data.
type userDataFile struct{ *newFile }

func asUserData(path string, force bool) (seedTarget, error) {
	n, err := openAt(path, force)
	return userDataFile{n}, err
}

func (userDataFile) as() string { return control.SeedCloudInit }

func (u userDataFile) put(name string, seed []byte) (string, error) {
	text := userData(name, seed)
	defer clear(text)
	if err := u.newFile.put(text); err != nil {
		return "", err
	}
	return u.path + ": user data with a seed", nil
}

// userDataStream is user data on the standard output.
type userDataStream struct{ io.Writer }

func (a *App) onStandardOutput() (seedTarget, error) {
	if f, ok := a.Out.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		return nil, errors.New("a terminal would show the seed, and may keep it: name a file, or lead the standard output into one")
	}
	return userDataStream{a.Out}, nil
}

func (userDataStream) as() string { return control.SeedCloudInit }
func (userDataStream) discard()   {}

func (u userDataStream) put(name string, seed []byte) (string, error) {
	text := userData(name, seed)
	defer clear(text)
	_, err := u.Write(text)
	return "user data with a seed", err
}

// userData has cloud-init's module seed_random write a seed to /dev/urandom, once for
// each instance.
func userData(name string, seed []byte) []byte {
	text := make([]byte, 0, 2048) // never copied to a larger one
	text = fmt.Appendf(text, "#cloud-config\n# For %s alone: a clone with the same shares its first random bytes.\n"+
		"random_seed:\n  file: /dev/urandom\n  encoding: base64\n  data: \"", name)
	text = base64.StdEncoding.AppendEncode(text, seed)
	return append(text, "\"\n"...)
}
