//go:build linux

package guard

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"headgate/hostd/events"
	"headgate/integration/rig"
)

// through has a command started by another program, which becomes it.
func through(t *testing.T, program, debian string, args ...string) func(*testing.T, *exec.Cmd) {
	path := rig.Tool(t, program, debian)
	return func(_ *testing.T, cmd *exec.Cmd) {
		cmd.Args = append(append([]string{path}, args...), append([]string{cmd.Path}, cmd.Args[1:]...)...)
		cmd.Path = path
	}
}

// nobody has a command run as a user without rights, and its folder be that user's.
func nobody(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(cmd.Args[len(cmd.Args)-1]) // of its configuration
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files, dir) {
		if err := os.Chown(name, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// TestWhereItCannotBe shows, where something is missing that the guard needs, that hostd
// does not start if it is required, and says what is missing and what to do; that else it
// serves, and says so where an operator looks; and that nothing is said of a guard that is
// off.
func TestWhereItCannotBe(t *testing.T) {
	needed(t)
	mount, err := cgroupMount()
	if err != nil {
		t.Fatal(err)
	}
	// CAP_SYS_ADMIN stands for CAP_BPF and, to attach, for CAP_NET_ADMIN, too (capabilities(7)).
	const rights = "-bpf,-sys_admin"
	for _, c := range []struct {
		name   string
		change func(*testing.T, *exec.Cmd)
		lacks  string // what hostd has to name
	}{
		{"no cgroup v2", through(t, "unshare", "util-linux", "--mount", "sh", "-c", `umount --lazy "$0" && exec "$@"`, mount), "cgroup"},
		{"no right to BPF", through(t, "setpriv", "util-linux", "--bounding-set", rights, "--inh-caps", rights), "CAP_BPF"},
		{"no right at all", nobody, "cgroup"},
	} {
		daemon := func(t *testing.T, text string) *rig.Daemon {
			d, err := rig.NewDaemon(rig.Dir(t), needed(t).hostd, text+rig.Sound)
			if err != nil {
				t.Fatal(err)
			}
			d.Change = func(cmd *exec.Cmd) { c.change(t, cmd) }
			return d
		}
		t.Run(c.name+", require", func(t *testing.T) {
			d := daemon(t, require)
			t.Cleanup(d.Close)
			said := refused(t, d)
			t.Log(said)
			if !strings.Contains(said, c.lacks) || !strings.Contains(said, `guard = "on"`) {
				t.Errorf("hostd does not say that %s is missing and what to do: %s", c.lacks, said)
			}
		})
		t.Run(c.name+", on", func(t *testing.T) {
			ctx := rig.Within(t, 30*time.Second)
			d := daemon(t, `guard = "on"`+"\n")
			start(t, d)
			s := status(ctx, t, d)
			if s.Guard.Up || !strings.Contains(s.Guard.Error, c.lacks) || s.Guard.Mode != "on" {
				t.Errorf("the guard's status is not what it is: %+v", s.Guard)
			}
			if !strings.Contains(strings.Join(s.Warnings, "\n"), c.lacks) {
				t.Errorf("no warning of the status says so: %q", s.Warnings)
			}
			awaitEvents(ctx, t, d, "guard_down", func(all []events.Event) bool {
				return strings.Contains(fmt.Sprint(all), c.lacks)
			})
			t.Log(s.Guard.Error)
		})
		t.Run(c.name+", off", func(t *testing.T) {
			ctx := rig.Within(t, 30*time.Second)
			d := daemon(t, off)
			start(t, d)
			s := status(ctx, t, d)
			if s.Guard.Up || s.Guard.Error != "" || strings.Contains(strings.Join(s.Warnings, "\n"), "guard") {
				t.Errorf("something is said of a guard that is off: %+v, %q", s.Guard, s.Warnings)
			}
		})
	}
}

// TestFallsBack shows that a hostd whose guard is not there is kept from the network by
// seccomp, as far as no counting goes.
func TestFallsBack(t *testing.T) {
	ctx := rig.Within(t, 30*time.Second)
	p := needed(t)
	dir := rig.Dir(t)
	d, err := rig.NewDaemon(dir, p.taken, `guard = "on"`+"\n"+rig.Sound)
	if err != nil {
		t.Fatal(err)
	}
	h := takenOver{d, filepath.Join(dir, "tries")}
	d.Change = func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "HEADGATE_TRY="+h.tries)
		nobody(t, cmd)
	}
	start(t, d)
	for _, try := range inet {
		if came := h.does(ctx, t, try.try); came[0] != 0 {
			t.Errorf("%s: %s", try.try, said(came))
		}
	}
	if s := status(ctx, t, d).Guard; s.Up || !s.Confined {
		t.Errorf("without the guard seccomp is to hold: %+v", s)
	}
}
