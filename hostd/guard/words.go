package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"headgate/hostd/kernel"
)

func unseen(path, folder string) error {
	return fmt.Errorf("the process's cgroup %s is not to be seen at %s: mount -t cgroup2 none DIR in this mount namespace, or start hostd as a service of its own", path, folder)
}

// notAlone says why there is no cgroup to attach to.
func notAlone(path, why string, err error) error {
	remedy := "start hostd as a service of its own"
	switch {
	case errors.Is(err, unix.EROFS):
		remedy += " (the cgroups are read-only here, as by ProtectControlGroups= or in a container)"
	case errors.Is(err, fs.ErrPermission):
		remedy += " (systemd-run, or examples/systemd/hostd.service), or as root"
	case errors.Is(err, fs.ErrExist):
		remedy = "end the processes in it, or start hostd as a service of its own"
	}
	return fmt.Errorf("the cgroup %s cannot be guarded, because %s, and hostd may not make one of its own below it: %w: %s", path, why, err, remedy)
}

// refusal says what a refusal of bpf(2) comes from.
func refusal(what string, err error) error {
	var verifier *ebpf.VerifierError
	var errno unix.Errno
	if errors.As(err, &verifier) {
		// It is what the verifier's rules are relaxed by (capabilities(7)), and newer kernels
		// take it of who learns a process's name (bpf_get_current_comm).
		if lacks := lacking(unix.CAP_PERFMON); lacks != "" && errors.As(err, &errno) {
			return fmt.Errorf("%s the program: %s: %w", what, lacks, errno)
		}
		return fmt.Errorf("%s the program: %s refuses it: please report this: %w", what, release(), err)
	}
	if !errors.As(err, &errno) {
		return fmt.Errorf("%s the program: %w", what, err)
	}
	words := ""
	switch errno {
	case unix.ENOSYS:
		words = release() + " has no bpf(2): take one with CONFIG_BPF_SYSCALL"
	case unix.EPERM:
		words = forbidden()
	case unix.EINVAL:
		words = release() + " does not know of such programs: take Linux 5.15 or later with CONFIG_CGROUP_BPF"
	case unix.ENOMEM:
		words = "there is no memory for it: raise MemoryMax= of hostd's unit"
	default:
		return fmt.Errorf("%s the program: %w", what, err)
	}
	// Not the error itself, which guesses at reasons of its own.
	return fmt.Errorf("%s the program: %s: %w", what, words, errno)
}

// lacking says which of the capabilities the process has not: "" if none.
func lacking(capabilities ...uint) string {
	has, err := kernel.Held()
	// CAP_SYS_ADMIN has the rights of all of them: capabilities(7).
	if err != nil || has.Effective(unix.CAP_SYS_ADMIN) {
		return ""
	}
	names := map[uint]string{unix.CAP_BPF: "CAP_BPF", unix.CAP_NET_ADMIN: "CAP_NET_ADMIN", unix.CAP_PERFMON: "CAP_PERFMON"}
	var lacks []string
	for _, capability := range capabilities {
		if !has.Effective(capability) {
			lacks = append(lacks, names[capability])
		}
	}
	if len(lacks) == 0 {
		return ""
	}
	return fmt.Sprintf("hostd lacks %s: start it as root, or add %s to its unit's AmbientCapabilities= and CapabilityBoundingSet=",
		strings.Join(lacks, ", "), strings.Join(lacks, " "))
}

// forbidden says why the kernel may have answered EPERM.
func forbidden() string {
	if lacking(unix.CAP_BPF, unix.CAP_NET_ADMIN) != "" {
		return lacking(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON) // that one, too, if it comes to it
	}
	// user_namespaces(7): the first namespace maps all numbers to themselves.
	if ids, err := os.ReadFile("/proc/self/uid_map"); err == nil && strings.Join(strings.Fields(string(ids)), " ") != "0 0 4294967295" {
		return "hostd is in a user namespace, whose capabilities do not count for it: start it outside of the container"
	}
	if filtered() {
		return "a seccomp filter refuses bpf(2): add SystemCallFilter=bpf to hostd's unit, or allow it in the container's profile"
	}
	return "a security module refuses it, or a program is attached to this cgroup or one above that takes no other beside it (bpftool cgroup tree)"
}

// filtered says if the process is under a seccomp filter: proc(5), status, Seccomp.
func filtered() bool {
	status, err := os.ReadFile("/proc/self/status")
	return err == nil && strings.Contains(string(status), "\nSeccomp:\t2\n")
}

// release names the kernel.
func release() string { return "this kernel (Linux " + kernel.Release() + ")" }
