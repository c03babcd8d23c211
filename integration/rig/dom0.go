//go:build linux

package rig

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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
	xenLimit     = 24 * time.Minute // of everything, where go test has none
	xenRemainder = 20 * time.Second // of a time limit, for what is to be said at the end
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
	fmt.Printf("rig: built in %.1f s\n", time.Since(begun).Seconds())
	limit := bootTime(time.Until(deadline))
	return unlessHung(os.Stdout, func() (int, error) { return runBooted(ctx, x, here, min(limit, time.Until(deadline))) })
}

// unlessHung runs what boots a machine and runs tests in it, and does so again, loudly,
// if that machine stood still, or took a domU down under the tests: at most boots times.
// Else what a test says is never asked twice.
func unlessHung(out io.Writer, run func() (int, error)) (int, error) {
	for n := 1; ; n++ {
		code, err := run()
		what := ""
		switch {
		case errors.Is(err, errHung) && !errors.Is(err, errFailed):
			what = "STOOD STILL; no test had failed"
		case errors.Is(err, errTakenDown):
			what = "TOOK A DOMU DOWN, and tests failed"
		}
		if what == "" || n == boots {
			return code, err
		}
		fmt.Fprintf(out, "\nrig: ### THE EMULATED MACHINE %s. ALL IS BEGUN ANEW. What is known:\n%v\nrig: ### BOOT %d OF AT MOST %d\n\n", what, err, n+1, boots)
	}
}

// boots is how many machines there are at most. About one of five of kind pvh is taken
// down while the tests have it.
const boots = 3

// errTakenDown is that tests failed in a machine whose processor, emulated in an emulated
// one, had a domU end in a triple fault. No program in a domU, nor one in dom0 that has
// but a page of its, can bring that about.
var errTakenDown = errors.New("tests failed, and the emulated processor took a domU down with a triple fault")

// tripleFault is what Xen says then (xen/arch/x86/hvm/hvm.c, hvm_triple_fault).
const tripleFault = "Triple fault - invoking HVM shutdown"

// errFailed is beside errHung where a test had failed before.
var errFailed = errors.New("a test had failed before")

// runBooted boots Xen and runs the tests, both within limit.
func runBooted(ctx context.Context, x xenMachine, here string, limit time.Duration) (int, error) {
	begun := time.Now()
	m, err := bootXen(ctx, x, limit)
	if err != nil {
		return 1, err
	}
	defer m.close()
	fmt.Printf("rig: dom0 is up after %.1f s\n", time.Since(begun).Seconds())
	limit -= time.Since(begun) + xenRemainder
	exit, err := m.run(ctx, job.Command{
		Args: append([]string{testsProgram}, testFlags(testTime(limit))...),
		Dir:  here,
		Env: []string{
			stage + "=" + stageDom0, "CI=" + os.Getenv("CI"), "HOME=/root",
			"PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
		},
	}, limit)
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, m.account(context.WithoutCancel(ctx)))
		m.close() // and all that the tests said is out
		if m.said.failed {
			err = fmt.Errorf("%w, and %w", errFailed, err)
		}
		return 1, err
	}
	m.close()
	fmt.Println("rig: dom0:", &m.pulse)
	if exit.Signal != "" {
		return 1, fmt.Errorf("the tests ended by signal: %s; the end of Xen's console:\n%s", exit.Signal, Tail(x.console, 30))
	}
	if exit.Code == 0 {
		return 0, nil
	}
	fmt.Printf("the end of Xen's console:\n%s\n", Tail(x.console, 30))
	if console, err := os.ReadFile(x.console); err == nil && strings.Contains(string(console), tripleFault) { // of this boot: each writes it anew
		return exit.Code, errTakenDown
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

// bootTime is how much of it one boot with all its tests may take, which is about twice
// what it does: a test that hangs shall not take as long as go test waits, and the next
// boot shall have its time.
func bootTime(all time.Duration) time.Duration { return min(all, 8*time.Minute) }

// testTime is how much of that the tests have by the clock of dom0, so that it is they
// who say where they hang: it is some percent wrong at times.
func testTime(limit time.Duration) time.Duration {
	return max(limit*95/100-30*time.Second, time.Second)
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
