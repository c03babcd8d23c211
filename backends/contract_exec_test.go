package backends

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func init() {
	subjects["exec"] = func(t *testing.T, h float64) subject {
		path := filepath.Join(openDir(t), "fifo")
		check(t, unix.Mkfifo(path, 0o600))
		check(t, os.Chmod(path, 0o644))             // whatever the umask is
		end, err := os.OpenFile(path, os.O_RDWR, 0) // keeps what is written until a command reads it
		check(t, err)
		t.Cleanup(func() { _ = end.Close() })
		return subject{source: build(t, Config{Type: "exec", Command: []string{"cat", path}, MinEntropy: h}), write: writer(t, end)}
	}
}

// openDir is a folder into which every user can look: a command runs as another one
// when the test runs as root.
func openDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "headgate-exec-")
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(dir)) })
	check(t, os.Chmod(dir, 0o755))
	return dir
}
