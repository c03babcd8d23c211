package meter

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"headgate/hostd/cgroup"
	"headgate/integration/need"
)

// idOf is the number that the kernel has for a folder of the tree.
func idOf(t *testing.T, folder string) uint64 {
	t.Helper()
	var s syscall.Stat_t
	if err := syscall.Lstat(folder, &s); err != nil {
		t.Fatal(err)
	}
	return s.Ino
}

// fakeTree is a tree of plain folders, and counts how often it is looked through.
func fakeTree(t *testing.T) (tr *tree, root string, looks *int) {
	root, looks = t.TempDir(), new(int)
	for _, group := range []string{"a.slice/b.scope", `machine.slice/machine-qemu\x2d1\x2dweb1.scope`, strings.Repeat("l", 200) + "/" + strings.Repeat("m", 200) + "/" + strings.Repeat("n", 200)} {
		if err := os.MkdirAll(filepath.Join(root, group), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return &tree{mounted: func() (cgroup.Mount, error) { *looks++; return cgroup.Mount{Point: root, Root: "/"}, nil }}, root, looks
}

func TestGroupsByNumber(t *testing.T) {
	tr, root, looks := fakeTree(t)
	b := idOf(t, root+"/a.slice/b.scope")
	for range 3 {
		tr.begin()
		for id, want := range map[uint64]string{
			idOf(t, root): "/", b: "/a.slice/b.scope",
			idOf(t, root+`/machine.slice/machine-qemu\x2d1\x2dweb1.scope`): `/machine.slice/machine-qemu\x2d1\x2dweb1.scope`,
		} {
			if got := tr.name(id); got != want {
				t.Errorf("%d: %q, want %q", id, got, want)
			}
		}
	}
	if *looks != 1 {
		t.Errorf("looked %d times for what is known", *looks)
	}
	long := idOf(t, root+"/"+strings.Repeat("l", 200)+"/"+strings.Repeat("m", 200)+"/"+strings.Repeat("n", 200))
	tr.begin()
	if got := tr.name(long); len(got) != len("…")+maxPath || !strings.HasSuffix(got, "/"+strings.Repeat("n", 200)) {
		t.Errorf("%d bytes: %q", len(got), got)
	}
	if err := os.RemoveAll(root + "/a.slice"); err != nil {
		t.Fatal(err)
	}
	tr.begin()
	if got := tr.name(b); got != "/a.slice/b.scope" {
		t.Errorf("one that was removed: %q", got)
	}
}

func TestGroupsThatAreNotThere(t *testing.T) {
	tr, root, looks := fakeTree(t)
	const none = 1 << 60
	for range 5 {
		tr.begin()
		for _, id := range []uint64{none, none + 1} {
			if got := tr.name(id); got != "cgroup:"+strconv.FormatUint(id, 10) {
				t.Error(got)
			}
		}
	}
	if *looks != 2 { // one for each
		t.Errorf("looked %d times for two that are gone", *looks)
	}
	tr.begin()
	tr.name(none + 2)
	if err := os.Mkdir(root+"/late", 0o755); err != nil { // after this reading's look
		t.Fatal(err)
	}
	late := idOf(t, root+"/late")
	tr.name(late)
	tr.begin()
	if got := tr.name(late); got != "/late" {
		t.Errorf("one that came after a look is %q in the next reading", got)
	}
	for id := range uint64(3 * maxKnown) {
		tr.begin()
		tr.name(none + id)
		if id == 100 {
			tr.mounted = func() (cgroup.Mount, error) { return cgroup.Mount{}, errors.New("gone") }
		}
	}
	if len(tr.known) > maxKnown {
		t.Errorf("%d names are kept", len(tr.known))
	}
}

// The kernel's own tree: a control group that is made here has the name that the
// kernel gives to who is in it.
func TestGroupsOfTheKernel(t *testing.T) {
	need.Root(t, "to make a control group")
	m, err := cgroup.Mounted()
	if err != nil {
		need.Unmet(t, err)
	}
	own, err := cgroup.Of(0)
	if err != nil {
		t.Fatal(err)
	}
	parent, err := m.Folder(own)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(parent, "headgate test "+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(folder, 0o755); err != nil {
		need.Unmet(t, "a cgroup v2 tree that may be written: ", err)
	}
	t.Cleanup(func() { _ = os.Remove(folder) })
	n := newNames(nil)
	n.begin()
	if got := n.cgroup(idOf(t, folder)); got != m.Path(folder) {
		t.Errorf("%q, want %q", got, m.Path(folder))
	}
}

// A process that calls itself a QEMU is named so, and is vouched for once libvirt's
// file holds its id.
func TestProcesses(t *testing.T) {
	pids := t.TempDir()
	pidFile := func(domain string) string { return filepath.Join(pids, domain+".pid") }
	n := newNames(pidFile)
	if n.blind != "" {
		need.Unmet(t, "the first pid namespace: ", n.blind)
	}
	script := filepath.Join(t.TempDir(), "qemu-system-x86_64")
	if err := os.Symlink("/bin/sh", script); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(script, "-c", "echo up; read -r x || true", "-name", "guest=web,,1,debug-threads=on")
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
	if _, err := out.Read(make([]byte, 16)); err != nil { // its own command line is up by then
		t.Fatal(err)
	}
	pid := c.Process.Pid
	p, alive := n.process(pid)
	if !alive || !p.QEMU || p.Domain != "web,1" || p.Vouched || p.Start == 0 || p.Name != "qemu-system-x86" {
		t.Errorf("%+v, %v", p, alive)
	}
	if err := os.WriteFile(pidFile("web,1"), []byte(strconv.Itoa(pid)), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, alive = n.process(pid); !alive || !p.Vouched {
		t.Errorf("with libvirt's word: %+v, %v", p, alive)
	}
	if p, alive = n.process(os.Getpid()); !alive || p.QEMU || p.Domain != "" || p.Name == "" {
		t.Errorf("this process: %+v, %v", p, alive)
	}
	in.Close()
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if p, alive = n.process(pid); alive {
		t.Errorf("one that ended: %+v", p)
	}
	n.forget(func(int) bool { return false })
	if len(n.seen) != 0 {
		t.Errorf("%d are kept", len(n.seen))
	}
}

// A domain's name must not lead out of libvirt's folder.
func TestNobodyVouchesForAPath(t *testing.T) {
	n := &names{pidFile: func(string) string { t.Error("asked"); return "" }}
	if n.vouch("../x", 1) || n.vouch("", 1) || (&names{}).vouch("x", 1) {
		t.Error("vouched")
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"dd\n": "dd", "dd\x00junk": "dd", "a\x1b[2Jb": "a?[2Jb", "\xff\xfe": "?", "ünï cödé": "ünï cödé", "a\u00a0\u202eb": "a??b", "": "",
	} {
		if got := clean(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
