package guard

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// What a user reads who lacks something. Nothing is left behind then, nor moved.
func TestLacks(t *testing.T) {
	for _, c := range []struct {
		name    string
		alone   bool
		how     func(*exec.Cmd)
		prepare func(*testing.T)
		want    []string
	}{
		{name: "NoCapability", alone: true, how: nobody(),
			want: []string{"hostd lacks CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON: start it as root, or add CAP_BPF CAP_NET_ADMIN CAP_PERFMON to its unit's AmbientCapabilities="}},
		{name: "OneCapability", alone: true, how: nobody(unix.CAP_BPF, unix.CAP_PERFMON),
			want: []string{"hostd lacks CAP_NET_ADMIN: start it as root"}},
		{name: "SharedUser", how: nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON),
			want: []string{"cannot be guarded, because 1 other process is in it (", "permission denied: start hostd as a service of its own (systemd-run"}},
		{name: "SharedReadOnly", how: mounts, prepare: readOnly,
			want: []string{"read-only file system: start hostd as a service of its own (the cgroups are read-only here"}},
		{name: "NoMount", how: mounts, prepare: func(t *testing.T) { mount(t, "tmpfs", "/sys", 0) },
			want: []string{" is not to be seen at /sys/", "mount -t cgroup2"}},
		{name: "Seccomp", prepare: withoutBPF,
			want: []string{"a seccomp filter refuses bpf(2): add SystemCallFilter=bpf to hostd's unit"}},
		{name: "UserNamespace", alone: true, how: func(cmd *exec.Cmd) {
			cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{Size: 1}}
		}, want: []string{"hostd is in a user namespace, whose capabilities do not count for it: start it outside of the container"}},
		{name: "Exclusive", alone: true, prepare: exclusive,
			want: []string{"attach the program: a security module refuses it, or a program is attached to this cgroup or one above"}},
		{name: "NoBPF", prepare: func(t *testing.T) { answerBPF(t, unix.ENOSYS) },
			want: []string{"this kernel (Linux ", ") has no bpf(2): take one with CONFIG_BPF_SYSCALL"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if outside(t) {
				folder := made(t)
				if !c.alone {
					neighbour(t, folder)
				}
				how := []func(*exec.Cmd){within(t, folder)}
				if c.how != nil {
					how = append(how, c.how)
				}
				apart(t, nil, how...)
				return
			}
			if c.prepare != nil {
				c.prepare(t)
			}
			before := here(t)
			g, err := Attach()
			if err == nil {
				_ = g.Close()
			}
			contains(t, err, c.want...)
			t.Log(err)
			if here(t) != before {
				t.Errorf("in %s, was in %s", here(t), before)
			}
			if left, err := filepath.Glob(filepath.Join("/sys/fs/cgroup", "*", before, prefix+pid())); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// A kernel that would do without CAP_PERFMON is as good.
func TestWithoutPerfmon(t *testing.T) {
	if outside(t) {
		apart(t, nil, within(t, made(t)), nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN))
		return
	}
	g, err := Attach()
	if err == nil {
		refusedWith(t, unix.EPERM, unix.AF_INET, unix.SOCK_STREAM, 0)
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		return
	}
	t.Log(err)
	contains(t, err, "hostd lacks CAP_PERFMON: start it as root, or add CAP_PERFMON to its unit's AmbientCapabilities=")
}

// exclusive attaches a program to the cgroup that lets no other in beside it.
func exclusive(t *testing.T) {
	var objects programObjects
	if err := loadProgramObjects(&objects, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = objects.Close() })
	group, err := os.Open(mine(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = group.Close() })
	options := link.RawAttachProgramOptions{Target: int(group.Fd()), Program: objects.RefuseInet, Attach: ebpf.AttachCGroupInetSockCreate}
	if err := link.RawAttachProgram(options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := link.RawDetachProgram(link.RawDetachProgramOptions{Target: options.Target, Program: options.Program, Attach: options.Attach}); err != nil {
			t.Error(err)
		}
	})
}

func withoutBPF(t *testing.T) { answerBPF(t, unix.EPERM) }

// answerBPF has seccomp answer bpf(2), as for a unit whose SystemCallFilter= lacks it.
func answerBPF(t *testing.T, errno unix.Errno) {
	t.Helper()
	f := []unix.SockFilter{load(offsetNumber), equal(unix.SYS_BPF, 0, 1), refuse(errno), answer(unix.SECCOMP_RET_ALLOW)}
	program := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	_, _, answer := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(f)
	if answer != 0 {
		t.Fatal(answer)
	}
}
