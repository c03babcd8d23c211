package meter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a meter in a process of its own: it holds no entropy, so that it may keep
// the rights which hostd gives up before it holds any. What attaching takes of time and
// memory, and how long the kernel takes to let go, is its own, too.
type Process struct {
	command *exec.Cmd
	ended   chan struct{} // closed when nothing of it is left

	mu   sync.Mutex // one question at a time
	conn net.Conn
	from *json.Decoder
}

// answer is what the process says: once when it has attached or could not, and then
// whenever it is asked, which is by one byte.
type answer struct {
	Reading Reading `json:"reading"`
	Error   string  `json:"error,omitempty"`
}

// Bounds of a meter's process: a full table takes it 15 ms, and some megabytes of JSON.
const (
	patience   = 5 * time.Second
	farewell   = 3 * time.Second // until it is killed: less than a unit's TimeoutStopSec
	attachTime = time.Minute     // on an emulated processor that others use, some seconds
)

// Command is the command of hostd that calls Serve. It is not for users.
const Command = "meter"

// socketFD is where the process finds its end of the socket: the first of
// exec.Cmd.ExtraFiles.
const socketFD = 3

// Start starts a program that calls Serve. What it takes to attach, it has from this
// process as it is now.
func Start(program string, arguments ...string) (*Process, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("meter: make a socket for its process: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "meter"), os.NewFile(uintptr(pair[1]), "meter")
	defer ours.Close() // FileConn takes a copy
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, fmt.Errorf("meter: %w", err)
	}
	command := exec.Command(program, arguments...)
	command.Args[0] = filepath.Base(program)
	command.Env, command.Dir, command.Stderr = []string{}, "/", os.Stderr
	command.ExtraFiles = []*os.File{theirs}
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a terminal's Ctrl-C is for hostd
	if err := startLast(command); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("meter: start its process: %w", err)
	}
	p := &Process{command: command, ended: make(chan struct{}), conn: conn, from: json.NewDecoder(conn)}
	go func() {
		defer close(p.ended)
		_ = command.Wait() // however it ends
	}()
	return p, nil
}

// Ended is closed when nothing of the process is left.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Attached waits until the process has attached its programs, and says why it could not.
func (p *Process) Attached() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.hear(attachTime)
	return err
}

// Read asks for a snapshot. Any number of goroutines may call it, once Attached is nil.
func (p *Process) Read() (Reading, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.conn.Write([]byte{'\n'}); err != nil {
		return Reading{}, silent(err)
	}
	return p.hear(patience)
}

// hear waits for one answer. What comes late would be taken for the next one: a process
// that is not in time is not heard again.
func (p *Process) hear(patience time.Duration) (Reading, error) {
	_ = p.conn.SetReadDeadline(time.Now().Add(patience)) // of a closed one the read says so
	var a answer
	switch err := p.from.Decode(&a); {
	case err != nil:
		p.conn.Close()
		return Reading{}, silent(err)
	case a.Error != "":
		return Reading{}, errors.New(a.Error)
	}
	return a.Reading, nil
}

func silent(err error) error {
	if errors.Is(err, io.EOF) {
		err = errors.New("it has ended")
	}
	return fmt.Errorf("meter: its process does not answer: %w; restart hostd", err)
}

// Close ends the process, and waits until nothing of it is left in the kernel. It may be
// called more than once, and after it has ended.
func (p *Process) Close() {
	p.conn.Close() // also under a Read
	late := time.AfterFunc(farewell, func() { _ = p.command.Process.Kill() })
	defer late.Stop()
	<-p.ended
}

// Serve is the process: it answers until whoever started it closes the socket, or ends.
func Serve(o Options) error {
	// A service manager ends all of a service at once, a terminal what runs in it: this
	// has to end after hostd, who says when.
	signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	socket := os.NewFile(socketFD, "socket")
	conn, err := net.FileConn(socket)
	if err != nil {
		return fmt.Errorf("meter: hostd starts this by itself: descriptor %d is not its socket: %w", socketFD, err)
	}
	defer conn.Close()
	_ = socket.Close()
	to := json.NewEncoder(conn)
	m, err := Attach(o)
	if err != nil {
		_ = to.Encode(answer{Error: err.Error()}) // unless hostd has ended
		return nil
	}
	defer m.Close()
	debug.FreeOSMemory() // the kernel's types are some megabytes, and were for this alone
	var a answer
	for question := []byte{0}; to.Encode(a) == nil; {
		if _, err := io.ReadFull(conn, question); err != nil {
			break // hostd has ended
		}
		a = answer{}
		if a.Reading, err = m.Read(); err != nil {
			a.Error = err.Error()
		}
	}
	return nil
}

// startLast starts a program that has the processor when nobody else wants it, from its
// first instruction on: guests come first when hostd starts. Priority is a thread's
// (setpriority(2)), and what it starts has the same; that thread ends here.
func startLast(command *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		if unix.Gettid() == os.Getpid() {
			// Of the first thread it would be shown as the whole process's, and that
			// thread never ends. Held here, it cannot be the next one's.
			started <- startLast(command)
			runtime.UnlockOSThread()
			return
		}
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 19)
		started <- command.Start()
	}()
	return <-started
}
