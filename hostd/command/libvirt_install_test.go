package command

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestInstallHook(t *testing.T) {
	r := newRig(t)
	self, err := calledAs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "qemu.d", "headgate")
	install := func(args ...string) (int, string, string) {
		t.Helper()
		return r.run(t, append([]string{"libvirt", "install-hook", "--hooks", dir}, args...)...)
	}
	code, out, errs := install("--control", "/run/headgate/control.sock")
	if code != 0 || errs != "" || !strings.HasPrefix(out, path+": installed: it runs "+self+"\n") || !strings.Contains(out, "systemctl reload libvirtd") {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	text, err := os.ReadFile(path)
	if err != nil || !executable(path) {
		t.Fatalf("%v, executable: %v", err, executable(path))
	}
	example, err := os.ReadFile("../../examples/libvirt/hooks/qemu.d/headgate")
	if got := strings.ReplaceAll(string(text), self, "/usr/local/sbin/hostd"); err != nil || got != string(example) {
		t.Errorf("%v: got\n%s\nthe example is\n%s", err, got, example)
	}
	if code, out, _ := install("--control", "/run/headgate/control.sock"); code != 0 || out != path+": already installed\n" {
		t.Errorf("a second time: exit %d: %s", code, out)
	}
	if code, out, _ := install("--control", "c's.sock"); code != 0 || !strings.HasPrefix(out, path+": brought up to date") || strings.Contains(out, "reload") {
		t.Errorf("with another control socket: exit %d: %s", code, out)
	}
	here, _ := os.Getwd()
	if text, _ := os.ReadFile(path); !strings.Contains(string(text), ` --control '`+here+`/c'\''s.sock' -- "$@"`) {
		t.Errorf("%s", text)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := install("--control", "c's.sock"); code != 0 || !strings.Contains(out, "brought up to date") || !executable(path) {
		t.Errorf("one that was not executable: exit %d: %s", code, out)
	}
	other := filepath.Join(dir, "qemu.d", "other")
	if err := os.WriteFile(other, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := r.run(t, "libvirt", "uninstall-hook", "--hooks", dir); code != 0 || !strings.HasPrefix(out, path+": removed") {
		t.Errorf("uninstall: exit %d: %s", code, out)
	}
	if code, out, _ := r.run(t, "libvirt", "uninstall-hook", "--hooks", dir); code != 0 || out != path+": not installed\n" {
		t.Errorf("uninstall again: exit %d: %s", code, out)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
}

// TestCalledAs: a link that the program was called by stays in the script, and leads
// to the next version after an upgrade.
func TestCalledAs(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	link, other := filepath.Join(dir, "hostd"), filepath.Join(dir, "other")
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	t.Chdir(dir)
	for name, want := range map[string]string{
		self: self, link: link, "hostd": link, "./hostd": link, // as called
		"other": self, other: self, "none": self, dir: self, "": self, "../none/hostd": self,
	} {
		if got, err := calledAs(name); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestInstallHookLeavesOthersAlone(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "qemu.d", "headgate")
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte(hookMark), 0o644); err != nil {
		t.Fatal(err)
	}
	for what, put := range map[string]func() error{
		"somebody's script": func() error { return os.WriteFile(path, []byte("#!/bin/sh\necho mine\n"), 0o755) },
		"a link":            func() error { return os.Symlink(target, path) },
		"a folder":          func() error { return os.Mkdir(path, 0o755) },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"install-hook", "uninstall-hook"} {
			code, _, errs := r.run(t, "libvirt", command, "--hooks", dir)
			if code != 1 || errs != "hostd: "+path+" is not a script that install-hook wrote: it is left alone; move it away first\n" {
				t.Errorf("%s, %s: exit %d: %s", what, command, code, errs)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
	code, _, errs := r.run(t, "libvirt", "install-hook", "--hooks", dir+"/none")
	if code != 1 || errs != "hostd: hooks of libvirt: there is no "+dir+"/none: is libvirt installed? name another folder with --hooks\n" {
		t.Errorf("without a folder: exit %d: %s", code, errs)
	}
	if code, _, errs := r.run(t, "libvirt", "install-hook", "--hooks", target); code != 1 || !strings.Contains(errs, "not a directory") {
		t.Errorf("a file for a folder: exit %d: %s", code, errs)
	}
	if err := hookError("install the hook", fs.ErrPermission); err.Error() != "install the hook: permission denied: do it as root" || !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
}

// TestHookScript runs the script as libvirt does: whatever is wrong with hostd, it
// exits with 0 and prints nothing on stdout.
func TestHookScript(t *testing.T) {
	r := newRig(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "it's $HOME")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	linked := filepath.Join(dir, "hostd")
	if err := os.Symlink(self, linked); err != nil {
		t.Fatal(err)
	}
	run := func(binary, control string, args ...string) (stdout, stderr string) {
		t.Helper()
		script := put("script", hookText(binary, control))
		c := exec.CommandContext(t.Context(), script, args...)
		c.Env = append(os.Environ(), asHostd+"=patient", "GORACE=atexit_sleep_ms=0")
		c.Stdin = bytes.NewReader(hookXML(t))
		var out, errs bytes.Buffer
		c.Stdout, c.Stderr = &out, &errs
		if err := c.Run(); err != nil {
			t.Errorf("%s: %v", binary, err)
		}
		if out.Len() > 0 {
			t.Errorf("%s printed %s", binary, &out)
		}
		return out.String(), errs.String()
	}
	args := []string{"web1", "prepare", "begin", "-"}
	if _, errs := run(linked, "", args...); len(r.fake.Hooks) != 1 || errs != "" {
		t.Errorf("told %d times: %s", len(r.fake.Hooks), errs)
	}
	if _, errs := run(linked, os.Getenv("HEADGATE_CONTROL"), args...); len(r.fake.Hooks) != 2 || errs != "" {
		t.Errorf("told %d times: %s", len(r.fake.Hooks), errs)
	}
	// Domains may have such names.
	for _, name := range []string{"--help", "-", "--", "a b", "$(touch x)", ""} {
		before := len(r.fake.Hooks)
		if _, errs := run(linked, "", name, "prepare", "begin", "-"); len(r.fake.Hooks) != before+1 || errs != "" {
			t.Errorf("%q: told %d times: %s", name, len(r.fake.Hooks)-before, errs)
		}
	}
	for what, binary := range map[string]string{
		"none":                   filepath.Join(dir, "none"),
		"one that fails":         put("fails", "#!/bin/sh\necho broken\nexit 1\n"),
		"one that is killed":     put("killed", "#!/bin/sh\nkill -9 $$\n"),
		"one that cannot be run": put("garbage", "\x7fELF"),
		"a folder":               dir,
	} {
		_, errs := run(binary, "", args...)
		t.Logf("%s: %q", what, errs)
	}
	if _, errs := run(linked, "/nonexistent/c.sock", args...); !strings.Contains(errs, "no hostd answers at /nonexistent/c.sock") {
		t.Errorf("without hostd: %s", errs)
	}
}
