package meter

import (
	"cmp"
	"io"
	"os"
	"strconv"
	"strings"

	"headgate/hostd/cgroup"
	"headgate/kvm"
)

// maxName bounds a name in bytes, as libvirt bounds that of a domain (NAME_MAX,
// include/uapi/linux/limits.h: it names files after it).
const maxName = 255

// maxProcesses bounds the cache of processes. It is as many as the kernel's table has
// rows.
const maxProcesses = 4096

// process is what one looks like from outside. Its name and its domain are its own
// words.
type process struct {
	Name    string // of the whole process, now
	Start   uint64 // clock ticks since the system's start
	QEMU    bool
	Domain  string // as its QEMU calls itself; "" if it does not
	Vouched bool   // libvirt's pid file of that domain holds this process's id
}

// names puts names to the numbers that the kernel counts by. It is used by one
// goroutine at a time.
type names struct {
	proc    string                     // /proc, but in tests
	pidFile func(domain string) string // where libvirt keeps it; nil: nobody vouches
	blind   string                     // why processes cannot be named
	hidden  string                     // why some cannot
	seen    map[int]process
	tree    tree
}

func newNames(pidFile func(domain string) string) *names {
	n := &names{proc: "/proc", pidFile: pidFile, seen: map[int]process{}}
	n.tree.mounted = cgroup.Mounted
	n.blind = blindness()
	// Which is root's, and always there.
	if _, err := os.Stat(n.proc + "/1/stat"); err != nil {
		n.hidden = "/proc hides the processes of others from hostd (hidepid=, ProtectProc=): no QEMU is told from them; give hostd's user the group of that mount's gid="
	}
	return n
}

// initialPIDs is the inode of the first pid namespace: PROC_PID_INIT_INO in
// include/linux/proc_ns.h.
const initialPIDs = "pid:[4026531836]"

// blindness says why /proc here is of no use: the kernel counts by the ids of the first
// pid namespace, and an id of another one is another process.
func blindness() string {
	if own, err := os.Readlink("/proc/self/ns/pid"); err == nil && own != initialPIDs {
		return "hostd is in a pid namespace of its own: no reader is known to have ended, and no QEMU is told from them; run hostd in the host's"
	}
	return ""
}

// note is what a user must know of the names; "" if there is nothing.
func (n *names) note() string { return cmp.Or(n.blind, n.hidden) }

// begin is called before the names of a reading are asked for.
func (n *names) begin() { n.tree.begin() }

// cgroup is the control group with that number, as /proc/PID/cgroup names it.
func (n *names) cgroup(id uint64) string { return n.tree.name(id) }

// process looks at one; false: it is gone, or cannot be seen.
func (n *names) process(pid int) (process, bool) {
	if n.blind != "" {
		return process{}, false
	}
	start, err := kvm.StartOf(pid)
	if err != nil {
		delete(n.seen, pid)
		return process{}, false
	}
	// A process may become another program and keep its id and its start, but not its
	// name (execve(2)).
	p := process{Name: clean(string(n.read(pid, "comm", maxComm))), Start: start}
	old, known := n.seen[pid]
	if known && old.Start == p.Start && old.Name == p.Name {
		p = old
	} else {
		p.Domain, p.QEMU = domainIn(n.read(pid, "cmdline", maxCommand), p.Name)
	}
	if p.QEMU && !p.Vouched {
		p.Vouched = n.vouch(p.Domain, pid)
	}
	if !known && len(n.seen) >= maxProcesses {
		clear(n.seen)
	}
	n.seen[pid] = p
	return p, true
}

// forget drops what is known of processes that are not asked for any more.
func (n *names) forget(used func(pid int) bool) {
	for pid := range n.seen {
		if !used(pid) {
			delete(n.seen, pid)
		}
	}
}

// vouch asks libvirt's pid file, which only root writes, whether the process is that
// domain's QEMU.
func (n *names) vouch(domain string, pid int) bool {
	if n.pidFile == nil || domain == "" || strings.Contains(domain, "/") {
		return false
	}
	id, err := kvm.ReadPIDFile(n.pidFile(domain))
	return err == nil && id == pid
}

// read gives at most so many bytes of a file of the process, nil if there are none.
func (n *names) read(pid int, file string, most int) []byte {
	f, err := os.Open(n.proc + "/" + strconv.Itoa(pid) + "/" + file)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, _ := io.ReadAll(io.LimitReader(f, int64(most))) // what came before it ended
	return data
}

// maxComm is what proc_task_name of fs/proc/array.c writes at most: a kernel thread's
// name is longer there than TASK_COMM_LEN.
const maxComm = 64

// clean makes a name fit to be shown, logged and a label: valid, of one line, and
// without what steers a terminal.
func clean(s string) string {
	s = strings.TrimSuffix(s, "\n")
	if i := strings.IndexByte(s, 0); i >= 0 {
		s = s[:i] // the kernel's names end there
	}
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
