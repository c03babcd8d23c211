//go:build linux

package guard

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"headgate/integration/rig"
)

// TestItsServicesCgroup shows that hostd stays in the control group that a service manager
// has made for it, and leaves that as it was; and that it makes one of its own below where
// it is not alone there.
func TestItsServicesCgroup(t *testing.T) {
	p := needed(t)
	for _, c := range []struct {
		name  string
		alone bool
	}{{"alone", true}, {"beside another process", false}} {
		t.Run(c.name, func(t *testing.T) {
			ctx := rig.Within(t, 30*time.Second)
			service := fmt.Sprintf("/guard-test-%d", os.Getpid())
			at := folder(t, service)
			if err := os.Mkdir(at, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := os.Remove(at); err != nil {
					t.Errorf("the service's control group cannot be removed: %v", err)
				}
			})
			group, err := os.Open(at)
			if err != nil {
				t.Fatal(err)
			}
			defer group.Close()
			in := &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd()), Pdeathsig: syscall.SIGKILL}
			if !c.alone {
				other := exec.CommandContext(ctx, "sleep", "60")
				other.SysProcAttr = in
				if err := other.Start(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
			}
			d, err := rig.NewDaemon(rig.Dir(t), p.hostd, require+rig.Sound)
			if err != nil {
				t.Fatal(err)
			}
			d.Change = func(cmd *exec.Cmd) { cmd.SysProcAttr = in }
			start(t, d)

			want := service
			if !c.alone {
				want = path.Join(service, fmt.Sprint("headgate-", d.PID()))
			}
			got := status(ctx, t, d).Guard.Cgroup
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", d.PID()))
			if err != nil {
				t.Fatal(err)
			}
			if got != want || !slices.Contains(strings.Split(string(text), "\n"), "0::"+want) {
				t.Errorf("hostd says that it is in %s, the kernel %q; want %s", got, text, want)
			}
			if on := attached(ctx, t, at); len(on) != 1 {
				t.Errorf("on the service's control group and below there are %v, want one program", on)
			}
			if _, err := d.Terminate(patience); err != nil {
				t.Fatal(err)
			}
			if below, err := filepath.Glob(filepath.Join(at, "headgate-*")); err != nil || len(below) > 0 {
				t.Errorf("below the service's control group there is still %v, %v", below, err)
			}
			if on := attached(ctx, t, at); len(on) > 0 {
				t.Errorf("on the service's control group there is still %v", on)
			}
		})
	}
}
