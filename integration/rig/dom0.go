//go:build linux

package rig

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"headgate/integration/rig/job"
)

// stageDom0 is the stage of a test program that runs in dom0.
const stageDom0 = "dom0"

const (
	xenLimit     = 8 * time.Minute  // of everything, where go test has none
	xenRemainder = 10 * time.Second // of a time limit, for what is to be said at the end
)

// Tests is a testing.M, or what stands around one.
type Tests interface{ Run() int }

// InDom0 runs this test program in the dom0 of a real Xen and returns its exit
// status. TestMain calls it:
//
//	func TestMain(m *testing.M) { os.Exit(rig.InDom0(m)) }
//
// Outside it builds the daemons and the helpers, boots Xen under QEMU, runs this
// very program with the same flags in dom0 and copies what it says as it comes.
// In dom0 it starts Xen's daemons and runs the tests. dom0 has this package's
// folder, the module's examples, bin/hostd and the helpers; the domUs of
// CreateDomU have guestd and the helpers.
//
// Where packages are missing it names them: that is a failure in CI, and else
// none.
func InDom0(m Tests, helpers ...Helper) int {
	if os.Getenv(stage) == stageDom0 {
		if err := startXenDaemons(); err != nil {
			fmt.Println("prepare dom0:", err)
			return 1
		}
		return m.Run()
	}
	flag.Parse()
	if list := flag.Lookup("test.list"); list != nil && list.Value.String() != "" {
		return m.Run()
	}
	if missing := MissingXen(); len(missing) > 0 {
		fmt.Println("Xen cannot be booted here; as root:", Remedy(missing))
		if os.Getenv("CI") != "" {
			return 1
		}
		return 0
	}
	code, err := runInDom0(helpers)
	if err != nil {
		fmt.Println("run the tests in dom0:", err)
		return 1
	}
	return code
}

func runInDom0(helpers []Helper) (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	deadline := time.Now().Add(xenTime())
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	dir, err := os.MkdirTemp("", "xen")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)

	begun := time.Now()
	tests, err := os.Executable()
	if err != nil {
		return 1, err
	}
	here, err := os.Getwd()
	if err != nil {
		return 1, err
	}
	x, err := buildXen(ctx, dir, tests, testTrees(here), helpers)
	if err != nil {
		return 1, err
	}
	built := time.Now()
	machine, err := bootXen(ctx, x, time.Until(deadline))
	if err != nil {
		return 1, err
	}
	defer machine.close()
	fmt.Printf("rig: built in %.1f s, dom0 is up after %.1f s\n", built.Sub(begun).Seconds(), time.Since(built).Seconds())

	exit, err := machine.run(ctx, job.Command{
		Args: append([]string{testsProgram}, testFlags(time.Until(deadline)-xenRemainder)...),
		Dir:  here,
		Env: []string{
			stage + "=" + stageDom0, "CI=" + os.Getenv("CI"), "HOME=/root",
			"PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
		},
	})
	machine.close() // and all that the tests said is out
	if err != nil {
		return 1, fmt.Errorf("%w; the end of Xen's console:\n%s", err, Tail(x.console, 30))
	}
	if exit.Signal != "" {
		return 1, fmt.Errorf("the tests ended by signal: %s; the end of Xen's console:\n%s", exit.Signal, Tail(x.console, 30))
	}
	if exit.Code != 0 {
		fmt.Printf("the end of Xen's console:\n%s\n", Tail(x.console, 30))
	}
	return exit.Code, nil
}

// xenTime is how long it may all take: less than go test waits.
func xenTime() time.Duration {
	if f := flag.Lookup("test.timeout"); f != nil {
		if limit, err := time.ParseDuration(f.Value.String()); err == nil && limit > 0 {
			return max(limit-xenRemainder, 0)
		}
	}
	return xenLimit
}

// testTrees are the folders that the tests read: their package's, and the examples
// of the module around it.
func testTrees(here string) []string {
	trees := []string{here}
	for dir := here; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return append(trees, filepath.Join(dir, "examples"))
		}
	}
	return trees
}

// testFlags are the flags of this program for the one in dom0, without those that
// name files here, and with a time limit that dom0 can say itself.
func testFlags(limit time.Duration) []string {
	args := []string{"-test.timeout=" + limit.String()}
	flag.Visit(func(f *flag.Flag) {
		switch strings.TrimPrefix(f.Name, "test.") {
		case "timeout", "testlogfile", "outputdir", "gocoverdir", "coverprofile",
			"cpuprofile", "memprofile", "blockprofile", "mutexprofile", "trace":
			return
		}
		args = append(args, "-"+f.Name+"="+f.Value.String())
	})
	return append(args, flag.Args()...)
}
