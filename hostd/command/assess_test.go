package command

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"headgate/hostd/control"
)

// samplesFile has samples that are the same in every run.
func samplesFile(t *testing.T, n int, bits int) string {
	t.Helper()
	samples := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(samples)
	for i := range samples {
		samples[i] &= 1<<bits - 1
	}
	path := filepath.Join(t.TempDir(), "raw.bin")
	if err := os.WriteFile(path, samples, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAssessFile(t *testing.T) {
	r := newRig(t)
	path := samplesFile(t, 1<<20, 8)
	code, out, errs := r.run(t, "source", "assess", path, "--claim", "2", "--control", "/nonexistent") // no hostd is asked
	if code != 0 || errs != "" {
		t.Fatalf("exit %d: %s", code, errs)
	}
	golden(t, "assess_file", strings.ReplaceAll(out, path, "raw.bin"))

	code, out, errs = r.run(t, "source", "assess", path, "--claim", "7.99")
	if code != 1 || !strings.Contains(out, "the claim is too high") || !strings.Contains(errs, "the claim of 7.99 bits a sample is more than the 7.") ||
		strings.Count(errs, "\n") != 1 {
		t.Errorf("too high a claim: exit %d: %s%s", code, out, errs)
	}
	var of assessment
	code, out, _ = r.run(t, "source", "assess", path, "--json")
	if err := json.Unmarshal([]byte(out), &of); err != nil || code != 0 {
		t.Fatalf("exit %d: %v", code, err)
	}
	if of.Samples != 1<<20 || of.Bits != 8 || of.Claim != 0 || !of.Enough || of.Least != min(of.MCV, of.Collision, of.Markov) || of.Least < 7 {
		t.Errorf("%+v", of)
	}
}

func TestAssessStandardInput(t *testing.T) {
	r := newRig(t)
	r.In = bytes.NewReader(make([]byte, 5000))
	code, out, errs := r.run(t, "source", "assess", "-", "--bits", "4", "--claim", "0.5")
	if code != 1 || !strings.Contains(out, "-: 5000 samples of 4 bits\n") || !strings.Contains(out, "least               0.000\n") ||
		!strings.Contains(out, "An assessment wants at least 1000000 samples") || !strings.Contains(errs, "the claim of 0.5 bits a sample is more than the 0 ") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

func TestAssessSource(t *testing.T) {
	r := newRig(t)
	r.fake.Snapshot = busyStatus()
	code, out, errs := r.run(t, "source", "assess", "--source", "trng0", "-n", "1MiB")
	if code != 0 || errs != "" { // the fake counts up, which none of the three sees
		t.Errorf("exit %d: %s", code, errs)
	}
	golden(t, "assess_source", out)
	var of assessment
	code, out, _ = r.run(t, "source", "assess", "--source", "trng0", "-n", "4KiB", "--claim", "0.1", "--json")
	if err := json.Unmarshal([]byte(out), &of); err != nil || code != 0 || of.Claim != 0.1 || of.Assumed || of.Samples != 4096 || of.Enough {
		t.Errorf("a claim of its own: exit %d: %+v, %v", code, of, err)
	}
	if code, _, errs := r.run(t, "source", "assess", "--source", "dice"); code != 1 ||
		errs != "hostd: assess dice: source not found: see hostd source list\n" {
		t.Errorf("no source: exit %d: %s", code, errs)
	}
}

func TestAssessRefuses(t *testing.T) {
	r := newRig(t)
	r.fake = control.NewFake(control.Status{})
	path := samplesFile(t, 100, 8)
	empty := samplesFile(t, 0, 8)
	for args, want := range map[string]struct {
		code int
		say  string
	}{
		"":                           {2, "give either a FILE of samples or --source NAME"},
		path + " --source x":         {2, "give either a FILE of samples or --source NAME"},
		path + " more":               {2, `"more" is too much`},
		path + " -n 1MiB":            {2, "-n goes with --source"},
		path + " --bits 9":           {2, "--bits 9 is out of bounds; allowed: 1 to 8"},
		path + " --bits 0":           {2, "--bits 0 is out of bounds"},
		path + " --claim 0":          {2, "--claim 0 is out of bounds; allowed: above 0, up to the 8 bits"},
		path + " --claim NaN":        {2, "--claim NaN is out of bounds"},
		path + " --claim 3 --bits 2": {2, "up to the 2 bits of a sample"},
		"--source x -n 2":            {2, "allowed: 1KiB to 1GiB"},
		path + " --bits 4":           {1, "has more than 4 bits"},
		empty:                        {1, "there is nothing to estimate"},
		"/nonexistent":               {1, "assess /nonexistent: no such file or directory"},
		filepath.Dir(path):           {1, "is a directory"},
	} {
		code, out, errs := r.run(t, append([]string{"source", "assess"}, strings.Fields(args)...)...)
		if code != want.code || !strings.Contains(errs, want.say) || out != "" || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit %d: %s%s", args, code, out, errs)
		}
	}
}
