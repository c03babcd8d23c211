//go:build linux

package debian

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

var (
	whole  = flag.Bool("whole", false, "with dracut, too")
	made   = flag.String("image", "", "the `folder` where TestImage makes the image, before, for the other tests")
	kernel = flag.String("kernel", "linux-image-cloud-amd64", "Debian's package of the `kernel`")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
