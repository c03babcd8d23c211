//go:build linux

package early

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// proc is a folder as /proc is, with the files of one thread for each pid.
func proc(t *testing.T, threads map[int][3]string) string {
	t.Helper()
	dir := t.TempDir()
	for tid, texts := range threads {
		task := filepath.Join(dir, strconv.Itoa(tid), "task", strconv.Itoa(tid))
		if err := os.MkdirAll(task, 0o755); err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"comm", "stack", "syscall"} {
			if err := os.WriteFile(filepath.Join(task, name), []byte(texts[i]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestWaitingNow(t *testing.T) {
	getrandom := strconv.Itoa(unix.SYS_GETRANDOM) + " 0x7f01 0x20 0x0 0x0 0x0 0x0 0x7ffe 0x7f00\n"
	read := strconv.Itoa(unix.SYS_READ) + " 0x3 0x7f01 0x40 0x0 0x0 0x0 0x7ffe 0x7f00\n"
	dir := proc(t, map[int][3]string{
		2:  {"kthreadd\n", "[<0>] kthreadd+0x1\n", "0 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0\n"},
		10: {"asleep\n", "[<0>] wait_for_random_bytes+0x100/0x1e0\n[<0>] __x64_sys_getrandom+0x98/0xd0\n", getrandom},
		11: {"busy\n", "[<0>] try_to_generate_entropy+0x190/0x1e0\n[<0>] urandom_read_iter+0x26/0xd0\n", "running\n"},
		12: {"reads\n", "[<0>] wait_for_random_bytes+0x100/0x1e0\n[<0>] random_read_iter+0x98/0xd0\n", read},
		13: {"nostack\n", "", getrandom},
		14: {"pipe\n", "[<0>] pipe_read+0x1\n", read},
		15: {"kernel\n", "[<0>] wait_for_random_bytes+0x100/0x1e0\n[<0>] kthread+0x1\n", "0 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0\n"},
		16: {"odd\n", "", "318 0x1 zz 0x0 0x0 0x0 0x0 0x0 0x0\n"},
	})
	want := []found{
		{10, 10, "asleep", Getrandom, 32, 0},
		{11, 11, "busy", Urandom, unknown, 0},
		{12, 12, "reads", Random, 64, 0},
		{13, 13, "nostack", Getrandom, 32, 0},
	}
	got := waitingNow(dir)
	for i, w := range want {
		if i >= len(got) || got[i] != w {
			t.Fatalf("%+v, want %+v", got, want)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%+v", got[len(want):])
	}
	if got := waitingNow("/nowhere"); got != nil {
		t.Errorf("%+v", got)
	}
}

// A real process that waits, but not for this: what the kernel writes is understood.
func TestRealProc(t *testing.T) {
	cmd := exec.Command("sh", "-c", "echo; read x") // by its builtins, in one process
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = in.Close()
		_ = cmd.Wait()
	}()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	for _, f := range waitingNow("/proc") {
		t.Errorf("nobody waits for a generator that is ready, but %+v", f)
	}
	pid := strconv.Itoa(cmd.Process.Pid)
	for try := 0; ; try++ {
		number, args := parseSyscall(head("/proc/" + pid + "/task/" + pid + "/syscall"))
		if number == unix.SYS_READ && args[0] == 0 && args[2] > 0 {
			break
		}
		if try == 1000 {
			t.Fatalf("%d, %v", number, args) // it has long been asleep by now
		}
		time.Sleep(time.Millisecond)
	}
}
