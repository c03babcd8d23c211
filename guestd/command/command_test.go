//go:build linux

package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
		{"--help", 0, "Example", ""},
		{"seed --help", 0, "guestd seed --timeout 2s", ""},
		{"help", 0, "exit 0", ""},
		{"status --status " + record, 0, "running, pid", ""},
		{"status --json --status=" + record, 0, `{"pid":`, ""},
		{"status --status /nonexistent", 1, "", "has guestd run?"},
		{"sow", 2, "", "unknown command sow"},
		{"--timeout 5s", 2, "", `unknown argument "--timeout"`},
		{"seed now", 2, "", `seed unknown argument "now"`},
		{"--interval", 2, "", "--interval needs a value"},
		{"--interval 1ms", 2, "", "must be a duration from 1s to 24h"},
		{"--bytes 31", 2, "", "must be from 32 to 4096"},
		{"--credit lots", 2, "", "must be auto, none, full"},
		{"--pipe egd", 2, "", "must be auto, port, hwrng"},
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

func TestOptions(t *testing.T) {
	o := defaults()
	if err := o.parse(strings.Fields("--interval=90s --bytes 128 --credit 4 --pipe port:/dev/x"), "interval bytes credit pipe"); err != nil {
		t.Fatal(err)
	}
	if o.interval != 90*time.Second || o.bytes != 128 || o.credit.String() != "4" || len(o.kinds) != 1 || o.paths[pipe.PortKind] != "/dev/x" {
		t.Errorf("%+v", o)
	}
}

func TestBoot(t *testing.T) {
	if uptime() <= 0 || bootID() == [16]byte{} {
		t.Errorf("up %d ms, boot %x", uptime(), bootID())
	}
}
