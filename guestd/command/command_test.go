//go:build linux

package command

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headgate/guestd/kernel"
	"headgate/guestd/pipe"
	"headgate/guestd/status"
)

func TestExitStatusAndErrors(t *testing.T) {
	record := filepath.Join(t.TempDir(), "guestd.json")
	r := status.Record{PID: os.Getpid(), Version: "v1", Credit: "auto"}
	if err := r.Write(record); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args     string
		code     int
		out, err string // what stdout and stderr contain
	}{
		{"version", 0, "guestd v9\n", ""},
		{"help", 0, "guestd seed [flags]", ""},
		{"help seed", 0, "guestd seed --timeout 2s", ""},
		{"help sow", 2, "", "unknown command sow"},
		{"help --json", 2, "", "unknown command --json"},
		{"status --status " + record, 0, "running, pid", ""},
		{"status --json --status=" + record, 0, `{"pid":`, ""},
		{"status --status /nonexistent", 1, "", "has guestd run?"},
		{"sow", 2, "", "unknown command sow"},
		{"--timeout 5s", 2, "", `unknown argument "--timeout"`},
		{"seed now", 2, "", `seed unknown argument "now": see guestd seed --help`},
		{"--interval", 2, "", "--interval needs a value"},
		{"--interval 1ms", 2, "", "must be a duration from 1s to 24h"},
		{"--poll 1ms", 2, "", "such as 90s, or 0"},
		{"seed --poll 1s", 2, "", `unknown argument "--poll"`},
		{"--bytes 31", 2, "", "must be from 32 to 4096"},
		{"--credit lots", 2, "", "must be auto, none, full"},
		{"--pipe egd", 2, "", "must be auto, vchan, channel, port"},
		{"status --json=yes", 2, "", "takes no value"},
		{"version --json", 2, "", "unknown argument"},
		{"seed --pipe hwrng:/nonexistent --timeout 50ms --status " + record, 1, "", "not seeded: open /nonexistent: no such file"},
	} {
		var out, errs bytes.Buffer
		code := Main(strings.Fields(c.args), "v9", &out, &errs)
		if code != c.code || !strings.Contains(out.String(), c.out) || !strings.Contains(errs.String(), c.err) {
			t.Errorf("guestd %s: exit %d\n%s%s", c.args, code, &out, &errs)
		}
		if lines := strings.Count(errs.String(), "\n"); c.code == 0 && lines != 0 || c.code != 0 && lines != 1 {
			t.Errorf("guestd %s: %d lines of error", c.args, lines)
		}
	}
}

// Every command has a help of its own, which begins with what it does, names the
// flags that it takes and no other, and has an example that is not refused.
func TestHelp(t *testing.T) {
	all := strings.Fields("interval timeout poll bytes credit pipe status json root")
	for name, flags := range map[string]string{
		"": "interval poll bytes credit pipe status", "seed": "timeout bytes credit pipe status",
		"status": "json status", "check": "root json", "version": "",
	} {
		var out, errs bytes.Buffer
		if code := Main(append(strings.Fields(name), "--help"), "v9", &out, &errs); code != 0 || errs.Len() > 0 {
			t.Errorf("guestd %s --help: exit %d\n%s", name, code, &errs)
		}
		what, example, found := strings.Cut(out.String(), "\nExample")
		if !strings.HasPrefix(what, strings.TrimSpace("guestd "+name)+" ") || !found {
			t.Errorf("guestd %s --help: begins %.40q, example %q", name, what, example)
		}
		for _, flag := range all {
			if strings.Contains(what, "\n  --"+flag+" ") != slices.Contains(strings.Fields(flags), flag) {
				t.Errorf("guestd %s --help: --%s", name, flag)
			}
		}
		_, line, _ := strings.Cut(example, "\n  guestd")
		line, _, _ = strings.Cut(strings.TrimSpace(line), " && ")
		o := defaults()
		if args := strings.Fields(strings.TrimPrefix(line, name)); o.parse(args, flags) != nil {
			t.Errorf("guestd %s --help: the example %q is refused", name, line)
		}
	}
}

// The journal has the name already, and takes the severity from the line. What the hook
// in the initramfs catches is not for the journal, though systemd started it.
func TestLinesForTheJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	var s unix.Stat_t
	if err := unix.Stat(path, &s); err != nil {
		t.Fatal(err)
	}
	dev, ino := strconv.FormatUint(s.Dev, 10), strconv.FormatUint(s.Ino, 10)
	const plain = "guestd: a\nguestd: b\nguestd: c\n"
	for stream, want := range map[string]string{"": plain, dev + ":1" + ino: plain, dev + ":" + ino: "<3>a\n<4>b\nc\n"} {
		t.Setenv("JOURNAL_STREAM", stream)
		if err := out.Truncate(0); err != nil {
			t.Fatal(err)
		}
		_, _ = out.Seek(0, io.SeekStart)
		if code := fail(out, usage, "a"); code != usage {
			t.Errorf("exit %d", code)
		}
		say(out, warning, "b")
		say(out, note, "c")
		if text, err := os.ReadFile(path); string(text) != want {
			t.Errorf("JOURNAL_STREAM=%q: %q, %v", stream, text, err)
		}
	}
}

// udev loads the driver of the generation ID beside guestd's first seed: what is missing
// is looked at again when clones are noticed by other signs.
func TestNotesOfLateModules(t *testing.T) {
	looked := 0
	look := func() kernel.Kernel {
		looked++
		return kernel.Kernel{Release: "6.1.0", Device: true, Driver: looked > 1}
	}
	with := noting(look)
	for i, c := range []struct {
		clones string
		notes  bool
		looked int
	}{{"", true, 1}, {"", true, 1}, {"vmgenid driver", false, 2}, {"vmgenid driver", false, 2}} {
		r := status.Record{Clones: c.clones}
		if with(&r); r.Kernel != "6.1.0" || (r.Notes != "") != c.notes || looked != c.looked {
			t.Errorf("%d: looked %d times, %+v", i, looked, r)
		}
	}
}

func TestOptions(t *testing.T) {
	o := defaults()
	if err := o.parse(strings.Fields("--interval=90s --bytes 128 --credit 4 --pipe port:/dev/x --poll 0 --status="), "interval bytes credit pipe poll status"); err != nil {
		t.Fatal(err)
	}
	if o.interval != 90*time.Second || o.bytes != 128 || o.credit.String() != "4" || len(o.kinds) != 1 || o.paths[pipe.PortKind] != "/dev/x" || o.poll != 0 || o.status != "" {
		t.Errorf("%+v", o)
	}
}

func TestBoot(t *testing.T) {
	if uptime() <= 0 || bootID() == [16]byte{} {
		t.Errorf("up %d ms, boot %x", uptime(), bootID())
	}
}
