package cgroup

import (
	"errors"
	"os"
	"strings"
	"testing"

	"headgate/integration/need"
)

const hybrid = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime shared:9 - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:7 master:1 - cgroup2 cgroup2 rw
`

func TestMountIn(t *testing.T) {
	for name, tc := range map[string]struct {
		info string
		want Mount
	}{
		"hybrid":           {hybrid, Mount{"/sys/fs/cgroup/unified", "/"}},
		"no optional part": {"41 31 0:38 / /sys/fs/cgroup rw - cgroup2 x rw\n", Mount{"/sys/fs/cgroup", "/"}},
		"a blank":          {`41 31 0:38 /a\040b /mnt/c\134d rw - cgroup2 x rw` + "\n", Mount{`/mnt/c\d`, "/a b"}},
		"most of the tree": {"1 2 0:3 /system.slice/x /a rw - cgroup2 x rw\n1 2 0:3 / /b rw - cgroup2 x rw\n1 2 0:3 /y /c rw - cgroup2 x rw\n", Mount{"/b", "/"}},
		"not from outside": {"1 2 0:3 /../.. /a rw - cgroup2 x rw\n1 2 0:3 /y /c rw - cgroup2 x rw\n", Mount{"/c", "/y"}},
		"rubbish before":   {"\n1\nx - cgroup2\n1 2 3 4 5 6 - \n" + hybrid, Mount{"/sys/fs/cgroup/unified", "/"}},
	} {
		if got, err := mountIn(strings.NewReader(tc.info)); err != nil || got != tc.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := mountIn(strings.NewReader(strings.ReplaceAll(hybrid, "cgroup2", "cgroup"))); !errors.Is(err, ErrNone) {
		t.Errorf("version 1 alone: %v", err)
	}
	if _, err := mountIn(strings.NewReader(strings.Repeat("x", 2<<20))); err == nil || errors.Is(err, ErrNone) {
		t.Errorf("a line without an end: %v", err)
	}
}

func TestFolderAndBack(t *testing.T) {
	for _, tc := range []struct {
		m            Mount
		group, where string
	}{
		{Mount{"/sys/fs/cgroup", "/"}, "/", "/sys/fs/cgroup"},
		{Mount{"/sys/fs/cgroup", "/"}, `/machine.slice/machine-qemu\x2d1\x2dweb1.scope`, `/sys/fs/cgroup/machine.slice/machine-qemu\x2d1\x2dweb1.scope`},
		{Mount{"/mnt", "/a/b"}, "/a/b", "/mnt"},
		{Mount{"/mnt", "/a/b"}, "/a/b/c", "/mnt/c"},
	} {
		got, err := tc.m.Folder(tc.group)
		if err != nil || got != tc.where || tc.m.Path(got) != tc.group {
			t.Errorf("%+v %s: %q, %v, back %q", tc.m, tc.group, got, err, tc.m.Path(got))
		}
	}
	for _, group := range []string{"", "x", "/..", "/../x", "/a/../b", "/a/", "/a/bc", "/a"} {
		if got, err := (Mount{"/mnt", "/a/b"}).Folder(group); err == nil {
			t.Errorf("%q is at %q", group, got)
		}
	}
}

func TestGroupIn(t *testing.T) {
	for text, want := range map[string]string{
		"9:name=systemd:/x\n0::/user.slice/a b\n": "/user.slice/a b",
		"0::/":                   "/",
		"0::/x (deleted)\n":      "/x",
		"1:name=systemd:/0::/\n": "",
		"":                       "",
	} {
		if got, found := groupIn(text); got != want || found != (want != "") {
			t.Errorf("%q: %q, %v", text, got, found)
		}
	}
}

// The kernel's own word: this process is in the folder that its group is found at.
func TestOfThisProcess(t *testing.T) {
	m, err := Mounted()
	if errors.Is(err, ErrNone) {
		need.Unmet(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{0, os.Getpid()} {
		group, err := Of(pid)
		if err != nil {
			t.Fatal(err)
		}
		folder, err := m.Folder(group)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(folder + "/cgroup.procs"); err != nil {
			t.Error(err)
		}
	}
	if _, err := Of(1 << 30); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a process that cannot be: %v", err)
	}
}
