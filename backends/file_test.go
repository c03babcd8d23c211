package backends

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const consumerEnv = "HEADGATE_TEST_CONSUME"

func TestConfigRefused(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Type: "dice"}, `type "dice" is unknown: use one of file, hwrng, rdseed`},
		{Config{Type: "tpm"}, `type "tpm" is not built yet`},
		{Config{Type: "file"}, "needs a path"},
		{Config{Type: "rdseed", Path: "/dev/x"}, "takes no path"},
		{Config{Type: "hwrng", Consume: true}, "consume is for"},
		{Config{Type: "hwrng", MinEntropy: 9}, "min_entropy 9 is not possible"},
		{Config{Type: "hwrng", MinEntropy: -1}, "min_entropy -1 is not possible"},
		{Config{Type: "hwrng", MinEntropy: 1e-9}, "min_entropy 1e-09 is not possible: give 0.001 to 8"},
	} {
		c.config.Name = "trng0"
		_, err := New(c.config)
		if err == nil || !strings.HasPrefix(err.Error(), `source "trng0": `) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.config, err)
		}
	}
}

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

func TestFIFOEndsWithItsLastWriter(t *testing.T) {
	path := mkfifo(t)
	stream, _, err := build(t, Config{Type: "file", Path: path}).Open()
	check(t, err)
	defer stream.Close()
	go func() {
		w := must(os.OpenFile(path, os.O_WRONLY, 0))
		_, _ = w.WriteString("abc")
		_ = w.Close()
	}()
	if got, err := io.ReadAll(stream); string(got) != "abc" || err != nil {
		t.Errorf("%q, %v", got, err)
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
