package meter

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"headgate/hostd/probe"
	"headgate/integration/need"
	"headgate/kvm"
)

// unattached is a meter with the kernel's tables alone, which tests fill in the
// programs' stead.
func unattached(t testing.TB) *Meter {
	t.Helper()
	need.Root(t, "to make BPF maps")
	spec, err := loadMeter()
	if err != nil {
		t.Fatal(err)
	}
	set, err := probe.Open(spec, probe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := &Meter{set: set, names: newNames(nil), notes: notes(), at: make([]point, len(hooks))}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	if m.table, err = openTable(set); err != nil {
		t.Fatal(err)
	}
	return m
}

// put has a process drink n bytes by n calls, a part on each CPU.
func put(t testing.TB, m *Meter, pid int, name string, way int, n uint64) {
	t.Helper()
	k := meterReader{Process: uint32(pid), Way: uint32(way), Cgroup: 1}
	copy(k.Comm[:], name)
	counts := make([]meterCount, m.table.cpus)
	for i := range n {
		counts[i%uint64(len(counts))].Bytes++
		counts[i%uint64(len(counts))].Calls++
	}
	if err := m.table.readers.Put(k, counts); err != nil {
		t.Fatal(err)
	}
}

// deceased is the id of a process that has ended.
func deceased(t testing.TB) int {
	t.Helper()
	c := exec.Command("true")
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	return c.Process.Pid
}

func TestSums(t *testing.T) {
	m := unattached(t)
	for i := range 1000 { // more than a batch
		put(t, m, os.Getpid(), fmt.Sprint(i), i%4, 7)
	}
	r := read(t, m)
	for _, w := range r.Ways {
		if w.Bytes != 7*250 || w.Calls != 7*250 {
			t.Errorf("%+v", w)
		}
	}
	if len(r.Users) != 1000 || r.Users[0].Gone || r.Users[0].PID != os.Getpid() {
		t.Errorf("%d users, such as %+v", len(r.Users), r.Users[0])
	}
}

func TestEndedMakeRoom(t *testing.T) {
	m := unattached(t)
	gone := deceased(t)
	var all uint64
	for range 3 {
		for i := range 1500 {
			put(t, m, gone, fmt.Sprint(i), 2, uint64(i))
			all += uint64(i)
		}
		r := read(t, m)
		if w := r.Ways[2]; w.Bytes != all || w.Calls != all {
			t.Errorf("%d were drunk: %+v", all, w)
		}
		if rows, err := m.table.rows(); err != nil || len(rows) != 0 {
			t.Errorf("%d rows are left: %v", len(rows), err)
		}
		if len(r.Users) != maxEnded {
			t.Errorf("%d users are kept", len(r.Users))
		}
		if most := r.Users[0]; most.Process != "1499" || !most.Gone || most.PID != gone {
			t.Errorf("who drank most is %+v", most)
		}
	}
	if r := read(t, m); r.Users[0].Bytes[Urandom] != 3*1499 || r.Other.Bytes[Urandom] == 0 {
		t.Errorf("%+v and %+v without a name", r.Users[0], r.Other)
	}
}

// TestAliveStays has a reading not take away what a process that lives still adds to.
func TestAliveStays(t *testing.T) {
	m := unattached(t)
	put(t, m, os.Getpid(), "alive", 3, 5)
	read(t, m)
	put(t, m, os.Getpid(), "alive", 3, 9)
	put(t, m, os.Getpid(), "alive", 0, 1)
	u := find(t, read(t, m), "alive")
	if u.Bytes[Getrandom] != 9 || u.Bytes[HWRNG] != 1 || u.Total() != 10 {
		t.Errorf("%+v", u)
	}
}

// TestEndedQEMU keeps the domain of a QEMU that was seen while it ran.
func TestEndedQEMU(t *testing.T) {
	m := unattached(t)
	c := exec.Command("sleep")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c.Path, c.Args = self, []string{"qemu-system-x86_64", "-name", "guest=web1,debug-threads=on"}
	c.Env = append(os.Environ(), asReader+`={"Name":"qemu-system-x86","Do":"nothing","Threads":0}`)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	put(t, m, c.Process.Pid, "qemu-system-x86", 1, 64)
	if u := find(t, read(t, m), "qemu-system-x86"); !u.QEMU || u.Domain != "web1" || u.Gone {
		t.Errorf("while it runs: %+v", u)
	}
	_ = in.Close()
	if err := unix.Waitid(unix.P_PID, c.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if u := find(t, read(t, m), "qemu-system-x86"); !u.QEMU || u.Domain != "web1" {
		t.Errorf("when nobody has waited for it: %+v", u)
	}
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if u := find(t, read(t, m), "qemu-system-x86"); !u.QEMU || u.Domain != "web1" || !u.Gone || u.Bytes[Random] != 64 {
		t.Errorf("when it has ended: %+v", u)
	}
}

// TestEarlierName has what a process drank before it became a QEMU be nobody's guest's, and
// what one drank whose id another process has now be that of one that ended.
func TestEarlierName(t *testing.T) {
	m := unattached(t)
	m.leaders = true
	own := strings.TrimSuffix(string(m.names.read(os.Getpid(), "comm", maxComm)), "\n")
	at, err := kvm.StartOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	m.names.seen[os.Getpid()] = process{Name: own, Start: at, QEMU: true, Domain: "web1"}
	put(t, m, os.Getpid(), own, 0, 64)
	put(t, m, os.Getpid(), "a shell", 2, 1000)
	r := read(t, m)
	if u := find(t, r, own); !u.QEMU || u.Domain != "web1" {
		t.Errorf("the QEMU: %+v", u)
	}
	if u := find(t, r, "a shell"); u.QEMU || u.Domain != "" || u.Gone {
		t.Errorf("what it was before: %+v", u)
	}
	for s, u := range m.living {
		if s.name == "a shell" {
			u.start++ // it was another process
		}
	}
	if u := find(t, read(t, m), "a shell"); !u.Gone || u.Bytes[Urandom] != 1000 {
		t.Errorf("whose id is another's: %+v", u)
	}
	if rows, err := m.table.rows(); err != nil || len(rows) != 1 {
		t.Errorf("%d rows are left: %v", len(rows), err)
	}
}

// TestNamesakeLives has those who ended keep their name while another one lives that has it:
// a metric by name must not fall.
func TestNamesakeLives(t *testing.T) {
	m := unattached(t)
	gone := deceased(t)
	put(t, m, gone, "both", 2, 1)
	put(t, m, os.Getpid(), "both", 2, 1)
	read(t, m)
	for i := range maxEnded + 100 {
		put(t, m, gone, fmt.Sprint(i), 2, 5)
	}
	var both uint64
	r := read(t, m)
	for _, u := range r.Users {
		if u.Process == "both" {
			both += u.Bytes[Urandom]
		}
	}
	if both != 2 || len(r.Users) != maxEnded+2 {
		t.Errorf("%d bytes by that name, %d users", both, len(r.Users))
	}
}

// TestTogether has several read while processes come and go.
func TestTogether(t *testing.T) {
	m := unattached(t)
	gone := deceased(t)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			var last uint64
			for range 20 {
				r, err := m.Read()
				if err != nil {
					t.Error(err)
					return
				}
				if r.Ways[2].Bytes < last {
					t.Errorf("went back from %d to %d", last, r.Ways[2].Bytes)
				}
				last = r.Ways[2].Bytes
				for _, u := range r.Users {
					u.Bytes[Urandom]++ // a reading is its reader's own
				}
			}
		})
	}
	for i := range 300 {
		put(t, m, os.Getpid(), fmt.Sprint("alive ", i), 2, 3)
		put(t, m, gone, fmt.Sprint("gone ", i), 2, 4)
	}
	wg.Wait()
	if w := read(t, m).Ways[2]; w.Bytes != 300*7 {
		t.Errorf("%+v", w)
	}
}

func TestNoRoom(t *testing.T) {
	m := unattached(t)
	counts := make([]meterCount, m.table.cpus)
	counts[0] = meterCount{Bytes: 100, Calls: 3}
	if err := m.table.others.Put(uint32(1), counts); err != nil {
		t.Fatal(err)
	}
	if r := read(t, m); r.Other.Bytes[Random] != 100 || r.Other.Calls[Random] != 3 || r.Ways[1].Bytes != 100 {
		t.Errorf("%+v", r)
	}
}

func TestUnread(t *testing.T) {
	for errno, say := range map[syscall.Errno]string{
		syscall.EPERM: "before 5.19",
		syscall.EIO:   "input/output",
	} {
		if got := unread(errno).Error(); !strings.Contains(got, say) {
			t.Errorf("%q does not say %q", got, say)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	m := unattached(b)
	for i := range 4096 {
		put(b, m, os.Getpid(), fmt.Sprint(i), i%4, 1)
	}
	for b.Loop() {
		if _, err := m.Read(); err != nil {
			b.Fatal(err)
		}
	}
}
