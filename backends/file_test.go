package backends

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const consumerEnv = "HEADGATE_TEST_CONSUME"

func TestFileRefused(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"regular", "linked", "empty"} {
		check(t, os.WriteFile(at(name), noise(64), 0o600))
	}
	check(t, os.Truncate(at("empty"), 0))
	check(t, os.Link(at("linked"), at("other name")))
	check(t, os.Symlink(at("regular"), at("symlink")))
	socket, err := net.Listen("unix", at("socket"))
	check(t, err)
	defer socket.Close()
	open := mkfifo(t)
	check(t, os.Chmod(open, 0o602))
	for _, c := range []struct {
		path    string
		consume bool
		want    string
	}{
		{at("nothing"), false, "no such file"},
		{at("regular"), false, "set consume = true"},
		{at("symlink"), false, "set consume = true"},
		{at("symlink"), true, "it is a symbolic link"},
		{at("linked"), true, "it has 2 names"},
		{at("empty"), true, errUsedUp.Error()},
		{at("socket"), false, "it is a socket: name a character device"},
		{at("socket"), true, "consume = true is for regular files"},
		{dir, false, "it is a directory: name a character device"},
		{mkfifo(t), true, "it is a FIFO: consume = true is for regular files"},
		{open, false, "every user may write to this FIFO, and so choose its bytes: take that right away (chmod o-w)"},
		{"/dev/null", true, "it is a character device: consume = true is for regular files"},
	} {
		_, _, err := build(t, Config{Type: "file", Path: c.path, Consume: c.consume}).Open()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, consume %v: %v", c.path, c.consume, err)
		}
	}
	if left := must(os.ReadFile(at("regular"))); len(left) != 64 {
		t.Errorf("a refused file was changed: %d bytes left", len(left))
	}
}

func originOf(t *testing.T, s Source) string {
	t.Helper()
	stream, info, err := s.Open()
	check(t, err)
	check(t, stream.Close())
	return info.Origin
}

// TestFileOrigin has two names of one thing count once, and two things twice.
func TestFileOrigin(t *testing.T) {
	dir := t.TempDir()
	link := func(path string) string {
		name := filepath.Join(dir, fmt.Sprint("link", rand.Uint64()))
		check(t, os.Symlink(path, name))
		return name
	}
	fifo, regular := mkfifo(t), filepath.Join(dir, "samples")
	second := filepath.Join(dir, "second name")
	check(t, os.Link(fifo, second))
	check(t, os.WriteFile(regular, noise(64), 0o600))
	seen := map[string]string{}
	for _, c := range []struct {
		names   []string
		consume bool
		want    string // "" is any
	}{
		{[]string{"/dev/zero", link("/dev/zero"), "/dev/../dev/zero"}, false, "dev:1:5"},
		{[]string{"/dev/urandom", link("/dev/urandom"), "/dev/random"}, false, "dev:1:9"},
		{[]string{fifo, second, link(fifo)}, false, ""},
		{[]string{mkfifo(t)}, false, ""},
		{[]string{regular, dir + "/../" + filepath.Base(dir) + "/samples"}, true, ""},
	} {
		first := ""
		for _, name := range c.names {
			got := originOf(t, build(t, Config{Type: "file", Path: name, Consume: c.consume}))
			if first == "" {
				first = got
			}
			if got != first || c.want != "" && got != c.want {
				t.Errorf("%s: origin %q, want %q or %q", name, got, c.want, first)
			}
		}
		if other, ok := seen[first]; ok {
			t.Errorf("%s and %s are of one origin, %q", c.names[0], other, first)
		}
		seen[first] = c.names[0]
	}
	if got := originOf(t, build(t, Config{Type: "file", Path: fifo, Origin: "chip"})); got != "chip" {
		t.Errorf("origin %q, want the one given", got)
	}
}

// TestFileOnKernelPool has what hostd may feed itself count nothing by itself.
func TestFileOnKernelPool(t *testing.T) {
	for h, credited := range map[float64]bool{0: false, 7: true} {
		stream, info, err := build(t, Config{Type: "file", Path: "/dev/random", MinEntropy: h}).Open()
		check(t, err)
		check(t, stream.Close())
		if info.Noise != Generated || info.Credited != credited {
			t.Errorf("%+v", info)
		}
	}
}

// TestFileOnHWRNG has type file over the device that type hwrng reads, with another
// number in its place: what the kernel says of its driver holds for both.
func TestFileOnHWRNG(t *testing.T) {
	if c := build(t, Config{Type: "file", Path: "/dev/hwrng"}).(*fileSource); unix.Major(c.rdev) != 10 || unix.Minor(c.rdev) != 183 {
		t.Errorf("the device is looked for at %d:%d", unix.Major(c.rdev), unix.Minor(c.rdev))
	}
	link := filepath.Join(t.TempDir(), "link")
	check(t, os.Symlink("/dev/zero", link))
	s := build(t, Config{Type: "file", Path: link}).(*fileSource)
	h := testHWRNG(t, "/dev/zero", "ath9k", "128", 0)
	s.rdev, s.hwrng.attr = unix.Mkdev(1, 5), h.attr
	stream, info, err := s.Open()
	check(t, err)
	defer stream.Close()
	want := Info{Kind: "file", Path: link, Driver: "ath9k", Origin: originOf(t, h), MinEntropy: 1, Assumed: true, Noise: Physical, Credited: true}
	if info != want {
		t.Errorf("info\n got %+v\nwant %+v", info, want)
	}
	setAttribute(t, h, "rng_current", "tpm-rng-0")
	if _, err := stream.Read(make([]byte, 16)); !errors.Is(err, errDriverChanged) {
		t.Errorf("another driver: %v", err)
	}
}

func TestConsume(t *testing.T) {
	path := filepath.Join(t.TempDir(), "samples")
	want := append(noise(3*consumeChunk+99), 1) // not a zero, which would be dropped with the others
	// A process that was killed after it had overwritten the last chunk:
	check(t, os.WriteFile(path, append(want, make([]byte, 500)...), 0o600))
	source := build(t, Config{Type: "file", Path: path, Consume: true})
	stream, _, err := source.Open()
	check(t, err)
	defer stream.Close()
	if _, _, err := source.Open(); err == nil || !strings.Contains(err.Error(), "another process uses it up") {
		t.Errorf("opened twice: %v", err)
	}
	p := make([]byte, 2*consumeChunk)
	for left := len(want); left > 0; {
		n, err := stream.Read(p)
		check(t, err)
		if string(p[:n]) != string(want[left-n:left]) {
			t.Fatalf("not the last %d of %d bytes", n, left)
		}
		left -= n
		if rest := must(os.ReadFile(path)); string(rest) != string(want[:left]) {
			t.Fatalf("%d bytes are in the file after the use of %d", len(rest), len(want)-left)
		}
	}
	if n, err := stream.Read(p); n != 0 || !errors.Is(err, errUsedUp) {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

// TestConsumeSurvivesKill kills processes that use up one file: what any of them
// was given is never in the file afterwards, nor given to another.
func TestConsumeSurvivesKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "samples")
	var all []byte
	for i := range uint64(64 << 10) { // each 8 bytes are unique
		all = binary.BigEndian.AppendUint64(all, i<<20|1)
	}
	check(t, os.WriteFile(path, all, 0o600))
	seen := map[string]bool{}
	for range 8 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), consumerEnv+"="+path)
		out := must(child.StdoutPipe())
		check(t, child.Start())
		lines := bufio.NewScanner(out)
		lines.Scan() // the first one: it is at work
		time.AfterFunc(time.Duration(rand.IntN(5000))*time.Microsecond, func() { _ = child.Process.Kill() })
		given := 0
		for ok := true; ok; ok = lines.Scan() {
			chunk, err := hex.DecodeString(lines.Text())
			for ; err == nil && len(chunk) >= 8; chunk = chunk[8:] {
				if seen[string(chunk[:8])] {
					t.Fatal("given twice")
				}
				seen[string(chunk[:8])] = true
				given++
			}
		}
		_ = child.Wait()
		if given == 0 {
			t.Fatal("the child was given nothing")
		}
		left := must(os.ReadFile(path))
		for ; len(left) >= 8; left = left[8:] {
			if seen[string(left[:8])] {
				t.Fatal("still in the file after use")
			}
		}
	}
	t.Logf("%d of %d bytes used by 8 killed processes", 8*len(seen), len(all))
}

// consumeForever prints what it is given, until it is killed.
func consumeForever(path string) {
	source := must(New(Config{Type: "file", Path: path, Consume: true}))
	stream, _, err := source.Open()
	for p := make([]byte, 64); err == nil; {
		var n int
		if n, err = stream.Read(p); err == nil {
			fmt.Println(hex.EncodeToString(p[:n]))
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
