//go:build linux

package sources

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"headgate/backends"
	"headgate/integration/rig"
)

// enough is how many samples an assessment wants (SP 800-90B §3.1.1).
const enough = 1_000_000

// TestAssess captures raw samples of what this machine has itself, as an auditor
// would, and has them assessed: what jitter claims is half of it at most.
func TestAssess(t *testing.T) {
	t.Parallel() // with what is not timed, since it waits for the slowest
	ctx := rig.Within(t, 20*time.Minute)
	dir := rig.Dir(t)
	list := []struct {
		kind, more string
		samples    int
		times      float64 // how often the claim must fit into the estimates
	}{
		{"jitter", "", enough, 2},
		{"rdseed", "", enough, 1},
		{"rdrand", "credit = true", enough, 1},
		{"hwrng", "", enough / 20, 1}, // as much as some of them give in a few seconds
	}
	var text string
	for _, s := range list {
		text += source(s.kind, s.kind, s.more)
	}
	d, err := rig.NewDaemon(dir, hostd(t), text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	d.Limit = 20 * time.Minute
	if err := d.Start(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		t.Run(s.kind, func(t *testing.T) {
			absent(t, backends.Config{Name: s.kind, Type: s.kind})
			up := awaitSource(ctx, t, d, s.kind, "up", state(backends.Up))
			file := filepath.Join(dir, s.kind)
			t.Log(ask(ctx, t, d, "source", "capture", s.kind, "-n", fmt.Sprint(s.samples), "-o", file))
			if st, err := os.Stat(file); err != nil || st.Size() != int64(s.samples) {
				t.Fatalf("captured %v, %v; want %d", st, err, s.samples)
			}
			assess(ctx, t, d, file, up, s.times)
		})
	}
	t.Run("restarts", func(t *testing.T) { restarts(ctx, t, d, filepath.Join(dir, "restarts")) })
}

// assess has hostd estimate what was captured, and holds the claim against it.
func assess(ctx context.Context, t *testing.T, d *rig.Daemon, file string, claimed backends.Status, times float64) {
	t.Helper()
	claim := fmt.Sprint(claimed.MinEntropy)
	t.Log(ask(ctx, t, d, "source", "assess", file, "--claim", claim))
	var found struct {
		Samples uint64  `json:"samples"`
		Least   float64 `json:"least"`
	}
	if err := json.Unmarshal([]byte(ask(ctx, t, d, "source", "assess", file, "--claim", claim, "--json")), &found); err != nil {
		t.Fatal(err)
	}
	if found.Samples == 0 || found.Least < times*claimed.MinEntropy {
		t.Errorf("%d samples allow %.3f bits at most, want %v times the claim of %s", found.Samples, found.Least, times, claim)
	}
}

// restarts captures a restart matrix of the jitter source, whose rows must not be the
// same, and sees that the source goes on by a new start-up test.
func restarts(ctx context.Context, t *testing.T, d *rig.Daemon, file string) {
	const row = 1000
	rows := 10
	if *whole {
		rows = 1000 // as SP 800-90B §3.1.4.1 wants it, in some minutes
	}
	before := awaitSource(ctx, t, d, "jitter", "up", state(backends.Up))
	t.Log(ask(ctx, t, d, "source", "capture", "jitter", "--restarts", fmt.Sprint(rows), "-n", fmt.Sprint(row), "-o", file))
	matrix, err := os.ReadFile(file)
	if err != nil || len(matrix) != rows*row {
		t.Fatalf("captured %d bytes, %v; want %d rows of %d", len(matrix), err, rows, row)
	}
	seen := map[string]int{}
	for i := range rows {
		first := string(matrix[i*row : i*row+32])
		if other, ok := seen[first]; ok {
			t.Errorf("rows %d and %d begin alike", other, i)
		}
		seen[first] = i
	}
	awaitSource(ctx, t, d, "jitter", "up again", func(s backends.Status) bool {
		return s.State == backends.Up && s.Startups == before.Startups+1
	})
}
