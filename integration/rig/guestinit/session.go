//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"headgate/integration/rig/job"

	"golang.org/x/sys/unix"
)

// session answers the commands of one host.
type session struct {
	port  *os.File
	beat  *heartbeat
	write sync.Mutex

	mu      sync.Mutex
	running map[uint64]func() // what Stop calls, by command
}

func newSession(port *os.File) *session {
	return &session{port: port, beat: startHeartbeat(), running: map[uint64]func(){}}
}

// serve reads commands until the host says power off or goes away.
func (s *session) serve() error {
	s.answer(job.Answer{Last: true})
	lines := bufio.NewScanner(patient{s.port})
	for lines.Scan() {
		var c job.Command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			fmt.Printf("guestinit: command %q: %v\n", lines.Text(), err)
			continue
		}
		if c.Do == job.PowerOff {
			s.answer(job.Answer{ID: c.ID, Last: true})
			return nil
		}
		go s.do(c)
	}
	return lines.Err()
}

func (s *session) do(c job.Command) {
	reply := job.Answer{ID: c.ID, Last: true}
	var err error
	switch c.Do {
	case job.Insmod:
		mark("insert " + strings.Join(c.Args, " "))
		err = insert(c.Args)
	case job.Read:
		err = s.read(c, &reply)
	case job.Stop:
		s.stop(c.Target)
	case job.Run:
		reply.Exit, err = run(c)
	case job.Start:
		err = s.start(c, &reply)
	case job.Proc:
		reply.Proc, err = memory(c.PID)
	case job.Log:
		reply.Log, err = logRecords(c.Args)
	case job.AwaitLog:
		reply.Log, err = awaitLog(c.Args, c.For)
	case job.Heartbeat:
		reply.Beat = s.beat.take()
	default:
		err = fmt.Errorf("unknown command %q", c.Do)
	}
	if err != nil {
		reply.Error = err.Error()
	}
	s.answer(reply)
}

// answer writes one line. The console has the failure where the port is gone.
func (s *session) answer(a job.Answer) {
	a.Now = now()
	line, err := json.Marshal(a)
	if err == nil {
		s.write.Lock()
		_, err = s.port.Write(append(line, '\n'))
		s.write.Unlock()
	}
	if err != nil {
		fmt.Println("guestinit: answer:", err)
	}
}

// began registers what Stop shall call for a command, and returns what takes it
// off again.
func (s *session) began(id uint64, stop func()) (ended func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[id] = stop
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.running, id)
	}
}

// stop ends what a command began. What has ended by itself has said how, or is about to.
func (s *session) stop(id uint64) {
	s.mu.Lock()
	stop := s.running[id]
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// patient waits through the moment in which the driver does not know yet that
// the host has connected and reads end at once.
type patient struct{ file *os.File }

func (p patient) Read(b []byte) (int, error) {
	for {
		n, err := p.file.Read(b)
		if n > 0 || (err != nil && err != io.EOF) {
			return n, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// now is CLOCK_MONOTONIC in nanoseconds.
func now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0
	}
	return t.Nano()
}
