//go:build linux

package rig

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// libraryDir is where an image has all its libraries, whichever folder of this
// machine they come from: the loader looks there without a cache.
const libraryDir = "/lib/x86_64-linux-gnu"

// loaderDirs are the folders that Debian's loader looks in.
var loaderDirs = []string{libraryDir, "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"}

// Libraries finds the libraries and the loader that dynamic programs need: first in
// these folders, then where Debian's loader looks. They are files here by the path
// that they have in a guest.
func Libraries(dirs []string, programs ...string) (map[string]string, error) {
	return libraries(slices.Concat(dirs, loaderDirs), programs)
}

// libraries finds the shared libraries and loaders that programs need, and those
// that they need, as the path in an image to the file here. More names are of
// libraries that a program opens without saying so in its header. A static
// program needs none.
func libraries(dirs, programs []string, more ...string) (map[string]string, error) {
	w := libraryWalk{dirs: dirs, found: map[string]string{}}
	for _, program := range programs {
		if err := w.visit(program); err != nil {
			return nil, err
		}
	}
	for _, name := range more {
		if err := w.need(name, nil, "the rig"); err != nil {
			return nil, err
		}
	}
	return w.found, nil
}

type libraryWalk struct {
	dirs  []string
	found map[string]string
}

// visit looks into one file.
func (w *libraryWalk) visit(file string) error {
	f, err := elf.Open(file)
	if err != nil {
		return fmt.Errorf("look for the libraries of %s: %w", file, err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		loader := make([]byte, p.Filesz)
		if _, err := p.ReadAt(loader, 0); err != nil {
			return fmt.Errorf("read the loader's name in %s: %w", file, err)
		}
		name := strings.TrimRight(string(loader), "\x00")
		w.found[name] = name
	}
	needed, err := dynamic(f, elf.DT_NEEDED)
	if err != nil {
		return fmt.Errorf("read what %s needs: %w", file, err)
	}
	own, err := dynamic(f, elf.DT_RUNPATH)
	if err != nil {
		return fmt.Errorf("read the library path of %s: %w", file, err)
	}
	var dirs []string
	for _, list := range own {
		for dir := range strings.SplitSeq(list, ":") {
			dirs = append(dirs, strings.ReplaceAll(dir, "$ORIGIN", filepath.Dir(file)))
		}
	}
	for _, name := range needed {
		if err := w.need(name, dirs, file); err != nil {
			return err
		}
	}
	return nil
}

// dynamic is DynString without its error for files that have no such section.
func dynamic(f *elf.File, tag elf.DynTag) ([]string, error) {
	if f.SectionByType(elf.SHT_DYNAMIC) == nil {
		return nil, nil
	}
	return f.DynString(tag)
}

// need finds a library that is asked for by name.
func (w *libraryWalk) need(name string, own []string, by string) error {
	if strings.HasPrefix(name, "ld-linux") { // by its full path in PT_INTERP
		return nil
	}
	at := path.Join(libraryDir, name)
	if w.found[at] != "" {
		return nil
	}
	for _, dir := range slices.Concat(own, w.dirs) {
		file := filepath.Join(dir, name)
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		w.found[at] = file
		return w.visit(file)
	}
	return fmt.Errorf("library %s, which %s needs, is not in %s", name, by, strings.Join(w.dirs, ", "))
}
