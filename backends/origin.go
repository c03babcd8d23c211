package backends

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Origins of what is not a device with a number of its own.
const (
	originCPU    = "cpu"        // RDSEED and RDRAND: one noise source behind both
	originJitter = "cpu-jitter" // the processor's, too, but another phenomenon
)

// deviceOrigin is the origin of what is read from a device itself, whatever it is
// called: its number.
func deviceOrigin(rdev uint64) string {
	return fmt.Sprintf("dev:%d:%d", unix.Major(rdev), unix.Minor(rdev))
}

// socketOrigin is the origin of what is read from a unix socket: who listens at it is
// not known, but two names of one socket lead to the same. A socket that was made
// anew is another.
func socketOrigin(path string) (string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if got := st.Mode().Type(); got != fs.ModeSocket {
		return "", fmt.Errorf("open %s: it is a %s, not a %s", path, modeName(got), modeName(fs.ModeSocket))
	}
	number := st.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("socket:%d:%d", number.Dev, number.Ino), nil
}

// noises is what kind of noise each type is, where that does not depend on what an
// Open finds.
var noises = map[string]Noise{
	"jitter": NonPhysical,
	"rdrand": Generated,
	"rdseed": Physical,
	"serial": Physical,
	"tpm":    Generated,
}

// expected is what can be said of a source before it was opened.
func (c Config) expected() (n Noise, credited bool) {
	n = noises[c.Type]
	return cmp.Or(c.Noise, n, Unknown), c.credited(n)
}

// expectedOrigin is the same for two sources that are of one origin for certain. Of
// two others an Open may still find that they are.
func (c Config) expectedOrigin() string {
	switch {
	case c.Origin != "":
		return c.Origin
	case c.Type == "rdseed" || c.Type == "rdrand":
		return originCPU
	case c.Type == "jitter":
		return originJitter
	case c.Type == "exec" && len(c.Command) > 0:
		return "exec:" + c.Command[0]
	case c.Type == "tpm" && strings.HasPrefix(c.Path, "/dev/tpm"):
		// Through the resource manager or not, it is one chip.
		return "tpm:" + strings.TrimPrefix(strings.TrimPrefix(c.Path, "/dev/tpm"), "rm")
	case c.Type == "tpm" && c.Path == "":
		return "tpm:0"
	case c.Path != "":
		return "path:" + c.Path
	}
	return "type:" + c.Type
}

// MostOrigins is how many distinct origins the sources of these that are credited can
// have at most.
func MostOrigins(list []Config) int {
	origins := map[string]bool{}
	for _, c := range list {
		if _, credited := c.expected(); credited {
			origins[c.expectedOrigin()] = true
		}
	}
	return len(origins)
}
