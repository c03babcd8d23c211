package command

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"headgate/hostd/control"
	"headgate/integration/need"
)

func fileOf(t *testing.T, path string) (content []byte, mode os.FileMode) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return content, info.Mode()
}

func only(t *testing.T, dir string, names ...string) {
	t.Helper()
	var there []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		there = append(there, e.Name())
	}
	if strings.Join(there, " ") != strings.Join(names, " ") {
		t.Errorf("in %s: %q, want %q", dir, there, names)
	}
}

func TestSeedFile(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	code, out, errs := r.run(t, "seed", "--for", "web1", "-o", one)
	if code != 0 || !strings.HasPrefix(out, one+": a seed of 512 bytes (systemd ") || !strings.HasSuffix(out, ", for web1 alone\n") || errs != "" {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	code, out, _ = r.run(t, "seed", "--for", "web1", "-o", two)
	if code != 0 || !strings.Contains(out, "(number 2 of that name since hostd started, each another)") {
		t.Errorf("a second one: exit %d: %s", code, out)
	}
	first, mode := fileOf(t, one)
	second, _ := fileOf(t, two)
	if len(first) != 512 || mode != 0o600 || bytes.Equal(first, second) {
		t.Errorf("%d bytes, mode %v, the same: %v", len(first), mode, bytes.Equal(first, second))
	}
	value := make([]byte, 8)
	n, err := syscall.Getxattr(one, "user.random-seed-creditable", value)
	marked := err == nil && string(value[:n]) == "1"
	if marked != strings.Contains(out, "systemd may count it") {
		t.Errorf("marked: %v (%v), said: %s", marked, err, out)
	}

	code, _, errs = r.run(t, "seed", "--for", "web1", "-o", one)
	if again, _ := fileOf(t, one); code != 1 || !strings.Contains(errs, "one exists: choose another file, or replace it with --force") || !bytes.Equal(again, first) {
		t.Errorf("over a file: exit %d: %s", code, errs)
	}
	if err := os.Chmod(one, 0o644); err != nil {
		t.Fatal(err)
	}
	held, err := os.Open(one) // who could read the old one cannot read the new one
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if code, _, errs := r.run(t, "seed", "--for", "web1", "-o", one, "--force"); code != 0 {
		t.Errorf("by force: exit %d: %s", code, errs)
	}
	third, mode := fileOf(t, one)
	if old, _ := io.ReadAll(held); mode != 0o600 || bytes.Equal(third, first) || !bytes.Equal(old, first) {
		t.Errorf("by force: mode %v", mode)
	}
	only(t, dir, "one", "two")
	if s := r.fake.Status(); s.SeedsGiven != 3 || r.fake.Seeds[0] != (control.SeedRequest{For: "web1", As: "file"}) {
		t.Errorf("%d were drawn: %v", s.SeedsGiven, r.fake.Seeds)
	}
}

func TestSeedAsUserData(t *testing.T) {
	r := newRig(t)
	path := filepath.Join(t.TempDir(), "user-data")
	code, out, errs := r.run(t, "seed", "--for", "web1", "--cloud-init", path)
	if code != 0 || out != "" || errs != path+": user data with a seed, for web1 alone\n" {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	text, mode := fileOf(t, path)
	want := "#cloud-config\n# For web1 alone: a clone with the same shares its first random bytes.\n" +
		"random_seed:\n  file: /dev/urandom\n  encoding: base64\n  data: \"" +
		base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 512)) + "\"\n"
	if string(text) != want || mode != 0o600 || len(text) > 2048 {
		t.Errorf("mode %v:\n%s", mode, text)
	}
	code, out, errs = r.run(t, "seed", "--for", "web1", "--cloud-init", "-")
	if code != 0 || !strings.HasPrefix(out, "#cloud-config\n") || !strings.HasPrefix(errs, "user data with a seed, for web1 alone (number 2") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if r.fake.Seeds[1].As != "cloud-init" {
		t.Errorf("%v", r.fake.Seeds)
	}
}

func TestSeedIsNotShownOnATerminal(t *testing.T) {
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		need.Unmet(t, "no pseudo-terminal: mount devpts: ", err)
	}
	defer tty.Close()
	r := newRig(t)
	r.Out = tty
	code := r.Main(t.Context(), []string{"seed", "--for", "web1", "--cloud-init", "-"})
	if code != 1 || !strings.Contains(r.err.String(), "a terminal would show the seed") || len(r.fake.Seeds) != 0 {
		t.Errorf("exit %d: %s", code, r.err.String())
	}
}

func TestSeedRefuses(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]struct {
		code int
		say  string
	}{
		"-o x":                                     {2, "--for NAME is missing"},
		"--for ../x -o x":                          {2, `--for: "../x" has the character '.'`},
		"--for web1":                               {2, "give one of -o FILE, --cloud-init FILE and --root DIR"},
		"--for web1 -o x --root y":                 {2, "give one of"},
		"--for web1 x -o x":                        {2, `"x" is too much`},
		"--for w -o x --timeout -1s":               {2, "--timeout -1s is below 0"},
		"--for web1 -o -":                          {1, `"-" is not the name of a file`},
		"--for web1 -o DIR/":                       {1, "is not the name of a file"},
		"--for web1 -o DIR":                        {1, "is there and no regular file"},
		"--for web1 -o DIR/no/x":                   {1, "no such file or directory"},
		"--for web1 -o DIR/link":                   {1, "link is there and no regular file"},
		"--for web1 --force -o DIR/link":           {1, "link is there and no regular file"},
		"--for web1 --force -o DIR/fifo":           {1, "fifo is there and no regular file"},
		"--for web1 --force --cloud-init DIR/fifo": {1, "fifo is there and no regular file"},
		"--for web1 --root DIR":                    {1, "there is no etc in"},
		"--for web1 --root DIR/no":                 {1, "cannot look at the image"},
	} {
		code, out, errs := r.run(t, append([]string{"seed"}, strings.Fields(strings.ReplaceAll(args, "DIR", dir))...)...)
		if code != want.code || !strings.Contains(errs, want.say) || out != "" || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit %d: %s%s", args, code, out, errs)
		}
	}
	only(t, dir, "fifo", "link")
	if n := len(r.fake.Seeds); n != 0 {
		t.Errorf("%d seeds were drawn for nothing", n)
	}
}

// TestSeedWaits: it is said why, and at the end of the patience nothing is left.
func TestSeedWaits(t *testing.T) {
	r := newRig(t)
	r.fake.Stall = true
	r.fake.Snapshot = busyStatus()
	r.fake.Snapshot.Reservoir.Waiting = ""
	dir := t.TempDir()
	path := filepath.Join(dir, "seed")
	code, out, errs := r.run(t, "seed", "--for", "web1", "-o", path, "--timeout", "1200ms")
	lines := strings.Split(errs, "\n")
	if code != 1 || out != "" || len(lines) != 3 || !strings.HasPrefix(lines[0], "hostd: waiting for the seed: the reservoir holds 56 KiB, of which 8.0 KiB are kept") ||
		!strings.HasPrefix(lines[1], "hostd: seed for web1: none within 1.2s: the reservoir holds") || !strings.HasSuffix(lines[1], "; nothing was written") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	r.fake.Snapshot.Reservoir.Waiting = "no source is up"
	if _, _, errs := r.run(t, "seed", "--for", "web1", "-o", path, "--timeout", "10ms"); errs != "hostd: seed for web1: none within 10ms: no source is up; nothing was written\n" {
		t.Errorf("%s", errs)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r.err.Reset()
	if code := r.Main(ctx, []string{"seed", "--for", "web1", "-o", path}); code != 1 || r.err.String() != "hostd: seed for web1: interrupted: nothing was written\n" {
		t.Errorf("exit %d: %s", code, r.err.String())
	}
	only(t, dir)
	code, _, errs = r.run(t, "seed", "--for", "web1", "-o", path, "--control", "/nonexistent/c.sock")
	if code != 1 || !strings.Contains(errs, "no hostd answers at /nonexistent/c.sock: start it with") {
		t.Errorf("no hostd: exit %d: %s", code, errs)
	}
	only(t, dir)
}

// fullDisk is a target that cannot be written.
type fullDisk struct{ discarded int }

func (*fullDisk) as() string                         { return control.SeedFile }
func (*fullDisk) put(string, []byte) (string, error) { return "", errors.New("the disk is full") }
func (b *fullDisk) discard()                         { b.discarded++ }

func TestASeedThatCannotBeWrittenIsLost(t *testing.T) {
	r := newRig(t)
	b := &fullDisk{}
	r.root() // sets the control socket
	err := r.drawInto(t.Context(), b, "web1", time.Minute)
	if err == nil || !strings.Contains(err.Error(), "the disk is full: the seed that was drawn is lost, and nobody gets it; mend that and draw another") || b.discarded != 1 {
		t.Errorf("%v, discarded %d times", err, b.discarded)
	}
	full, err := os.OpenRoot("/dev")
	if err != nil {
		t.Fatal(err)
	}
	f, err := full.OpenFile("full", os.O_WRONLY, 0)
	if err != nil {
		need.Unmet(t, err)
	}
	n := &newFile{dir: full, f: f, name: "full", written: "full", path: "/x/seed"}
	if err := n.put(make([]byte, 512)); err == nil || err.Error() != "/x/seed: no space left on device" {
		t.Errorf("%v", err)
	}
	full.Close()
}
