//go:build linux

package debian

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

var (
	whole  = flag.Bool("whole", false, "with dracut, too")
	kernel = flag.String("kernel", "linux-image-cloud-amd64", "Debian's package of the `kernel`")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
