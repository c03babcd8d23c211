//go:build linux

package xen

import (
	"fmt"
	"os"
	"testing"

	"headgate/integration/rig"

	"go.uber.org/goleak"
)

// helpers are the programs that speak vchan: over xen/vchan, over Xen's own library,
// and as no guest should.
var helpers = []rig.Helper{
	{Name: "gopeer", Source: "integration/xen/gopeer"},
	{Name: "hostile", Source: "integration/xen/hostile"},
	{Name: "peer", Source: "peer/peer.c", Libraries: []string{"xenvchan", "xenstore", "xengnttab", "xenevtchn", "xencall", "xentoollog", "xentoolcore"}},
}

func TestMain(m *testing.M) { os.Exit(rig.InDom0(tests{m}, helpers...)) }

// tests are those of this package, and that they leave no goroutine.
type tests struct{ m *testing.M }

func (r tests) Run() int {
	code := r.m.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Println("the tests left:", err)
		return 1
	}
	return 0
}
