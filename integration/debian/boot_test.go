//go:build linux

package debian

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"headgate/integration/rig"
)

// mostLater is what a host that is away may cost a boot.
const mostLater = 2 * time.Second

func TestInitramfsTools(t *testing.T) {
	dir := rig.Dir(t)
	img := theImage(t, dir)
	bench := newBench(t, dir)
	fed := img
	fed.Parameters += traced
	t.Run("fed", func(t *testing.T) {
		t.Run("by the initramfs", func(t *testing.T) {
			t.Parallel()
			s := boot(t, bench.config("hook"), fed.Disk)
			s.byTheInitramfs()
			s.beforeKeys()
			s.nobodyTooEarly()
			s.reseeds(bench)
			s.unhindered() // after a push: then the status is of after the boot
		})
		t.Run("by the unit alone", func(t *testing.T) {
			t.Parallel()
			img := fed
			img.Initrd = img.plain
			s := boot(t, bench.config("unit"), img.Disk)
			if started, ready := s.unit("guestd.service", "ActiveEnter"), s.ready(); ready > started {
				t.Errorf("the generator is ready %.2f s after the kernel's start, and not before guestd.service was started at %.2f s", ready.Seconds(), started.Seconds())
			}
			s.beforeKeys()
			s.someTooEarly()
			s.hosts()
		})
	})
	t.Run("host away", func(t *testing.T) { away(t, dir, img) })
}

// TestDracut is the initramfs of the other distributions.
func TestDracut(t *testing.T) {
	if !*whole {
		t.Skip("a second Debian: -args -whole")
	}
	dir := rig.Dir(t)
	img := makeImage(t, dir, dracut)
	bench := newBench(t, dir)
	t.Run("fed", func(t *testing.T) {
		s := boot(t, bench.config("hook"), img.Disk)
		s.byTheInitramfs()
		s.beforeKeys()
	})
	t.Run("host away", func(t *testing.T) { away(t, dir, img) })
}

// bench is a host.
type bench struct {
	dir, hostd string
	daemon     *rig.Daemon
}

var guests = []string{"hook", "unit"}

func newBench(t *testing.T, dir string) bench {
	t.Helper()
	b := bench{dir: dir, hostd: filepath.Join(dir, "hostd")}
	if err := rig.Build(t.Context(), "hostd", b.hostd); err != nil {
		t.Fatal(err)
	}
	text := rig.Sound
	for _, name := range guests {
		text += fmt.Sprintf("\n[[guest]]\nname = %q\npipes = [%q]\n", name, "port:"+b.port(name))
	}
	b.daemon = rig.Hostd(t, b.hostd, dir, text)
	return b
}

func (b bench) port(name string) string { return filepath.Join(b.dir, name+".port") }

func (b bench) config(name string) rig.Config {
	return rig.Config{Name: name, Dir: b.dir, Port: b.port(name), VMGenID: "auto", Net: true}
}

// byTheInitramfs fails the test unless the generator was ready before guestd.service
// was first started.
func (s system) byTheInitramfs() {
	s.t.Helper()
	first := s.unit("guestd.service", "InactiveExit")
	if ready := s.ready(); ready > first {
		s.t.Errorf("the generator is ready %.2f s after the kernel's start, and the initramfs ended before the unit was started at %.2f s", ready.Seconds(), first.Seconds())
	}
}

// beforeKeys fails the test unless the generator was ready before systemd had loaded
// its seed and before there was a host key.
func (s system) beforeKeys() {
	s.t.Helper()
	ready := s.ready()
	loaded := s.unit("systemd-random-seed.service", "ActiveEnter")
	began := s.unit("ssh-host-keys.service", "ExecMainStart")
	key := s.firstKey()
	sshd := s.unit("ssh.service", "ActiveEnter")
	s.t.Logf("%s: since the kernel's start: generator ready %.2f s, guestd.service started %.2f s, random seed loaded %.2f s, host keys begun %.2f s, the first written %.2f s, sshd up %.2f s, boot finished %.2f s",
		s.Name, ready.Seconds(), s.unit("guestd.service", "ActiveEnter").Seconds(), loaded.Seconds(), began.Seconds(), key.Seconds(), sshd.Seconds(), s.booted().Seconds())
	if ready > loaded || ready > began || ready > key {
		s.t.Errorf("the generator is ready too late")
	}
}

// unhindered fails the test if the unit keeps guestd from anything that it wants.
func (s system) unhindered() {
	s.t.Helper()
	if said := s.run("journalctl", "-b", "-q", "-u", "guestd.service", "-p", "warning", "--no-pager"); said != "" {
		s.t.Errorf("guestd warns:\n%s", said)
	}
	pid := s.run("systemctl", "show", "--value", "-p", "MainPID", "guestd.service")
	// The policy of each thread, 1 is SCHED_FIFO: proc_pid_stat(5).
	if p := s.run("sh", "-c", "cut -d ' ' -f 41 /proc/"+pid+"/task/*/stat | sort -u"); p != "1" {
		s.t.Errorf("the policies of guestd's threads are %q", p)
	}
	if locked := s.run("grep", "VmLck", "/proc/"+pid+"/status"); strings.HasSuffix(locked, " 0 kB") {
		s.t.Errorf("guestd's memory is not locked: %s", locked)
	}
	vmgenid := "vmgenid driver (kernel log)"
	if strings.Contains(*kernel, "cloud") {
		vmgenid = "vmgenid GUID" // there is no driver
	}
	status := s.run("guestd", "status")
	for _, want := range []string{"push on the port", vmgenid, "link announcements", "clock"} {
		if !strings.Contains(status, want) {
			s.t.Errorf("guestd does not watch for: %s", want)
		}
	}
	s.t.Logf("guestd status:\n%s", status)
}

// firstKey is when the first of the host keys was written, by the kernel's clock.
func (s system) firstKey() time.Duration {
	s.t.Helper()
	// The file's time is of the clock that people use.
	text := s.run("sh", "-c", `stat -c %.6Y /etc/ssh/ssh_host_*_key | sort -n | head -n 1; date +%s.%N; cut -d ' ' -f 1 /proc/uptime`)
	var n [3]float64
	for i, line := range strings.Fields(text) {
		var err error
		if n[i], err = strconv.ParseFloat(line, 64); err != nil {
			s.t.Fatalf("%s: %q: %v", s.Name, text, err)
		}
	}
	return time.Duration((n[0] - n[1] + n[2]) * float64(time.Second))
}

// reseeds has the host push, and looks at what is run then.
func (s system) reseeds(b bench) {
	s.t.Helper()
	word := s.run("cat", "/run/headgate/reseeded")
	if !strings.HasPrefix(word, "REASON=boot\nTIME=") {
		s.t.Errorf("after the boot /run/headgate/reseeded is %q", word)
	}
	push := func() {
		out, err := exec.CommandContext(s.ctx, b.hostd, "guest", "push", s.Name, "--control", b.daemon.Control).CombinedOutput()
		if err != nil {
			s.t.Fatalf("hostd guest push: %v\n%s", err, out)
		}
	}
	push()
	noted := s.await("a script that was run", 10*time.Second, func(text string) bool { return text != "" }, "cat", "/run/noted")
	if !strings.HasPrefix(noted, "push 2") {
		s.t.Errorf("the script was told %q", noted)
	}
	push() // while a script hangs
	last := func(text string) bool {
		lines := strings.Fields(text)
		return len(lines) > 1 && strings.Contains(s.run("cat", "/run/headgate/reseeded"), "REASON=push\nTIME="+lines[len(lines)-1])
	}
	s.await("the scripts run again, after the last reseed", 20*time.Second, last, "cat", "/run/last")
	said := s.journal("headgate-reseed.service")
	for _, want := range []string{"/71-fails: failed, exit status 3", "/72-hangs: stopped after 1s"} {
		if !strings.Contains(said, want) {
			s.t.Errorf("headgate-reseed.service does not say %q, but\n%s", want, said)
		}
	}
	if out := s.run("systemctl", "is-active", "headgate-reseed.path"); out != "active" {
		s.t.Errorf("headgate-reseed.path is %s", out)
	}
	s.healthy()
}
