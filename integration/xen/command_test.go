//go:build linux

package xen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/integration/rig"
	xenhost "headgate/xen"
)

const examples = "../../examples/xen/"

// asUnit makes the tests' own program give up what hostd.service with dom0.conf
// leaves a root that is not one, and become hostd.
const asUnit = "HEADGATE_TEST_AS_UNIT"

func init() {
	if os.Getenv(asUnit) == "" {
		return
	}
	runtime.LockOSThread() // capabilities are each thread's own
	for c := uintptr(0); ; c++ {
		switch c {
		case unix.CAP_CHOWN, unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON:
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			break // the kernel has no such capability: that was the last
		}
	}
	err := errors.Join(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), os.Unsetenv(asUnit))
	if err == nil {
		err = syscall.Exec("/bin/hostd", append([]string{"hostd"}, os.Args[1:]...), os.Environ())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// unitHostd is a program that is hostd with the rights that its unit gives it.
func unitHostd(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(rig.Dir(t), "hostd")
	// A service has a control group to itself, which it could not make.
	const group = "/sys/fs/cgroup/hostd.service"
	script := fmt.Sprintf("#!/bin/sh\nmkdir -p %s && echo $$ >%s/cgroup.procs && %s=1 exec %s \"$@\"\n", group, group, asUnit, self)
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

const commandsHostd = `
[[source]]
name = "trng0"
type = "hwrng"

[[class]]
name = "gold"
rate = "unlimited"
weight = 4
`

// said is what hostd's command line says, with its exit code.
type commandLine struct {
	t       *testing.T
	control string
}

func (c commandLine) run(code int, args ...string) string {
	c.t.Helper()
	out, got := c.try(args...)
	c.t.Logf("\n$ hostd %s\n%s", strings.Join(args, " "), out)
	if got != code {
		c.t.Errorf("hostd %s: exit %d, want %d", strings.Join(args, " "), got, code)
	}
	return out
}

func (c commandLine) try(args ...string) (string, int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/hostd", args...)
	cmd.Env = append(os.Environ(), "HEADGATE_CONTROL="+c.control)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// await runs a command until it says that.
func (c commandLine) await(say string, args ...string) {
	c.t.Helper()
	var out string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if out, _ = c.try(args...); strings.Contains(out, say) {
			return
		}
	}
	c.t.Fatalf("hostd %s does not say %q:\n%s", strings.Join(args, " "), say, out)
}

func has(t *testing.T, out string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Errorf("%q is not in\n%s", w, out)
		}
	}
}

// commandsAlone has them say what there is where there is neither a hostd nor a domain.
func commandsAlone(t *testing.T, _ *sharing) {
	c := commandLine{t: t, control: "/nonexistent/control.sock"}
	has(t, c.run(0, "xen", "list"), "no hostd answers at", "Xen has no domain but dom0.")
}

// commands wires a domain by the command line alone, with a hostd that has what its
// unit leaves it.
func commands(t *testing.T, shared *sharing) {
	c := commandLine{t: t}
	if out, err := exec.Command("insmod", "/lib/rig/virtio_rng.ko").CombinedOutput(); err != nil && !strings.Contains(string(out), "File exists") {
		t.Fatalf("insmod virtio_rng: %v\n%s", err, out)
	}
	hostd := rig.Hostd(t, unitHostd(t), rig.Dir(t), commandsHostd)
	c.control = hostd.Control
	d := shared.get(t, "db1")[0]
	socket := shared.channelOf(d.Name)
	has(t, c.run(0, "xen", "doctor", "db1"), "ok     xen: this is a dom0\n", "ok     xenstore: answers\n", "ok     xen: /dev/xen/evtchn and /dev/xen/gntdev are there",
		"ok     hostd: follows the domains at ", "note   domain db1: it has a channel at "+socket)
	guestd, err := d.Start(t.Context(), "/bin/guestd")
	if err != nil {
		t.Fatal(err)
	}
	has(t, c.run(0, "xen", "list"), d.UUID)

	has(t, c.run(1, "xen", "attach", "db1", "--class", "tin"), `there is no class "tin"`)
	attached := time.Now()
	has(t, c.run(0, "xen", "attach", "db1", "--class", "gold", "--rate", "4KiB/s"), "policy set: class gold, rate 4KiB/s\n")
	c.await(`"seeded": true`, "xen", "status", "--json")
	t.Logf("fed %.2f s after the start of hostd xen attach", time.Since(attached).Seconds())
	c.await(`"reason"`, "xen", "status", "--json")
	has(t, c.run(0, "xen", "attach", "db1"), "policy stays: class gold, rate 4KiB/s\nit is fed now, as guest db1\n")
	c.run(0, "xen", "list")
	has(t, c.run(0, "xen", "status"), "vchan", "fed", "gold", "4KiB/s")
	has(t, c.run(0, "xen", "doctor", "db1"), "ok     domain db1: is fed over its ring as guest db1, class gold")
	has(t, c.run(0, "status"), "XEN  follows the domains at ")
	type row struct {
		ID       int
		UUID     string
		Channels []struct{ Connection, Path string }
	}
	var rows []row
	out, _ := c.try("xen", "status", "--json")
	err = json.Unmarshal([]byte(out), &rows)
	at := slices.IndexFunc(rows, func(r row) bool { return r.UUID == d.UUID })
	if err != nil || at < 0 || rows[at].ID != d.ID() ||
		len(rows[at].Channels) != 1 || rows[at].Channels[0].Connection != "socket" || rows[at].Channels[0].Path != socket {
		t.Errorf("%v in %s", err, out)
	}

	if _, err := guestd.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	has(t, c.run(0, "xen", "detach", "db1"), "policy removed\n")
	has(t, c.run(0, "xen", "detach", "db1"), "nothing to do")
	c.await("No guest.", "guest", "list")

	if err := d.Destroy(t.Context()); err != nil {
		t.Error(err)
	}
	has(t, c.run(1, "xen", "attach", "db1"), "this host has no such domain")
	c.run(0, "xen", "attach", d.UUID)
	has(t, c.run(0, "xen", "list"), "not there")
	c.run(0, "xen", "detach", d.UUID)
	// In its unit, hostd is one whom root's files are closed to that others own.
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", hostd.PID())); err != nil || !strings.Contains(string(status), "CapEff:\t0000000000000001\n") {
		t.Errorf("hostd has other capabilities than CAP_CHOWN: %v\n%s", err, status)
	}
}

// exampleConfig has xl read the example.
func exampleConfig(t *testing.T, _ *sharing) {
	out, err := rig.XL(t.Context(), "create", "--dryrun", examples+"web1.cfg")
	if err != nil {
		t.Fatal(err)
	}
	has(t, out, `"name": "web1"`, `"uuid": "6b1f3a52-9c04-4d8e-8a53-2f60c7b91e14"`, `"name": "`+xenhost.ChannelName+`"`, `"path": "/run/xen/web1.sock"`)
}

// exampleCreate has the toolstack's script create a domain, with hostd and
// without.
func exampleCreate(t *testing.T, _ *sharing) {
	const uuid = "6b1f3a52-9c04-4d8e-8a53-2f60c7b91e14"
	dir := rig.Dir(t)
	hostd := rig.Hostd(t, "/bin/hostd", dir, commandsHostd)
	c := commandLine{t: t, control: hostd.Control}
	cfg := filepath.Join(dir, "made.cfg")
	text := fmt.Sprintf("name = \"made\"\nuuid = %q\ntype = \"pv\"\nmemory = 128\nkernel = \"/guest/vmlinux\"\nramdisk = \"/guest/initrd\"\n"+
		"extra = \"console=hvc0 rdinit=/init\"\non_crash = \"destroy\"\n", uuid)
	if err := os.WriteFile(cfg, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = rig.XL(context.WithoutCancel(t.Context()), "destroy", "made") })
	create := func(hostd string) string {
		t.Helper()
		out, err := os.CreateTemp(dir, "out") // a file: xl leaves a process behind, which keeps it open
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "sh", examples+"headgate-create", "--class", "gold", cfg)
		cmd.Env = append(os.Environ(), "HOSTD="+hostd, "HEADGATE_CONTROL="+c.control)
		cmd.Stdout, cmd.Stderr = out, out
		err = cmd.Run()
		said, _ := os.ReadFile(out.Name())
		t.Logf("\n$ headgate-create --class gold made.cfg\n%s", said)
		if err != nil {
			t.Errorf("headgate-create: %v", err)
		}
		list, err := rig.XL(t.Context(), "list", "made")
		lines := strings.Split(strings.TrimSpace(list), "\n")
		fields := strings.Fields(lines[len(lines)-1])
		if err != nil || len(fields) < 2 || strings.Contains(fields[len(fields)-2], "p") {
			t.Errorf("it is not there, or paused: %s %v", list, err)
		}
		return string(said)
	}
	has(t, create("/bin/hostd"), "made, domain ", "policy set: class gold\n", "it is fed as soon as its guestd offers a ring\n")
	has(t, create("/bin/hostd"), "policy stays: class gold\n")
	has(t, c.run(0, "xen", "status"), "made", "no ring")
	hostd.Kill()
	has(t, create("/bin/hostd"), "no hostd answers at")
	if _, err := rig.XL(t.Context(), "destroy", "made"); err != nil {
		t.Error(err)
	}
	has(t, create("/nonexistent/hostd"), "made runs, and is not fed")
}
