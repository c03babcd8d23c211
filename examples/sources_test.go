//go:build linux

package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"headgate/integration/rig"
)

func TestSources(t *testing.T) {
	files, err := filepath.Glob("sources/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	readme := read(t, "sources/README.md")
	beside := tomlBlock.FindStringSubmatch(readme)
	if len(beside) == 0 {
		t.Fatal("the README has no sources to put them beside")
	}
	dir := t.TempDir()
	for _, file := range files {
		put(t, dir, "hostd.toml", beside[1]+read(t, file))
		run(t, hostd, "check", "--config", filepath.Join(dir, "hostd.toml"))
		if name := filepath.Base(file); !strings.Contains(readme, "("+name+")") {
			t.Errorf("the README does not name %s", name)
		}
	}
}

// What a program gives that nobody has assessed on a device of the user's own counts
// nothing.
func TestSourcesClaimNothing(t *testing.T) {
	for _, name := range []string{"audio", "video", "radio"} {
		if !strings.Contains(read(t, "sources/"+name+".toml"), "\ncredit = false\n") {
			t.Errorf("%s.toml is credited as it stands", name)
		}
	}
}

// The drop-in is judged with the unit that it is for.
func TestSourcesUnit(t *testing.T) {
	analyze := rig.Tool(t, "systemd-analyze", "systemd")
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "hostd.service.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "hostd.service", strings.ReplaceAll(read(t, "systemd/hostd.service"), "/usr/local/sbin/hostd", hostd))
	put(t, dir, "hostd.service.d/sources.conf", read(t, "sources/sources.conf"))
	out, err := exec.Command(analyze, "verify", filepath.Join(dir, "hostd.service")).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// Each rule matches a device, and gives it a name and a mode that keeps others out.
func TestSourcesRules(t *testing.T) {
	n := 0
	for line := range strings.Lines(read(t, "sources/sources.rules")) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		n++
		for _, want := range []string{`SUBSYSTEM=="tty"`, `ATTRS{idVendor}=="`, `ATTRS{idProduct}=="`, `SYMLINK+="`, `GROUP="headgate"`, `MODE="0660"`} {
			if !strings.Contains(line, want) {
				t.Errorf("no %s in %s", want, line)
			}
		}
	}
	for _, name := range []string{"onerng", "truerng"} {
		if !strings.Contains(read(t, "sources/serial.toml"), `"/dev/`+name+`"`) || !strings.Contains(read(t, "sources/sources.rules"), `"`+name+`"`) {
			t.Errorf("/dev/%s is not in both files", name)
		}
	}
	if n == 0 {
		t.Error("no rule")
	}
}
