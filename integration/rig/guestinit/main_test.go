//go:build linux

package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"headgate/integration/rig/job"
)

func TestParseRecord(t *testing.T) {
	for _, tc := range []struct {
		line string
		want job.Record
		ok   bool
	}{
		{"5,312,1084567,-;random: crng init done\n", job.Record{At: 1084567 * time.Microsecond, Text: job.CRNGReady}, true},
		{"6,1,0,-,caller=T1;a;b\n SUBSYSTEM=x\n", job.Record{Text: "a;b"}, true},
		{"6,1;no time\n", job.Record{}, false},
		{"no semicolon", job.Record{}, false},
		{"6,1,x,-;text", job.Record{}, false},
	} {
		got, ok := parseRecord(tc.line)
		if got != tc.want || ok != tc.ok {
			t.Errorf("parseRecord(%q) = %v, %v; want %v, %v", tc.line, got, ok, tc.want, tc.ok)
		}
	}
}

func TestBootModules(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cmdline")
	for text, want := range map[string][]string{
		"quiet headgate.modules=a,b panic=-1\n": {"a", "b"},
		"quiet headgate.modules=\n":             nil,
		"quiet\n":                               nil,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := bootModules(file)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestFindPort(t *testing.T) {
	class := t.TempDir()
	for dev, name := range map[string]string{"vport0p1": "other", "vport0p2": job.PortName} {
		if err := os.Mkdir(filepath.Join(class, dev), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(class, dev, "name"), []byte(name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := findPort(class, job.PortName); got != "vport0p2" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := findPort(class, "absent"); got != "" || err != nil {
		t.Errorf("absent: got %q, %v", got, err)
	}
}
