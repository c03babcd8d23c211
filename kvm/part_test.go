package kvm

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The tests of who is at a socket need other processes: this binary again, with
// a part to play.
const (
	partVariable   = "HEADGATE_TEST_PART"
	socketVariable = "HEADGATE_TEST_SOCKET"
	umaskVariable  = "HEADGATE_TEST_UMASK"

	stays  = "stays"  // connects, and stays until its input ends
	leaves = "leaves" // connects, and ends
	gives  = "gives"  // connects, has a child hold the connection, and ends
	shares = "shares" // as gives, but stays; says the child's id
	holds  = "holds"  // such a child; stays until its input ends
	awaits = "awaits" // listens, and stays until its input ends
)

func play(part string) {
	if part == awaits {
		umask, err := strconv.Atoi(os.Getenv(umaskVariable))
		if err != nil {
			panic(err)
		}
		syscall.Umask(umask)
		if _, err := net.Listen("unix", os.Getenv(socketVariable)); err != nil {
			panic(err)
		}
		fmt.Println(0)
	} else if part != holds {
		conn, err := net.Dial("unix", os.Getenv(socketVariable))
		if err != nil {
			panic(err)
		}
		child := 0
		if part == gives || part == shares {
			child = hand(conn.(*net.UnixConn))
		}
		fmt.Println(child)
	}
	if part == stays || part == shares || part == holds || part == awaits {
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}

// hand gives the connection to a child.
func hand(conn *net.UnixConn) int {
	file, err := conn.File()
	if err != nil {
		panic(err)
	}
	child := exec.Command("/proc/self/exe")
	child.Env = append(os.Environ(), partVariable+"="+holds)
	child.Stdin, child.ExtraFiles = os.Stdin, []*os.File{file}
	if err := child.Start(); err != nil {
		panic(err)
	}
	return child.Process.Pid
}

// peer is another process.
type peer struct {
	pid   int
	child int // that holds its connection, if any
	cmd   *exec.Cmd
	hold  *os.File // what keeps it
}

// listens has another process, of a user and with a umask, listen at the socket.
func (r *rig) listens(t *testing.T, uid uint32, umask int) *peer {
	t.Helper()
	t.Setenv(umaskVariable, strconv.Itoa(umask))
	return r.start(t, awaits, uid)
}

// as is a command that runs as a user.
func as(t *testing.T, uid uint32, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return cmd
}

// start has another process connect to the socket, or listen there. It runs as uid, if
// that is not 0.
func (r *rig) start(t *testing.T, part string, uid uint32) *peer {
	t.Helper()
	// Under this name another user can run it, too, wherever it was built.
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), partVariable+"="+part, socketVariable+"="+r.path,
		"GORACE=atexit_sleep_ms=0") // or the race detector has each end a second later
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	in, hold, err := os.Pipe() // exec's own would end with the process, not with its child
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	cmd.Stdin = in
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		hold.Close()
		_ = cmd.Wait()
	})
	var line [256]byte
	n, _ := out.Read(line[:]) // when it has connected, or listens
	child, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatalf("the other process did not connect: %q", line[:n])
	}
	return &peer{pid: cmd.Process.Pid, child: child, cmd: cmd, hold: hold}
}
