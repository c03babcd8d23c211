package backends

import (
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"headgate/integration/need"
)

// TestExecHasNothingOfHostd looks at a command from inside.
func TestExecHasNothingOfHostd(t *testing.T) {
	// A descriptor that hostd was started with, and so did not mark.
	null := must(os.Open("/dev/null"))
	defer null.Close()
	inherited, err := unix.Dup(int(null.Fd()))
	check(t, err)
	defer unix.Close(inherited)
	t.Setenv("HEADGATE_SECRET", "x")

	as, err := whom("")
	check(t, err)
	if os.Geteuid() == 0 && as.name != "nobody" {
		t.Errorf("hostd is root, and a command runs as %s", as.name)
	}
	got, err := output(t, shell(t, `
		ls /proc/self/fd | xargs echo fds
		echo stdin $(readlink /proc/$$/fd/0)
		echo pwd $(pwd)
		grep -E '^(NoNewPrivs|CapInh|CapPrm|CapEff|CapAmb|Uid|Gid|Groups):' /proc/$$/status
		set -- $(cat /proc/$$/stat)
		echo group $(($5 - $$)) session $(($6 - $$)) terminal $7
		env | grep -v ^_= | cut -d= -f1 | sort | xargs echo env`))
	if err == nil || err.Error() != "the command exited 0" {
		t.Errorf("%v", err)
	}
	none := "0000000000000000"
	lines := []string{ // 3 is the folder that ls reads
		"fds 0 1 2 3", "stdin /dev/null", "pwd /", "group 0 session 0 terminal 0",
		"NoNewPrivs:\t1", "CapInh:\t" + none, "CapPrm:\t" + none, "CapEff:\t" + none, "CapAmb:\t" + none,
		"env HOME LC_ALL LOGNAME PATH PWD USER",
	}
	if c := as.credential; c != nil {
		lines = append(lines, fmt.Sprintf("Uid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d", c.Uid), fmt.Sprintf("Gid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d", c.Gid))
		groups := "Groups:\t"
		for _, g := range c.Groups {
			groups += fmt.Sprint(g, " ")
		}
		lines = append(lines, groups)
	}
	for _, want := range lines {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no line %q in\n%s", want, got)
		}
	}
}

// TestExecAsUser wants the groups of a user who has some, and another first group
// where one is given.
func TestExecAsUser(t *testing.T) {
	need.Root(t, "it becomes other users, or mounts")
	as, err := whom("daemon:audio")
	check(t, err)
	audio := must(user.LookupGroup("audio"))
	if as.name != "daemon" || strconv.Itoa(int(as.credential.Gid)) != audio.Gid {
		t.Errorf("identity %+v", as)
	}
	numbers, err := whom(fmt.Sprintf("%d:%s", as.credential.Uid, audio.Gid))
	if err != nil || numbers.name != "daemon" || numbers.credential.Gid != as.credential.Gid {
		t.Errorf("by numbers: %+v, %v", numbers, err)
	}
	got, err := output(t, build(t, Config{Type: "exec", Command: []string{"id", "-g"}, User: "daemon:audio"}))
	if strings.TrimSpace(got) != audio.Gid {
		t.Errorf("group %q, want %s: %v", got, audio.Gid, err)
	}
	for _, line := range strings.Split(string(must(os.ReadFile("/etc/passwd"))), "\n") {
		name, _, _ := strings.Cut(line, ":")
		u, err := user.Lookup(name)
		if err != nil || u.Uid == "0" {
			continue
		}
		groups := must(u.GroupIds())
		if len(groups) < 2 {
			continue
		}
		got, _ := output(t, build(t, Config{Type: "exec", Command: []string{"id", "-G"}, User: name}))
		for _, g := range groups {
			if !strings.Contains(" "+strings.TrimSpace(got)+" ", " "+g+" ") {
				t.Errorf("%s has groups %v, and its command %s", name, groups, got)
			}
		}
		return
	}
	t.Log("no user of this host has a second group")
}

const execEnv = "HEADGATE_TEST_EXEC"

// execForever is hostd, killed by a test: it starts a command, says what that says,
// and goes on. With a user, it says what came of that instead.
func execForever(as string) {
	source := must(New(Config{Type: "exec", Command: []string{"sh", "-c", "echo $$; exec sleep 100"}, User: as}))
	stream, info, err := source.Open()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(info.Detail)
	_, _ = io.Copy(os.Stdout, stream)
}

// another runs this test's binary as execForever, as a user of its own if uid is not 0.
func another(t *testing.T, uid uint32, as string) (child *os.Process, out *os.File) {
	t.Helper()
	path := filepath.Join(openDir(t), "test")
	check(t, os.WriteFile(path, must(os.ReadFile("/proc/self/exe")), 0o700))
	check(t, os.Chmod(path, 0o755))
	out, in, err := os.Pipe()
	check(t, err)
	defer in.Close()
	attr := &os.ProcAttr{Env: append(os.Environ(), execEnv+"="+as), Files: []*os.File{nil, in, in}, Dir: "/"}
	if uid != 0 {
		attr.Sys = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	child, err = os.StartProcess(path, []string{path}, attr)
	check(t, err)
	t.Cleanup(func() {
		_ = child.Kill()
		_, _ = child.Wait()
		_ = out.Close()
	})
	return child, out
}

func lineOf(t *testing.T, r io.Reader) string {
	t.Helper()
	var line []byte
	for p := make([]byte, 1); ; {
		if _, err := r.Read(p); err != nil || p[0] == '\n' {
			return string(line)
		}
		line = append(line, p[0])
	}
}

// TestExecWithoutCapabilities is hostd as a user that cannot become another.
func TestExecWithoutCapabilities(t *testing.T) {
	need.Root(t, "it becomes other users, or mounts")
	nobody := must(number(must(user.Lookup("nobody")).Uid))
	_, out := another(t, nobody, "daemon")
	if got, want := lineOf(t, out), `user: hostd may not start a command as "daemon": it lacks CAP_SETUID, CAP_SETGID, CAP_KILL`; !strings.Contains(got, want) {
		t.Errorf("%s", got)
	}
	_, out = another(t, nobody, ":")
	if got := lineOf(t, out); got != "as user nobody" {
		t.Errorf("%s", got)
	}
	_ = firstPid(t, out)
}
