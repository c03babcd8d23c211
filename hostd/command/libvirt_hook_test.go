package command

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"headgate/hostd/control"
	"headgate/kvm/libvirt"
)

// hookXML is what libvirt 9.0 gave a hook.
func hookXML(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "hook_start.xml"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestHookTellsHostd(t *testing.T) {
	r := newRig(t)
	for _, op := range hookOps {
		r.In = bytes.NewReader(hookXML(t))
		if code, out, errs := r.run(t, "libvirt", "hook", "--", "web1", op, "begin", "-"); code != 0 || out+errs != "" {
			t.Errorf("%s: exit %d: %s%s", op, code, out, errs)
		}
		h := r.fake.Hooks[len(r.fake.Hooks)-1]
		if _, wired := h.Domain.EGD("/run/headgate/guests/web1.sock"); h.Op != op || h.Domain.Name != "web1" || !wired || h.Domain.Policy.Class != "gold" || *h.Domain.UID != 64055 {
			t.Errorf("%s: %+v", op, h)
		}
	}
	if said := r.logged.take(); len(r.fake.Hooks) != len(hookOps) || said != nil {
		t.Errorf("told %d times, and logged %q", len(r.fake.Hooks), said)
	}
}

// TestHookHasNothingToTell: the domain is read for no other operation, and hostd
// does not hear of domains that it cannot feed.
func TestHookHasNothingToTell(t *testing.T) {
	r := newRig(t)
	for _, op := range []string{"attach", "device-added", "", "Prepare"} {
		r.In = iotest.ErrReader(errors.New("it was read"))
		if code, out, errs := r.run(t, "libvirt", "hook", "web1", op, "begin", "-"); code != 0 || out+errs != "" {
			t.Errorf("%q: exit %d: %s%s", op, code, out, errs)
		}
	}
	r.In = strings.NewReader("<domain><name>web1</name><devices>" + urandom + agent + "</devices></domain>")
	if code, out, errs := r.run(t, "libvirt", "hook", "web1", "prepare", "begin", "-", "--control", "/nonexistent"); code != 0 || out+errs != "" {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if said := r.logged.take(); said != nil || len(r.fake.Hooks) != 0 {
		t.Errorf("%q, %v", said, r.fake.Hooks)
	}
}

// TestHookNeverFails: not for anything, and in time; it says so in one line.
func TestHookNeverFails(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	hung, err := net.Listen("unix", filepath.Join(dir, "hung.sock")) // accepts by its backlog alone
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	stdin, never := io.Pipe()
	defer never.Close()
	xml := string(hookXML(t))
	all := r.App
	for _, c := range []struct {
		name string
		in   io.Reader
		args []string
		say  string
		slow bool
	}{
		{"no hostd", strings.NewReader(xml), []string{"web1", "prepare", "--control", dir + "/none.sock"}, "domain web1, prepare: no hostd answers at ", false},
		{"a hung hostd", strings.NewReader(xml), []string{"web1", "prepare", "--control", dir + "/hung.sock"}, "/hung.sock did not answer within 400ms", true},
		{"a control socket that cannot be", strings.NewReader(xml), []string{"web1", "prepare", "--control", strings.Repeat("x", 200)}, "control socket", false},
		{"a hung stdin", stdin, []string{"web1", "start"}, "the domain's XML did not come on stdin within 400ms", true},
		{"no XML", strings.NewReader(""), []string{"web1", "start"}, "web1, start: domain XML: ", false},
		{"too much of it", strings.NewReader(strings.Repeat(" ", libvirt.MaxXML) + xml), []string{"web1", "start"}, "more than 4 MiB", false},
		{"no end of it", endless{}, []string{"web1", "start"}, "more than 4 MiB", false},
		{"a broken stdin", iotest.ErrReader(errors.New("it broke")), []string{"web1", "start"}, "it broke", false},
		{"a panic", panics{}, []string{"web1", "start"}, "made it panic: at reading", false},
		{"a name that steers terminals", strings.NewReader(""), []string{"\x1b[2J\n" + strings.Repeat("x", 5000), "start"}, "domain ?[2J; xxx", false},
		{"no arguments", nil, nil, "it wants what libvirt gives", false},
		{"an unknown flag", nil, []string{"--frob"}, "it wants what libvirt gives", false},
		{"a flag without its value", nil, []string{"web1", "start", "--control"}, "flag needs an argument", false},
		{"more arguments", strings.NewReader(xml), []string{"web1", "start", "begin", "-", "and", "more"}, "", false},
	} {
		one := *all // a read that hangs goes on in the one before
		one.In = c.in
		if c.slow {
			one.hookPatience = hookPatience
		}
		r.App = &one
		started := time.Now()
		code, out, errs := r.run(t, append([]string{"libvirt", "hook"}, c.args...)...)
		took := time.Since(started)
		said := r.logged.take()
		if code != 0 || out != "" {
			t.Errorf("%s: exit %d: %s", c.name, code, out)
		}
		if c.say == "" && (errs != "" || said != nil) {
			t.Errorf("%s: %s%q", c.name, errs, said)
		}
		if c.say != "" && (len(said) != 1 || !strings.Contains(said[0], c.say) || errs != "hostd: "+said[0]+"\n" || strings.Count(errs, "\n") != 1) {
			t.Errorf("%s: on stderr %q, logged %q", c.name, errs, said)
		}
		if c.slow && took < hookPatience || took > ages/2 {
			t.Errorf("%s: it took %v", c.name, took)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type panics struct{}

func (panics) Read([]byte) (int, error) { panic("at reading") }

// TestHookDoesNotWaitForALog that takes nothing.
func TestHookDoesNotWaitForALog(t *testing.T) {
	r := newRig(t)
	end := make(chan struct{})
	logging := make(chan struct{})
	r.hookLastWord = hookLastWord
	r.Log = func(string) { <-end; close(logging) }
	started := time.Now()
	if code := r.Main(t.Context(), []string{"libvirt", "hook", "web1", "start"}); code != 0 {
		t.Errorf("exit %d", code)
	}
	if took := time.Since(started); took > ages/2 {
		t.Errorf("it took %v", took)
	}
	close(end)
	<-logging
}

// hostd is this program as a process of its own, with what a hook is given.
func hostd(ctx context.Context, t testing.TB, program string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, program, args...)
	c.Env = append(os.Environ(), asHostd+"=1", "GORACE=atexit_sleep_ms=0")
	c.Stdin = bytes.NewReader(hookXML(t))
	return c
}

// TestHookIsQuick, from the start of the process to its end.
func TestHookIsQuick(t *testing.T) {
	r := newRig(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var took []time.Duration
	for range 9 {
		started := time.Now()
		_, err := hostd(t.Context(), t, self, "libvirt", "hook", "--", "web1", "prepare", "begin", "-").CombinedOutput()
		took = append(took, time.Since(started))
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(took)
	t.Logf("%v to %v, median %v", took[0], took[8], took[4])
	// The quickest tells of the hook, the others of what else this machine does. The
	// race detector takes its part, too.
	if took[0] > 200*time.Millisecond || len(r.fake.Hooks) == 0 {
		t.Errorf("%v; hostd was told %d times", took, len(r.fake.Hooks))
	}
}

// TestHookOutlivesAClosedStderr: no signal ends it.
func TestHookOutlivesAClosedStderr(t *testing.T) {
	newRig(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	read.Close()
	c := hostd(t.Context(), t, self, "libvirt", "hook", "--control", "/nonexistent/c.sock", "--", "web1", "prepare", "begin", "-")
	c.Stdout, c.Stderr = write, write
	if err := c.Run(); err != nil {
		t.Error(err)
	}
}

func BenchmarkHook(b *testing.B) {
	path := filepath.Join(b.TempDir(), "c.sock")
	server := control.NewServer(path, control.NewFake(control.Status{}), nil)
	if err := server.Listen(); err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- server.Run(ctx) }()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if out, err := hostd(ctx, b, self, "libvirt", "hook", "--control", path, "--", "web1", "prepare", "begin", "-").CombinedOutput(); err != nil || len(out) > 0 {
			b.Fatal(err, string(out))
		}
	}
	stop()
	if err := <-done; err != nil {
		b.Error(err)
	}
}
