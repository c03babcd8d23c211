package command

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"headgate/hostd/config"
)

// hooksDir is where libvirt looks for hooks, and hookScript where ours is in it.
// libvirt ≥ 6.5 runs what is in qemu.d beside a script named qemu
// (https://libvirt.org/hooks.html#script-names).
const (
	hooksDir   = "/etc/libvirt/hooks"
	hookScript = "qemu.d/headgate"
)

// hookMark is in the scripts that install-hook wrote: no other is touched.
const hookMark = `Made by "hostd libvirt install-hook"`

func (a *App) libvirtInstallHook() *cobra.Command {
	c := &cobra.Command{
		Use:   "install-hook",
		Short: "Have libvirt tell hostd of each domain before it starts",
		Long: "Write a small script into libvirt's hooks, beside those that are there, that runs this\n" +
			"hostd. Without it hostd makes a domain's socket when it sees the domain run, and a QEMU\n" +
			"that was there first connects a second later. Do it again where hostd has moved.",
		Example: "  hostd libvirt install-hook",
		Args:    exactly(),
	}
	dir := hooksFlag(c)
	c.RunE = func(*cobra.Command, []string) error {
		binary, err := calledAs(os.Args[0])
		if err != nil {
			return fmt.Errorf("this program's own path: %w", err)
		}
		control := ""
		if a.control != config.Default().Control {
			if control, err = filepath.Abs(a.control); err != nil {
				return err
			}
		}
		return a.installHook(*dir, binary, hookText(binary, control))
	}
	return c
}

// calledAs is the path of this program by the name that it was called by. Where that
// is a link, it is kept, because it may lead to the next version one day.
func calledAs(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if path, err := exec.LookPath(name); err == nil {
		if path, err = filepath.Abs(path); err == nil && sameFile(path, self) {
			return path, nil
		}
	}
	return self, nil // whoever called it chose the name
}

func sameFile(one, other string) bool {
	a, err := os.Stat(one)
	if err != nil {
		return false
	}
	b, err := os.Stat(other)
	return err == nil && os.SameFile(a, b)
}

func hooksFlag(c *cobra.Command) *string {
	return c.Flags().String("hooks", hooksDir, "`FOLDER` of libvirt's hooks")
}

// hookText is the script. An empty control stands for the default.
func hookText(binary, control string) string {
	options := ""
	if control != "" {
		options = " --control " + config.ShellWord(control)
	}
	return fmt.Sprintf(`#!/bin/sh
# Tells hostd of libvirt's domains. %s.
# It must not fail, or libvirt stops the domain, nor print anything, or libvirt
# takes it for the domain's XML.
hostd=%s
if [ -x "$hostd" ]; then
	"$hostd" libvirt hook%s -- "$@" >/dev/null
fi
exit 0
`, hookMark, config.ShellWord(binary), options)
}

func (a *App) installHook(dir, binary, text string) error {
	path := filepath.Join(dir, hookScript)
	old, err := ourHook(path)
	switch {
	case err == nil && old == text && executable(path):
		_, err := fmt.Fprintf(a.Out, "%s: already installed\n", path)
		return err
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("hooks of libvirt: there is no %s: is libvirt installed? name another folder with --hooks", dir)
	}
	if err := writeHook(path, text); err != nil {
		return hookError("install the hook", err)
	}
	done := "installed"
	if old != "" {
		done = "brought up to date"
	}
	fmt.Fprintf(a.Out, "%s: %s: it runs %s\n", path, done, binary)
	if old == "" {
		// virHookCall looks for them anew on SIGHUP (virhook.c).
		fmt.Fprintln(a.Out, "libvirtd looks for hooks only when it starts or reloads: systemctl reload libvirtd\n"+
			"(virtqemud, where that one runs); guests go on, and until then hostd follows its events")
	}
	_, err = fmt.Fprintln(a.Out, "whether anything keeps libvirt from running it says: hostd libvirt doctor")
	return err
}

// ourHook gives the script that is there, and refuses one that is not ours.
func ourHook(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", hookError("look at the hook", err)
	}
	if !info.Mode().IsRegular() || info.Size() > 64<<10 {
		return "", fmt.Errorf("%s is not a script that install-hook wrote: it is left alone; move it away first", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", hookError("read the hook", err)
	}
	if !bytes.Contains(text, []byte(hookMark)) {
		return "", fmt.Errorf("%s is not a script that install-hook wrote: it is left alone; move it away first", path)
	}
	return string(text), nil
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm() == 0o755
}

// writeHook puts the script in place in one step, because libvirt may run it
// meanwhile. It is written outside qemu.d: libvirt runs what it finds in there
// under any name, and fails a domain's start over a script that is gone by then.
func writeHook(path, text string) error {
	scripts := filepath.Dir(path)
	if err := os.Mkdir(scripts, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(scripts), ".headgate-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails when all went well: it has its name by then
	_, err = f.WriteString(text)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o755)
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

func (a *App) libvirtUninstallHook() *cobra.Command {
	c := &cobra.Command{
		Use:     "uninstall-hook",
		Short:   "Take the script of install-hook away",
		Example: "  hostd libvirt uninstall-hook",
		Args:    exactly(),
	}
	dir := hooksFlag(c)
	c.RunE = func(*cobra.Command, []string) error {
		path := filepath.Join(*dir, hookScript)
		_, err := ourHook(path)
		if errors.Is(err, fs.ErrNotExist) {
			_, err := fmt.Fprintf(a.Out, "%s: not installed\n", path)
			return err
		}
		if err == nil {
			if err = os.Remove(path); err != nil {
				err = hookError("remove the hook", err)
			}
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.Out, "%s: removed\n", path)
		return err
	}
	return c
}

func hookError(doing string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s: %w: do it as root", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
