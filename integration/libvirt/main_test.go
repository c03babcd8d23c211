//go:build linux

package libvirt

import (
	"os"
	"testing"

	"headgate/integration/rig"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if code, ran := rig.Isolate(); ran {
		os.Exit(code)
	}
	goleak.VerifyTestMain(tests{m})
}

// tests ends what the tests shared before their leaks are looked for.
type tests struct{ m *testing.M }

func (r tests) Run() int {
	code := r.m.Run()
	if shared != nil {
		shared.close()
	}
	return code
}
