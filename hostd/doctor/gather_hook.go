package doctor

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func (h Host) hook() Hook {
	hook := Hook{Path: filepath.Join(h.Hooks, "qemu.d", "headgate")}
	info, err := os.Stat(h.path(hook.Path))
	if err != nil {
		return hook
	}
	hook.Mode, hook.Changed = info.Mode(), changed(info)
	hook.Program = calls(h.read(hook.Path))
	if hook.Program != "" {
		hook.ProgramErr = h.runnable(hook.Program)
	}
	others, _ := filepath.Glob(filepath.Join(h.path(h.Hooks), "qemu.d", "*")) // a good pattern
	for _, other := range append(others, filepath.Join(h.path(h.Hooks), "qemu")) {
		info, err := os.Stat(other)
		if err != nil || filepath.Base(other) == "headgate" || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			continue
		}
		if at := changed(info); hook.Other.IsZero() || at.Before(hook.Other) {
			hook.Other = at
		}
	}
	return hook
}

// changed is when the file was written or made executable, which no tool sets
// back.
func changed(info fs.FileInfo) time.Time {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(s.Ctim.Unix())
	}
	return info.ModTime()
}

// calls finds the program in a script that it calls with "libvirt hook".
func calls(script string) string {
	var variable string
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if name, value, is := strings.Cut(line, "="); is && name == "hostd" {
			variable = value
		}
		before, _, found := strings.Cut(line, " libvirt hook")
		if !found {
			continue
		}
		program := unquote(before[lastWord(before):])
		if program == "$hostd" || program == "${hostd}" {
			program = unquote(variable)
		}
		if filepath.IsAbs(program) {
			return program
		}
	}
	return ""
}

// lastWord is where the last word of a shell's command begins, which may be quoted.
func lastWord(s string) int {
	for _, quote := range []string{"'", `"`} {
		if inner, ends := strings.CutSuffix(s, quote); ends {
			return max(strings.LastIndex(inner, quote), 0)
		}
	}
	return strings.LastIndexAny(s, " \t") + 1
}

func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 1 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		s = s[1 : len(s)-1]
	}
	return s
}

func (h Host) runnable(program string) error {
	info, err := os.Stat(h.path(program))
	if err == nil && (!info.Mode().IsRegular() || info.Mode()&0o111 == 0) {
		err = fmt.Errorf("%s cannot be run (%v)", program, info.Mode())
	}
	return err
}
