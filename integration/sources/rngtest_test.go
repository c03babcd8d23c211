//go:build linux

package sources

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"headgate/backends"
	"headgate/hostd/control"
	"headgate/integration/rig"
)

// sure is the part of ideal streams that passes.
const sure = 0.999

// TestRngtest has rngtest judge what guests get: of each quality, how many blocks
// fail the tests of FIPS 140-2, which some of an ideal stream do, too.
func TestRngtest(t *testing.T) {
	t.Parallel() // what is timed in it is for the log
	rngtest := rngtestProgram(t)
	ctx := rig.Within(t, 2*time.Minute)
	dir := rig.Dir(t)
	full, fullSocket := guest("full", "open", dir)
	fast, fastSocket := guest("fast", "fast", dir)
	d := rig.Hostd(t, hostd(t), dir, physical(t)+open+`
[[class]]
name = "fast"
rate = "unlimited"
quality = "drbg"
`+full+fast)
	for _, c := range []struct {
		guest, socket string
		bytes         int
	}{{"full", fullSocket, 1e6}, {"fast", fastSocket, 100e6}} {
		t.Run(c.guest, func(t *testing.T) {
			blocks, failed := judge(ctx, t, rngtest, c.socket, c.bytes)
			mean := float64(blocks) * idealFailures()
			most := poissonBound(mean, sure)
			g := d.AwaitGuest(ctx, t, c.guest, "all bytes are counted", func(g control.GuestStatus) bool {
				return g.Bytes >= uint64(c.bytes)
			})
			t.Logf("%s, %d bytes: %d of %d blocks failed; %.1f of an ideal stream do, at most %d in %v of such streams",
				g.Quality, c.bytes, failed, blocks, mean, most, sure)
			if blocks < c.bytes/(blockBits/8)-1 {
				t.Errorf("rngtest saw %d blocks only", blocks)
			}
			if failed > most {
				t.Errorf("%d of %d blocks failed, at most %d may", failed, blocks, most)
			}
		})
	}
	t.Run("zeros", func(t *testing.T) { // or this test could not fail
		if _, failed := count(t, rngtest, io.LimitReader(zeros{}, 1e5)); failed < 39 {
			t.Errorf("%d of 40 blocks of zeros failed", failed)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// physical is a configuration of the sources of this machine that are fast enough to
// wait for, or where it has none of a stand-in.
func physical(t *testing.T) string {
	t.Helper()
	var text string
	for _, kind := range []string{"rdseed", "hwrng"} {
		c := backends.Config{Name: kind, Type: kind}
		source, err := backends.New(c)
		if err != nil {
			t.Fatal(err)
		}
		stream, info, err := source.Open()
		if err != nil {
			t.Log(err)
			continue
		}
		_ = stream.Close()
		t.Logf("%s: %s, %s", kind, info.Driver, info.Noise)
		text += fmt.Sprintf("\n[[source]]\nname = %q\ntype = %q\n", kind, kind)
	}
	if text == "" {
		return rig.Sound
	}
	return text
}

// rngtestProgram finds rngtest, or unpacks it.
func rngtestProgram(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("rngtest"); err == nil {
		return path
	}
	d := unpack(t, "rng-tools5")
	t.Log("rng-tools5", d.versions["rng-tools5"])
	return d.root + "/usr/bin/rngtest"
}

// judge has n bytes of a guest judged as they come.
func judge(ctx context.Context, t *testing.T, rngtest, socket string, n int) (blocks, failed int) {
	t.Helper()
	r, w := io.Pipe()
	taken := make(chan time.Duration, 1)
	go func() {
		begun := time.Now()
		w.CloseWithError(take(ctx, socket, n, w))
		taken <- time.Since(begun)
	}()
	blocks, failed = count(t, rngtest, r)
	r.Close()
	t.Logf("%.1f MB/s, rngtest included", float64(n)/1e6/(<-taken).Seconds())
	return blocks, failed
}

var verdicts = regexp.MustCompile(`(?m)^rngtest: FIPS 140-2 (successes|failures): (\d+)$`)

// count runs rngtest. It ends with 1 when a block failed.
func count(t *testing.T, rngtest string, in io.Reader) (blocks, failed int) {
	t.Helper()
	cmd := exec.Command(rngtest)
	var said strings.Builder
	cmd.Stdin, cmd.Stderr = in, &said
	err := cmd.Run()
	found := verdicts.FindAllStringSubmatch(said.String(), -1)
	if len(found) != 2 || err != nil && cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("rngtest: %v\n%s", err, said.String())
	}
	for _, f := range found {
		n, err := strconv.Atoi(f[2])
		if err != nil {
			t.Fatal(err)
		}
		if blocks += n; f[1] == "failures" {
			failed = n
		}
	}
	return blocks, failed
}
