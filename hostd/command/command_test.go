package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"headgate/hostd/control"
	"headgate/hostd/events"
)

var update = flag.Bool("update", false, "write the golden files anew")

// asHostd makes the test's own program behave as hostd, for what has to be a
// process of its own.
const asHostd = "HEADGATE_TEST_AS_HOSTD"

// ages is how long what has bounds elsewhere may take where it is not they that are
// tested: this machine may stand still for a while.
const ages = time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(asHostd) != "" {
		a := New("test", nil)
		if os.Getenv(asHostd) == "patient" {
			a.hookPatience, a.hookLastWord = ages, ages
		}
		os.Exit(a.Main(context.Background(), os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

var now = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

// rig is the command line beside a fake daemon.
type rig struct {
	*App
	fake     *control.Fake
	out, err bytes.Buffer
	logged   lines
	served   string // the configuration that serve was given
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{served: "-", fake: control.NewFake(control.Status{Version: "1.2.3", PID: 4242, Started: now.Add(-3*time.Hour - 12*time.Minute)})}
	path := filepath.Join(t.TempDir(), "c.sock")
	t.Setenv("HEADGATE_CONTROL", path)
	server := control.NewServer(path, r.fake, nil)
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	r.App = &App{dom0: func() error { return errors.New("this is no dom0") }, Version: "1.2.3", In: strings.NewReader(""), Out: &r.out, Err: &r.err, Log: r.logged.add, Now: func() time.Time { return now },
		Config: filepath.Join(t.TempDir(), "hostd.toml"), hookPatience: ages, hookLastWord: ages,
		Run: func(_ context.Context, path string) error { r.served = path; return nil }}
	return r
}

// lines is a log.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
}

func (l *lines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	return all
}

// run gives the exit code and what was printed.
func (r *rig) run(t *testing.T, args ...string) (code int, out, err string) {
	t.Helper()
	r.out.Reset()
	r.err.Reset()
	code = r.Main(t.Context(), args)
	return code, r.out.String(), r.err.String()
}

// golden compares what was printed with the file that holds what should be.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func TestOutput(t *testing.T) {
	r := newRig(t)
	_, out, _ := r.run(t, "status")
	golden(t, "status_empty", out)
	_, out, _ = r.run(t, "guest", "list")
	golden(t, "guest_list_empty", out)

	r.fake.Snapshot = busyStatus()
	r.fake.Test = control.SourceTest{Seconds: 1.5, MinEntropy: 2, Assumed: true, Estimate: 7.654, LongestRun: 3, RCTCutoff: 21, APTCutoff: 254, Passed: true}
	for i, level := range []int{-4, 0, 4, 8} {
		r.fake.Events().Add(events.Event{Time: now.Add(time.Duration(i) * time.Second), Level: slog.Level(level), Kind: "source_failed",
			Subject: "trng0", Message: "the repetition count test stopped it", Fields: map[string]string{"test": "rct", "cutoff": "21\n"}})
	}
	for name, args := range map[string][]string{
		"status":      {"status"},
		"status_json": {"status", "--json"},
		"guest_list":  {"guest", "list"},
		"source_list": {"source", "list"},
		"source_test": {"source", "test", "trng0", "-n", "4KiB"},
		"events":      {"events"},
		"events_json": {"events", "--json", "--since", "3"},
	} {
		code, out, errs := r.run(t, args...)
		if code != 0 || errs != "" {
			t.Errorf("%v: exit %d: %s", args, code, errs)
		}
		golden(t, name, out)
	}
}

func TestGuestCommands(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		args string
		code int
		say  string
	}{
		{"guest add web1 --pipe qemu:/run/web1 --pipe port:/run/web1.port --rate 2KiB/s --socket-mode 0660 --transient", 0,
			"guest web1 added: class default, quality full, rate 2KiB/s, burst 4KiB, weight 1\n"},
		{"guest set web1 --weight 3 --rate unlimited", 0, "guest web1 set: class default, quality full, rate unlimited, burst 4KiB, weight 3\n"},
		{"guest add web1 --pipe qemu:/run/web2", 1, "hostd: guest web1: guest already exists\n"},
		{"guest add web2 --pipe qemu:/run/web2 --class tin", 1, "hostd: guest web2: guest.class: there is no class \"tin\"; allowed: default\n"},
		{"guest add !x --pipe qemu:/run/web2 --class tin", 1, "first; guest.class: there is no class"},
		{"guest push web1", 0, "guest web1: qemu:/run/web1: not for this pipe, which does not reach guestd\n" +
			"guest web1: port:/run/web1.port: nobody is connected; its next connection begins with it\n"},
		{"guest remove web1", 0, "guest web1 removed\n"},
		{"guest remove web1", 1, "hostd: guest web1: guest not found\n"},
		{"guest set web1 --weight 3", 1, "hostd: guest web1: guest not found\n"},
		{"guest push web1", 1, "hostd: guest web1: guest not found\n"},
	} {
		code, out, errs := r.run(t, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out+errs, c.say) {
			t.Errorf("%s: exit %d: %s%s", c.args, code, out, errs)
		}
	}
}

func TestMisuseExitsWithTwoOnOneLine(t *testing.T) {
	r := newRig(t)
	for args, say := range map[string]string{
		"frob":                                `hostd has no command "frob"; see "hostd --help"`,
		"statsu":                              `hostd has no command "statsu": did you mean "status"; see`,
		"guest frob":                          `hostd guest has no command "frob"; see "hostd guest --help"`,
		"status --frob":                       `unknown flag: --frob; see "hostd status --help"`,
		"status now":                          `hostd status: "now" is too much`,
		"guest add":                           "hostd guest add: NAME is missing",
		"guest add x":                         "--pipe is missing",
		"guest push":                          "hostd guest push: NAME is missing",
		"guest add x --pipe kemu:/x":          `--pipe: "kemu" is not a kind of pipe; allowed: qemu:PATH`,
		"guest add x --pipe qemu:/x --rate 4": `"4" is not a rate; allowed: a rate such as`,
		"guest add x --pipe qemu:/x --socket-mode 9": `--socket-mode: "9" is not such a mode`,
		"guest set x":                    "nothing to change is given",
		"source capture x":               "-o FILE is missing",
		"source capture x -o /x -n 2GiB": "-n 2GiB is out of bounds; allowed: 1B to 1GiB",
		"source test x -n 1B":            "allowed: 1KiB to 1MiB",
		"events --since x":               "invalid argument",
	} {
		code, out, errs := r.run(t, strings.Fields(args)...)
		if code != 2 || out != "" || !strings.Contains(errs, say) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit %d: %s%s", args, code, out, errs)
		}
	}
	for _, args := range []string{"", "guest"} {
		if code, out, _ := r.run(t, strings.Fields(args)...); code != 2 || !strings.Contains(out, "Available Commands") {
			t.Errorf("%q: exit %d: %s", args, code, out)
		}
	}
}

func TestNoDaemon(t *testing.T) {
	r := newRig(t)
	for _, args := range []string{"status", "events", "guest list", "guest remove x", "source list", "source test x"} {
		code, _, errs := r.run(t, append(strings.Fields(args), "--control", "/nonexistent/c.sock")...)
		if code != 1 || !strings.Contains(errs, "no hostd answers at /nonexistent/c.sock: start it with") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit %d: %s", args, code, errs)
		}
	}
}

func TestServeFindsItsConfiguration(t *testing.T) {
	r := newRig(t)
	if code, _, _ := r.run(t, "serve"); code != 0 || r.served != "" {
		t.Errorf("without a file: exit %d, %q", code, r.served)
	}
	if err := os.WriteFile(r.Config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r.run(t, "serve"); r.served != r.Config {
		t.Errorf("with the usual file: %q", r.served)
	}
	if r.run(t, "serve", "--config", "/x"); r.served != "/x" {
		t.Errorf("with a file of its own: %q", r.served)
	}
	r.Run = func(context.Context, string) error { return errors.New("it broke") }
	if code, _, errs := r.run(t, "serve"); code != 1 || errs != "hostd: it broke\n" {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestCheck(t *testing.T) {
	r := newRig(t)
	if code, _, errs := r.run(t, "check"); code != 1 || !strings.Contains(errs, "no such file") {
		t.Errorf("a missing file: exit %d: %s", code, errs)
	}
	write := func(text string) {
		if err := os.WriteFile(r.Config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("[[guest]]\nname = 'a'\npipes = ['qemu:/a']\n")
	if code, out, errs := r.run(t, "check"); code != 0 || out != r.Config+": right: every source that is found, 1 class, 1 guest\n" {
		t.Errorf("a right file: exit %d: %s%s", code, out, errs)
	}
	write("x = 1\n[reservoir]\nsize = '1B'\n")
	code, _, errs := r.run(t, "check", "--config", r.Config)
	if lines := strings.Split(errs, "\n"); code != 1 || len(lines) != 3 || !strings.HasPrefix(lines[0], r.Config+":1: x: unknown key") ||
		!strings.HasPrefix(lines[1], r.Config+":3: reservoir.size: ") {
		t.Errorf("a wrong file: exit %d: %s", code, errs)
	}
}

func TestFailedSourceTestExitsWithOne(t *testing.T) {
	r := newRig(t)
	r.fake.Snapshot = busyStatus()
	r.fake.Test = control.SourceTest{Failure: "repetition count test: 21 equal samples"}
	if code, out, errs := r.run(t, "source", "test", "trng0"); code != 1 || !strings.Contains(out, "failed") ||
		errs != "hostd: source trng0 failed the test: repetition count test: 21 equal samples\n" {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

func TestVersion(t *testing.T) {
	r := newRig(t)
	if _, out, _ := r.run(t, "version"); !strings.HasPrefix(out, "hostd 1.2.3 (go") {
		t.Error(out)
	}
	var v map[string]string
	if _, out, _ := r.run(t, "version", "--json"); json.Unmarshal([]byte(out), &v) != nil || v["version"] != "1.2.3" {
		t.Error(out)
	}
}

// TestEveryCommandHasHelp holds that each has an example that names it.
func TestEveryCommandHasHelp(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Short == "" || !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s: short %q, example %q", c.CommandPath(), c.Short, c.Example)
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	r := newRig(t)
	visit(r.root())
	_, out, _ := r.run(t, "guest", "set", "--help")
	golden(t, "help_guest_set", strings.ReplaceAll(out, os.Getenv("HEADGATE_CONTROL"), "SOCKET"))
}
