package backends

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// execRest is for what a command left in its pipes when it ended.
const execRest = time.Second

var errSilent = errors.New("the command has closed its standard output and goes on: nothing more can come")

// execStream is one run of a command.
type execStream struct {
	command  *exec.Cmd
	stdout   *os.File
	stderr   *lastWords
	patience time.Duration // see execSource

	close sync.Once
	quit  chan struct{} // closed by Close
	done  chan struct{} // closed when nothing is left of the command, by run
	ended error         // how it ended; is set before done is closed

	mu     sync.Mutex
	reaped bool // its process id may be another's
}

// startCommand starts program, whose arguments begin with the name that it is called by.
func startCommand(program string, args []string, as identity) (*execStream, error) {
	if err := closeOnExec(); err != nil {
		return nil, err
	}
	stdout, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	stderr, errs, err := os.Pipe()
	if err != nil {
		_ = stdout.Close()
		return nil, err
	}
	defer errs.Close()
	s := &execStream{
		stdout: stdout, stderr: newLastWords(stderr), quit: make(chan struct{}), done: make(chan struct{}),
		command: &exec.Cmd{
			Path: program, Args: args, Env: as.environment(), Dir: "/", Stdout: out, Stderr: errs,
			SysProcAttr: &syscall.SysProcAttr{
				Setsid: true, Pdeathsig: syscall.SIGKILL, Credential: as.credential,
			},
		},
	}
	started := make(chan error)
	go s.run(as, started)
	if err := <-started; err != nil {
		_ = stdout.Close()
		_ = stderr.Close()
		return nil, err
	}
	go s.stderr.listen()
	return s, nil
}

// closeOnExec keeps from a command what hostd was given by what started it, and could
// not mark by itself: all that it opened is marked. (close_range(2), Linux 5.11.)
func closeOnExec() error {
	if unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return nil
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("find hostd's open files: %w", err)
	}
	for _, e := range open {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// run starts the command and waits for its end, on a thread that has renounced what a
// command need not have and so can be used for nothing else: it is never unlocked, and
// ends with this goroutine. It has to last as long as the command, since the death that
// PR_SET_PDEATHSIG speaks of is that of the thread which started it (prctl(2)).
func (s *execStream) run(as identity, started chan<- error) {
	runtime.LockOSThread()
	defer close(s.done)
	err := renounce(as)
	if err == nil {
		err = s.command.Start()
	}
	started <- err
	if err != nil {
		return
	}
	// Its id, and with it that of the group, stays its own until it is reaped: nobody
	// else is killed.
	pid := s.command.Process.Pid
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	s.mu.Lock()
	_ = unix.Kill(-pid, unix.SIGKILL)
	_ = s.command.Wait() // the state says more than its error
	s.reaped = true
	s.mu.Unlock()

	// What has left the group may hold the pipes open, and is not waited for.
	_ = s.stdout.SetReadDeadline(time.Now().Add(execRest))
	s.stderr.end(s.quit)
	s.ended = s.verdict()
}

// verdict is the error that a Read at the end returns.
func (s *execStream) verdict() error {
	how := "ended, and the kernel does not say how"
	if state := s.command.ProcessState; state != nil {
		switch w := state.Sys().(syscall.WaitStatus); {
		case w.Exited():
			how = fmt.Sprintf("exited %d", w.ExitStatus())
		case w.Signaled():
			how = fmt.Sprintf("was killed by signal %d (%v)", w.Signal(), w.Signal())
		}
	}
	if words := s.stderr.String(); words != "" {
		how += ": " + words
	}
	return errors.New("the command " + how)
}

func (s *execStream) Read(p []byte) (int, error) {
	n, err := s.stdout.Read(p)
	if n > 0 || err == nil || errors.Is(err, os.ErrClosed) {
		return n, err
	}
	// The end of its output, or, after its own end, of our patience with whoever holds
	// that. Its end is known as soon as its last words are, which takes execRest at most.
	rest := time.NewTimer(2 * execRest)
	defer rest.Stop()
	select {
	case <-s.done:
		err = s.ended
	case <-rest.C:
		err = errSilent
	case <-s.quit:
	}
	select {
	case <-s.quit:
		return 0, os.ErrClosed
	default:
		return 0, err
	}
}

// Close ends the command, and returns when it has been reaped, or else after twice the
// patience; then its process, a thread and a goroutine are left behind until the kernel
// lets go of it.
func (s *execStream) Close() error {
	s.close.Do(func() {
		close(s.quit)
		_ = s.stdout.Close()
		for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
			s.signal(sig)
			patience := time.NewTimer(s.patience)
			select {
			case <-s.done:
			case <-patience.C:
			}
			patience.Stop()
		}
		s.stderr.close()
	})
	return nil
}

// signal sends sig to the command and what it has started.
func (s *execStream) signal(sig unix.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.reaped {
		_ = unix.Kill(-s.command.Process.Pid, sig)
	}
}

// over tells whether nothing is left of the command.
func (s *execStream) over() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}
