package kvm

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAPIDFileThatNamesNobodyLetsNobodyIn(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	own := strconv.Itoa(os.Getpid())
	for name, c := range map[string]struct{ path, want string }{
		"missing":   {filepath.Join(dir, "none.pid"), "is missing"},
		"no folder": {filepath.Join(fifo, "web1.pid"), "not a directory"},
		"a folder":  {dir, "no regular file"},
		"a FIFO":    {fifo, "no regular file"},
		"empty":     {pidFile(t, ""), "no process id"},
		"garbage":   {pidFile(t, "\xff\x00\n"), "no process id"},
		"zero":      {pidFile(t, "0"), "no process id"},
		"a group":   {pidFile(t, "-"+own), "no process id"},
		"two lines": {pidFile(t, own+"\n"+own+"\n"), "no process id"},
		"huge":      {pidFile(t, own+strings.Repeat("\n", 1<<20)), "no process id"},
		"too large": {pidFile(t, "4294967297"), "no process id"},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, Port, 1<<16)
			r.owner.Store(&Owner{UID: uint32(os.Getuid()), PIDFile: c.path})
			r.run(t)
			r.dial(t)
			r.turnedAway(t, nil, c.want)
		})
	}
}

func FuzzPIDFile(f *testing.F) {
	for _, text := range []string{"31011", "31011\n", "", "0", "+1", "01", "-5", "1 ", "1\n\n", "2147483648"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		id, err := parsePID(text)
		if err != nil {
			if id != 0 {
				t.Fatalf("%q: %d beside %v", text, id, err)
			}
			if n, plain := strconv.Atoi(string(text)); plain == nil && n > 0 && int64(n) < 1<<31 && strconv.Itoa(n) == string(text) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		canonical := strconv.Itoa(int(id))
		if id <= 0 || (string(text) != canonical && string(text) != canonical+"\n") || len(text) > pidMax {
			t.Fatalf("%q was taken for %d", text, id)
		}
	})
}
