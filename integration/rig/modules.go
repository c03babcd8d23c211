//go:build linux

package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Module is a kernel module as a file.
type Module struct {
	Name string // with underscores, as /proc/modules shows it
	Path string // a .ko, perhaps compressed
}

// Resolve returns the modules named and what they depend on, each once and after
// all that it needs, so that they can be inserted in this order. Names that
// are built into the kernel are left out. An unknown name is an error.
func (k Kernel) Resolve(names ...string) ([]Module, error) {
	deps, err := readDependencies(filepath.Join(k.Modules, "modules.dep"))
	if err != nil {
		return nil, err
	}
	builtin, err := readBuiltin(filepath.Join(k.Modules, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	var order []Module
	seen := map[string]bool{}
	var visit func(name string) error
	visit = func(name string) error {
		if seen[name] || builtin[name] {
			return nil
		}
		seen[name] = true
		line, ok := deps[name]
		if !ok {
			return fmt.Errorf("kernel %s has no module %s", k.Release, name)
		}
		for _, need := range line[1:] {
			if err := visit(moduleName(need)); err != nil {
				return err
			}
		}
		order = append(order, Module{Name: name, Path: filepath.Join(k.Modules, line[0])})
		return nil
	}
	for _, name := range names {
		if err := visit(moduleName(name)); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// readDependencies reads modules.dep (depmod(8)): "path: path of what it needs...".
func readDependencies(file string) (map[string][]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read module dependencies: %w", err)
	}
	deps := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		path, needs, ok := strings.Cut(line, ":")
		if ok {
			deps[moduleName(path)] = append([]string{path}, strings.Fields(needs)...)
		}
	}
	return deps, nil
}

func readBuiltin(file string) (map[string]bool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read built-in modules: %w", err)
	}
	builtin := map[string]bool{}
	for path := range strings.FieldsSeq(string(text)) {
		builtin[moduleName(path)] = true
	}
	return builtin, nil
}

// moduleName is the name under which the kernel knows a module file.
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// Load returns the module uncompressed. Debian 12 ships plain files, Debian 13
// and later .ko.xz; xz(1) is part of every Debian, and no package of Go's own.
func (m Module) Load(ctx context.Context) ([]byte, error) {
	if !strings.HasSuffix(m.Path, ".xz") {
		return os.ReadFile(m.Path)
	}
	packed, err := os.ReadFile(m.Path)
	if err != nil {
		return nil, err
	}
	plain, err := pipe(ctx, packed, "xz", "--decompress", "--stdout")
	if err != nil {
		return nil, fmt.Errorf("decompress %s: %w", m.Path, err)
	}
	return plain, nil
}
