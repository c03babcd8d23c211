//go:build linux

package xen

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"headgate/integration/rig"
)

// The two programs that speak vchan: /bin/peer over libxenvchan, /bin/gopeer over
// xen/vchan.
const (
	peerC  = "/bin/peer"
	peerGo = "/bin/gopeer"
)

// side is one of them as it runs in dom0.
type side struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
	err bytes.Buffer
}

// startSide starts one in dom0 and returns when its vchan is open.
func startSide(t *testing.T, args ...string) *side {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	s := &side{Cmd: exec.CommandContext(ctx, args[0], args[1:]...)}
	s.Stderr = &s.err
	s.Cancel = func() error { return s.Process.Signal(syscall.SIGQUIT) } // a Go program says where it is
	in, err := s.StdinPipe()
	check(t, err)
	out, err := s.StdoutPipe()
	check(t, err)
	s.in, s.out = in, bufio.NewScanner(out)
	check(t, s.Start())
	t.Cleanup(func() { cancel(); _ = s.Wait() })
	s.says(t, "open")
	return s
}

// says reads the next line, which begins with word, and returns its last number.
func (s *side) says(t *testing.T, word string) (n int64) {
	t.Helper()
	if !s.out.Scan() {
		_ = s.Wait()
		t.Fatalf("%v ended: %s", s.Args, s.err.String())
	}
	fields := strings.Fields(s.out.Text())
	if fields[0] != word {
		t.Fatalf("%v said %q, not %s", s.Args, s.out.Text(), word)
	}
	if len(fields) > 1 {
		_, err := fmt.Sscan(fields[len(fields)-1], &n)
		check(t, err)
	}
	return n
}

// turn has a side that waits go on, and returns what it says of its next mode.
func (s *side) turn(t *testing.T, word string) int64 {
	t.Helper()
	_, err := io.WriteString(s.in, "\n")
	check(t, err)
	return s.says(t, word)
}

// ended waits for the side's end.
func (s *side) ended(t *testing.T) {
	t.Helper()
	s.in.Close()
	if err := s.Wait(); err != nil {
		t.Errorf("%v: %v: %s", s.Args, err, s.err.String())
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inGuest starts a side in the domU. It ends when the other one closes the vchan,
// and should it find a wrong byte, the other one sees it end too early.
func inGuest(t *testing.T, d *rig.DomU, args ...string) {
	t.Helper()
	p, err := d.Start(t.Context(), args...)
	check(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if exit, err := p.Stop(ctx); err == nil && t.Failed() {
			t.Logf("%v in the domU was stopped: %s%s", args, exit.Stdout, exit.Stderr)
		}
	})
}

// rate is in MB/s.
func rate(bytes, ns int64) float64 { return float64(bytes) / float64(ns) * 1e3 }

// vchanAcross has libxenvchan and xen/vchan speak across two domains.
func vchanAcross(t *testing.T, shared *sharing) {
	d := shared.get(t, "light")[0]
	t.Run("round trip", func(t *testing.T) { roundTrip(t, d) })
	t.Run("interop", func(t *testing.T) { interop(t, d) })
}

// interop moves 16 MB each way in every role and with both kinds of rings; who reads
// checks every byte.
func interop(t *testing.T, d *rig.DomU) {
	for i, c := range []struct{ server, client, ring string }{
		{peerGo, peerC, "0"},
		{peerC, peerGo, "0"},
		{peerGo, peerC, "65536"},
		{peerC, peerGo, "65536"},
		{peerGo, peerGo, "65536"},
		{peerC, peerC, "65536"},
	} {
		t.Run(fmt.Sprintf("%s in the domU serves %s, rings %s", c.server[5:], c.client[5:], c.ring), func(t *testing.T) {
			at := fmt.Sprintf("data/vchan/0/%d", i)
			size := sized(c.ring)
			sink, source := fmt.Sprint("sink:", size), fmt.Sprint("source:", size)
			inGuest(t, d, c.server, "server", "0", at, c.ring, c.ring, sink, source, "echo")
			s := startSide(t, c.client, "client", fmt.Sprint(d.ID()), domainPath(d.ID(), at), "0", "0", source, sink)
			s.transfers(t, size, "source", "sink")
		})
	}
	for i, c := range []struct{ server, client string }{{peerGo, peerC}, {peerC, peerGo}} {
		t.Run(fmt.Sprintf("%s in dom0 serves %s", c.server[5:], c.client[5:]), func(t *testing.T) {
			at := fmt.Sprintf("data/vchan/%d/%d", d.ID(), i)
			sink, source := fmt.Sprint("sink:", transfer), fmt.Sprint("source:", transfer)
			inGuest(t, d, c.client, "client", "0", domainPath(0, at), "0", "0", source, sink)
			s := startSide(t, c.server, "server", fmt.Sprint(d.ID()), at, "65536", "65536", sink, source)
			s.transfers(t, transfer, "sink", "source")
		})
	}
}

// transfer is what goes each way. Through the small rings in the page, which want a turn
// of both sides for each kilobyte, that takes so long under emulation that it is cut
// short, unless the whole is wanted: a turn takes 1 ms on a quiet machine, and 20 ms on
// one whose processors others want, too.
const transfer = 16 << 20

var whole = flag.Bool("whole", false, "move 16 MB through the rings in the page, too, and measure them for longer")

func sized(ring string) int {
	if ring == "0" && !*whole {
		return transfer / 32
	}
	return transfer
}

func domainPath(domid int, at string) string { return fmt.Sprintf("/local/domain/%d/%s", domid, at) }

// transfers reads what a side says of its transfers, to its end.
func (s *side) transfers(t *testing.T, size int, words ...string) {
	t.Helper()
	for _, word := range words {
		t.Logf("%s of %d bytes in dom0: %.1f MB/s", word, size, rate(int64(size), s.says(t, word)))
	}
	s.ended(t)
}

// roundTrip measures a request of 64 bytes and its answer, between dom0 and a domU
// that serves, over libxenvchan on both sides and over xen/vchan on both, in turns;
// and then, in turns, 128 KiB to the domU through the ring in the page.
func roundTrip(t *testing.T, d *rig.DomU) {
	const rounds = 5
	requests, bulk := 100, 128<<10
	if *whole {
		requests, bulk = 300, 1<<20
	}
	names := []string{peerC, peerGo}
	var sides [2]*side
	for i, name := range names {
		at := fmt.Sprintf("data/vchan/0/%d", 100+i)
		serve := []string{name, "server", "0", at, "0", "0"}
		dial := []string{name, "client", fmt.Sprint(d.ID()), domainPath(d.ID(), at), "0", "0"}
		for range rounds + 1 { // the first is to get warm
			serve = append(serve, fmt.Sprintf("echo:%d", requests), fmt.Sprintf("sink:%d", bulk))
			dial = append(dial, "wait", fmt.Sprintf("ping:%d", requests), "wait", fmt.Sprintf("source:%d", bulk))
		}
		inGuest(t, d, append(serve, "echo")...)
		sides[i] = startSide(t, dial...)
	}
	var ratios []float64
	for round := range rounds + 1 {
		var ns, rates [2]int64
		for i, s := range sides {
			ns[i] = s.turn(t, "ping")
		}
		for i, s := range sides {
			rates[i] = s.turn(t, "source")
		}
		if round == 0 {
			continue
		}
		ratio := float64(ns[1]) / float64(ns[0])
		ratios = append(ratios, ratio)
		t.Logf("round %d: libxenvchan %d µs, xen/vchan %d µs, ratio %.2f; %.2f and %.2f MB/s", round,
			ns[0]/1000, ns[1]/1000, ratio, rate(int64(bulk), rates[0]), rate(int64(bulk), rates[1]))
	}
	slices.Sort(ratios)
	median := ratios[rounds/2]
	t.Logf("a round trip of 64 bytes takes %.2f times that of libxenvchan (median of %d rounds of %d)", median, rounds, requests)
	if median > 2 {
		t.Error("more than twice as long")
	}
	for _, s := range sides {
		s.ended(t)
	}
}
