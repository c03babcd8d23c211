//go:build linux

package check

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds of what an image may make of a look at it.
const (
	maxRead  = 4 << 10 // bytes of a file
	maxNames = 4096    // files of a folder
	maxLinks = 40      // links on one way, as the kernel's own limit (linux/namei.h, MAXSYMLINKS)
	maxPath  = 4096    // bytes (linux/limits.h, PATH_MAX)
	maxSteps = 1 << 17 // parts of paths, in all
)

// image is the folder that is looked at. os.Root holds the promise that nothing
// leads out of it; resolve makes of links what they are once the image is booted.
type image struct {
	root   *os.Root
	prefix string // before a path in a command, quoted for the shell
	steps  int    // how many parts of paths may still be looked up
}

// file is one that there is, by the path where it really is; absent: of size 0.
type file struct {
	path string
	size int64
}

// volatile says whether the file is none of the image's, but of the system that
// runs: `guestd check` in a guest looks at /.
func (f file) volatile() bool {
	top, _, _ := strings.Cut(f.path, "/")
	return top == "run" || top == "proc" || top == "sys" || top == "dev"
}

var (
	errLinks = errors.New("too many links")
	errSteps = errors.New("too many links and files in the image")
	errNames = errors.New("more than 4096 files in the folder")
)

// resolve finds what a path of the image leads to, links taken as after chroot(2).
// The result has no link in it and no slash in front; info is nil if there is
// nothing.
func (m *image) resolve(name string) (at string, info fs.FileInfo, err error) {
	rest := strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		step := rest[0]
		rest = rest[1:]
		if step == "" || step == "." {
			continue
		}
		if step == ".." {
			at = strings.TrimPrefix(path.Dir("/"+at), "/")
			continue
		}
		if m.steps--; m.steps < 0 {
			return at, nil, errSteps
		}
		next := path.Join(at, step)
		info, err = m.root.Lstat(next)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			return next, nil, nil
		} else if err != nil {
			return next, nil, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		to, err := m.root.Readlink(next)
		if err != nil {
			return next, nil, err
		}
		if links++; links > maxLinks || len(to) > maxPath {
			return next, nil, errLinks
		}
		if path.IsAbs(to) {
			at = ""
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	info, err = m.root.Lstat(path.Join(".", at))
	return at, info, err
}

// file looks at one: what is there and no regular file counts as absent.
func (m *image) file(name string) (file, error) {
	at, info, err := m.resolve(name)
	if err != nil || info == nil || !info.Mode().IsRegular() {
		return file{path: at}, err
	}
	return file{path: at, size: info.Size()}, nil
}

// is says whether there is anything by one of these names, a link itself included:
// `systemctl enable` makes links that lead nowhere before the image is booted.
func (m *image) is(names ...string) bool {
	for _, name := range names {
		if found, err := m.glob(name); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}

// open opens a regular file, and waits for nobody should it have become a FIFO.
func (m *image) open(f file) (*os.File, error) {
	return m.root.OpenFile(f.path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
}

// read gives the beginning of a file.
func (m *image) read(f file) (string, error) {
	r, err := m.open(f)
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Close() }()
	text, err := io.ReadAll(io.LimitReader(r, maxRead))
	return string(text), err
}

// glob gives the paths that match a pattern, which has stars (path.Match) in whole
// or in part of its elements. Without a star it is the path itself, if there is any.
func (m *image) glob(pattern string) ([]string, error) {
	var failed error
	paths := []string{""}
	for step := range strings.SplitSeq(strings.TrimPrefix(pattern, "/"), "/") {
		var next []string
		for _, dir := range paths {
			if !strings.Contains(step, "*") {
				next = append(next, dir+"/"+step)
				continue
			}
			names, err := m.names(dir)
			if err != nil {
				failed = err
			}
			for _, name := range names {
				if match, err := path.Match(step, name); err == nil && match && len(next) < maxNames {
					next = append(next, dir+"/"+name)
				}
			}
		}
		paths = next
	}
	var there []string
	for _, name := range paths {
		dir, base := path.Split(name)
		at, info, err := m.resolve(dir)
		if err != nil {
			failed = err
		} else if info != nil {
			if _, err = m.root.Lstat(path.Join(at, base)); err == nil {
				there = append(there, name)
			} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
				failed = err
			}
		}
	}
	return there, failed
}

// names lists a folder, sorted; none if there is no such folder.
func (m *image) names(dir string) ([]string, error) {
	at, info, err := m.resolve(dir)
	if err != nil || info == nil || !info.IsDir() {
		return nil, err
	}
	f, err := m.root.OpenFile(path.Join(".", at), os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	names, err := f.Readdirnames(maxNames + 1)
	slices.Sort(names)
	if len(names) > maxNames {
		return names[:maxNames], errNames
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}
