//go:build linux

package rig

import (
	"fmt"
	"io"
	"path"
)

// File types of st_mode (stat.h, S_IFMT).
const (
	modeCharDevice = 0o020000
	modeDirectory  = 0o040000
	modeRegular    = 0o100000
	modeLink       = 0o120000
)

// archive writes the "newc" cpio format, the one that the kernel unpacks
// (Documentation/driver-api/early-userspace/buffer-format.rst). The first error
// stays and is returned by close.
type archive struct {
	w     io.Writer
	inode int
	dirs  map[string]bool
	err   error
}

func newArchive(w io.Writer) *archive {
	return &archive{w: w, dirs: map[string]bool{".": true, "/": true}}
}

// dir adds a directory and those above it, each once.
func (a *archive) dir(name string) {
	name = path.Clean(name)
	if a.dirs[name] {
		return
	}
	a.dirs[name] = true
	a.dir(path.Dir(name))
	a.entry(name, modeDirectory|0o755, 0, 0, nil)
}

// file adds a regular file and the directories above it.
func (a *archive) file(name string, permissions int, data []byte) {
	a.dir(path.Dir(name))
	a.entry(name, modeRegular|permissions, 0, 0, data)
}

// link adds a symbolic link.
func (a *archive) link(name, target string) {
	a.dir(path.Dir(name))
	a.entry(name, modeLink|0o777, 0, 0, []byte(target))
}

// charDevice adds a character device node.
func (a *archive) charDevice(name string, permissions, major, minor int) {
	a.dir(path.Dir(name))
	a.entry(name, modeCharDevice|permissions, major, minor, nil)
}

// close writes the trailer.
func (a *archive) close() error {
	a.inode = 0
	a.entry("TRAILER!!!", 0, 0, 0, nil)
	return a.err
}

func (a *archive) entry(name string, mode, major, minor int, data []byte) {
	a.inode++
	// magic, ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor,
	// rdevmajor, rdevminor, namesize with its NUL, check (none in newc)
	header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		a.inode, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name)+1, 0)
	a.write(pad4([]byte(header + name + "\x00")))
	a.write(pad4(data))
}

func (a *archive) write(b []byte) {
	if a.err == nil {
		_, a.err = a.w.Write(b)
	}
}

// pad4 pads to the 4 bytes on which header and data start.
func pad4(b []byte) []byte {
	return append(b[:len(b):len(b)], make([]byte, -len(b)&3)...)
}
