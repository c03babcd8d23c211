package backends

import (
	"math"
	"strings"
	"testing"
)

func TestConfigRefused(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Type: "dice"}, `type: "dice" is not a type of source; allowed: egd, exec, file, hwrng, jitter, rdrand, rdseed, serial, tpm`},
		{Config{Type: "file"}, "path: no path is given; allowed: "},
		{Config{Type: "rdseed", Path: "/dev/x"}, `path: a source of type "rdseed" has none; allowed: with type egd, file, hwrng, serial, tpm`},
		{Config{Type: "jitter", Path: "/dev/x"}, `path: a source of type "jitter" has none`},
		{Config{Type: "hwrng", Consume: true}, `consume: a source of type "hwrng" has none; allowed: with type file`},
		{Config{Type: "tpm", Speed: 9600}, `speed: a source of type "tpm" has none; allowed: with type serial`},
		{Config{Type: "file", Path: "/dev/x", Start: "cmd0\n"}, `start: a source of type "file" has none; allowed: with type serial`},
		{Config{Type: "serial", Path: "/dev/x", Command: []string{"/bin/cat"}}, `command: a source of type "serial" has none; allowed: with type exec`},
		{Config{Type: "egd", Path: "/run/x", User: "nobody"}, `user: a source of type "egd" has none; allowed: with type exec`},
		{Config{Type: "hwrng", Noise: Generated}, `noise: "drbg" is not a kind of noise; allowed: physical, non-physical`},
		{Config{Type: "hwrng", MinEntropy: 9}, "min_entropy: 9 is not possible; allowed: 0.001 to 8"},
		{Config{Type: "hwrng", MinEntropy: -1}, "min_entropy: -1 is not possible"},
		{Config{Type: "hwrng", MinEntropy: 1e-9}, "min_entropy: 1e-09 is not possible"},
		{Config{Type: "hwrng", MinEntropy: math.NaN()}, "min_entropy: NaN is not possible"},
		// A source that counts nothing is tested all the same, by its claim.
		{Config{Type: "hwrng", MinEntropy: 9, Credit: CreditNone}, "min_entropy: 9 is not possible"},
	} {
		c.config.Name = "trng0"
		_, err := New(c.config)
		if err == nil || !strings.HasPrefix(err.Error(), `source "trng0": `) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.config, err)
		}
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	var keys []string
	for _, m := range (Config{Type: "file", Speed: 9600, User: "nobody", Noise: "loud"}).Mistakes() {
		keys = append(keys, m.Key)
	}
	if got, want := strings.Join(keys, " "), "noise speed user path"; got != want {
		t.Errorf("mistakes at %q, want %q", got, want)
	}
}

// TestCredited is what counts before anything was opened, and after: the same.
func TestCredited(t *testing.T) {
	for _, c := range []struct {
		config Config
		found  Noise
		want   bool
	}{
		{Config{Type: "hwrng"}, Physical, true},
		{Config{Type: "file", Path: "/x"}, "", true},
		{Config{Type: "jitter"}, NonPhysical, true},
		{Config{Type: "rdrand"}, Generated, false},
		{Config{Type: "tpm"}, Generated, false},
		{Config{Type: "tpm", MinEntropy: 4}, Generated, true},
		{Config{Type: "tpm", Credit: CreditFull}, Generated, true},
		{Config{Type: "tpm", Noise: Physical}, Generated, false}, // a name is no assessment
		{Config{Type: "tpm", MinEntropy: 4, Credit: CreditNone}, Generated, false},
		{Config{Type: "hwrng", Credit: CreditNone}, Physical, false},
	} {
		if info := c.config.claim(Info{Noise: c.found}, 8); info.Credited != c.want {
			t.Errorf("%+v: opened: %+v", c.config, info)
		}
		if _, credited := c.config.expected(); credited != c.want {
			t.Errorf("%+v: before: %v", c.config, credited)
		}
	}
}

func TestMostOrigins(t *testing.T) {
	for _, c := range []struct {
		name string
		list []Config
		want int
	}{
		{"nothing", nil, 0},
		{"two devices", []Config{{Type: "hwrng", Path: "/dev/hwrng"}, {Type: "serial", Path: "/dev/ttyACM0"}}, 2},
		{"one processor", []Config{{Type: "rdseed"}, {Type: "rdrand", Credit: CreditFull}}, 1},
		{"its jitter is another", []Config{{Type: "rdseed"}, {Type: "jitter"}}, 2},
		{"not credited", []Config{{Type: "rdseed"}, {Type: "hwrng", Credit: CreditNone}, {Type: "tpm"}}, 1},
		{"one chip", []Config{{Type: "tpm", Path: "/dev/tpm0", MinEntropy: 1}, {Type: "tpm", MinEntropy: 1}, {Type: "tpm", Path: "/dev/tpmrm0", MinEntropy: 1}}, 1},
		{"two chips", []Config{{Type: "tpm", Path: "/dev/tpm0", MinEntropy: 1}, {Type: "tpm", Path: "/dev/tpmrm1", MinEntropy: 1}}, 2},
		{"one origin, as is said", []Config{{Type: "hwrng", Origin: "x"}, {Type: "file", Path: "/dev/y", Origin: "x"}}, 1},
		{"two origins, as is said", []Config{{Type: "rdseed", Origin: "x"}, {Type: "rdrand", Origin: "y", MinEntropy: 1}}, 2},
		{"one program", []Config{{Type: "exec", Command: []string{"/bin/arecord", "a"}}, {Type: "exec", Command: []string{"/bin/arecord", "b"}}}, 1},
	} {
		if got := MostOrigins(c.list); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestDiscover: what needs to be asked for is not found.
func TestDiscover(t *testing.T) {
	for _, c := range Discover() {
		if c.Type != "hwrng" && c.Type != "rdseed" || c.MinEntropy != 0 || c.Credit != CreditByType {
			t.Errorf("found %+v", c)
		}
	}
}
