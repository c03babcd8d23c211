package backends

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// execSource is the standard output of a command: arecord for the noise of a sound
// card, ffmpeg for that of a camera, rtl_sdr for that of a receiver. What the noise is,
// and how much of it is in a byte, only who chose the command can know.
//
// The command is started at Open and ended at Close. No shell is asked. It runs in a
// session of its own, with no privileges and no way to gain some, as a user that
// is not hostd's where hostd may choose, with /dev/null to read, no other descriptor of
// hostd's, and a small environment; and it is killed when hostd dies. One that writes
// faster than it is read waits in its pipe. A stream begins with an empty pipe, so that
// nothing that was written before a failed test is ever read after it.
//
// At Close all that the command has started is killed with it, but for what has left
// its process group, which hostd does not wait for. When hostd itself is killed, the
// kernel kills the command alone. Whatever is left then has lost its pipe, and a service
// manager ends it.
type execSource struct {
	config Config
	// patience is how long a command may take to end when it is asked to (SIGTERM), and
	// then how long the kernel may take to end it (SIGKILL): a process in the middle of a
	// driver's call may stay for ever.
	patience time.Duration
	last     *execStream
}

func newExec(c Config) Source { return &execSource{config: c, patience: time.Second} }

func checkExec(c Config) error {
	const (
		command = `the program, by its absolute path or its name, and each of its arguments: ["arecord", "-q", "-D", "hw:0"]`
		user    = `"user" or "user:group" of this host`
	)
	if len(c.Command) == 0 {
		return refuse("command", command, "no command is given")
	}
	for _, arg := range c.Command {
		if strings.ContainsRune(arg, 0) {
			return refuse("command", command, "%q has a zero byte in it", arg)
		}
	}
	switch program := c.Command[0]; {
	case program == "":
		return refuse("command", command, "the program has no name")
	case len(c.Command) == 1 && strings.ContainsAny(program, " \t\n|<>&;$"):
		return refuse("command", command, "%q is a line for a shell, and none is asked", program)
	case !filepath.IsAbs(program) && strings.Contains(program, "/"):
		return refuse("command", command, "%q is relative to a folder that is not yours to choose", program)
	}
	if c.User == "" {
		return nil
	}
	name, group, given := strings.Cut(c.User, ":")
	switch {
	case name == "", given && group == "", strings.Contains(group, ":"):
		return refuse("user", user, "%q is no user", c.User)
	case name == "root", name == "0":
		return refuse("user", user, "a command that reads a device needs no privileges: "+
			"give it a user of its own, and that one the right to the device")
	}
	return nil
}

// Open starts the command.
func (s *execSource) Open() (io.ReadCloser, Info, error) {
	program, err := findProgram(s.config.Command[0])
	if err != nil {
		return nil, Info{}, err
	}
	if s.last != nil && !s.last.over() {
		return nil, Info{}, fmt.Errorf("start %s: the last one (process %d) was killed and does not end: its device is stuck",
			program, s.last.command.Process.Pid)
	}
	as, err := whom(s.config.User)
	if err != nil {
		return nil, Info{}, fmt.Errorf("start %s: %w", program, err)
	}
	// Two of one program may read one device, through links to it as well.
	resolved, err := filepath.EvalSymlinks(program)
	if err != nil {
		return nil, Info{}, fmt.Errorf("start %s: %w", program, err)
	}
	stream, err := startCommand(program, s.config.Command, as)
	if err != nil {
		return nil, Info{}, fmt.Errorf("start %s as user %s: %w", program, as.name, err)
	}
	stream.patience = s.patience
	s.last = stream
	info := Info{Path: program, Driver: filepath.Base(program), Origin: "exec:" + resolved, Detail: "as user " + as.name}
	return stream, s.config.claim(info, 8), nil
}

func findProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("start %s: there is no such program in hostd's PATH (%s): give its absolute path", name, os.Getenv("PATH"))
	case err != nil:
		return "", fmt.Errorf("start %s: %w", name, errors.Unwrap(err))
	case !filepath.IsAbs(path):
		return "", fmt.Errorf("start %s: it is found in a relative folder of hostd's PATH (%s): give its absolute path", name, os.Getenv("PATH"))
	}
	return path, nil
}
