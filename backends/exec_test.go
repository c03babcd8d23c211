package backends

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func command(t testing.TB, argv ...string) Source {
	return build(t, Config{Type: "exec", Command: argv})
}

// shell runs a line, for what a shell is good at: children, traps, redirections.
func shell(t testing.TB, line string) Source { return command(t, "sh", "-c", line) }

// output is all that a command writes, and how it ends.
func output(t *testing.T, s Source) (string, error) {
	t.Helper()
	stream, _, err := s.Open()
	check(t, err)
	defer stream.Close()
	var all bytes.Buffer
	_, err = io.Copy(&all, stream)
	return all.String(), err
}

func TestExecConfig(t *testing.T) {
	for _, c := range []struct {
		command []string
		user    string
		want    string
	}{
		{nil, "", "command: no command is given"},
		{[]string{""}, "", "command: the program has no name"},
		{[]string{"arecord -q -D hw:0"}, "", "is a line for a shell, and none is asked"},
		{[]string{"cat</dev/x"}, "", "is a line for a shell"},
		{[]string{"./noise"}, "", "is relative"},
		{[]string{"bin/noise", "x"}, "", "is relative"},
		{[]string{"cat", "a\x00b"}, "", "zero byte"},
		{[]string{"cat"}, ":audio", `user: ":audio" is no user`},
		{[]string{"cat"}, "nobody:", "is no user"},
		{[]string{"cat"}, "a:b:c", "is no user"},
		{[]string{"cat"}, "root", "needs no privileges"},
		{[]string{"cat"}, "root:audio", "needs no privileges"},
		{[]string{"cat"}, "0", "needs no privileges"},
	} {
		_, err := New(Config{Name: "audio", Type: "exec", Command: c.command, User: c.user})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "allowed: ") && c.user == "" {
			t.Errorf("%q as %q: %v", c.command, c.user, err)
		}
	}
	for _, argv := range [][]string{{"cat"}, {"/bin/cat", "a b", "$x", ""}, {"/opt/my noise/run"}} {
		if _, err := New(Config{Type: "exec", Command: argv}); err != nil && len(argv) > 1 {
			t.Errorf("%q: %v", argv, err)
		}
	}
}

func TestExecOpenRefuses(t *testing.T) {
	dir := openDir(t)
	plain := filepath.Join(dir, "plain")
	check(t, os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o600))
	nothing := filepath.Join(dir, "script")
	check(t, os.WriteFile(nothing, []byte("#!/nonexistent/interpreter\n"), 0o600))
	check(t, os.Chmod(nothing, 0o755))
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Command: []string{"no-such-program-here"}}, "there is no such program in hostd's PATH"},
		{Config{Command: []string{filepath.Join(dir, "none")}}, "no such file"},
		{Config{Command: []string{plain}}, "permission denied"},
		{Config{Command: []string{nothing}}, "no such file"},
		{Config{Command: []string{"cat"}, User: "no-such-user"}, `there is no user "no-such-user"`},
		{Config{Command: []string{"cat"}, User: "daemon:no-such-group"}, `there is no group "no-such-group"`},
	} {
		c.config.Type = "exec"
		files := openFiles(t)
		_, _, err := build(t, c.config).Open()
		if err == nil || !strings.HasPrefix(err.Error(), "start "+c.config.Command[0]+": ") && !strings.HasPrefix(err.Error(), "start ") ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.config, err)
		}
		if n := openFiles(t); n != files {
			t.Errorf("%+v: %d descriptors, were %d", c.config, n, files)
		}
	}
}

// TestExecOrigin has two links to one program count once.
func TestExecOrigin(t *testing.T) {
	link := filepath.Join(openDir(t), "another-cat")
	program := must(filepath.EvalSymlinks(must(findProgram("cat"))))
	check(t, os.Symlink(program, link))
	for _, name := range []string{"cat", program, link} {
		stream, info, err := command(t, name).Open()
		check(t, err)
		check(t, stream.Close())
		if info.Origin != "exec:"+program || info.Noise != Unknown || !strings.HasPrefix(info.Detail, "as user ") || !filepath.IsAbs(info.Path) {
			t.Errorf("%s: info %+v", name, info)
		}
	}
}

func TestExecEnds(t *testing.T) {
	for _, c := range []struct {
		line, said, want string
	}{
		{"printf abc", "abc", "the command exited 0"},
		{"printf abc; exit 3", "abc", "the command exited 3"},
		{"echo one >&2; printf abc; echo ' two' >&2; exit 1", "abc", "the command exited 1: one; two"},
		{"echo no newline, then dead >&2; kill -SEGV $$", "", "the command was killed by signal 11 (segmentation fault): no newline, then dead"},
		{`printf 'a\033[2Jb\0\377\tc\r\n\n' >&2; exit 1`, "", "the command exited 1: a?[2Jb?? c"},
		{"for i in 1 2 3 4 5; do echo line $i >&2; done; exit 1", "", "the command exited 1: line 3; line 4; line 5"},
		{"printf %300d 7 | tr ' ' x >&2; exit 1", "", "the command exited 1: " + strings.Repeat("x", stderrLine)},
		{"exec cat /nonexistent/device", "", "the command exited 1: cat: /nonexistent/device: No such file or directory"},
		// Its child holds both pipes, and is in its group.
		{"sleep 100 & printf abc; exit 4", "abc", "the command exited 4"},
		// These are not: they are left alone, and not waited for.
		{"setsid sleep 30 & sleep 0.2; printf abc; exit 5", "abc", "the command exited 5"},
		{"setsid sleep 30 >&- & sleep 0.2; printf abc; exit 6", "abc", "the command exited 6"},
	} {
		began := time.Now()
		said, err := output(t, shell(t, c.line))
		if said != c.said || err == nil || err.Error() != c.want {
			t.Errorf("%s: %q, %v, want %q, %s", c.line, said, err, c.said, c.want)
		}
		if d := time.Since(began); d > 20*time.Second {
			t.Errorf("%s: it took %v", c.line, d)
		}
	}
}

// TestPumpThroughExec has a command end, after some good and after some bad samples.
func TestPumpThroughExec(t *testing.T) {
	dir := openDir(t)
	samples := good(startup+3*window+100, 20)
	check(t, os.WriteFile(filepath.Join(dir, "good"), samples, 0o600))
	check(t, os.Chmod(filepath.Join(dir, "good"), 0o644))
	once := samples[startup : startup+3*window]
	r := start(t, build(t, Config{Type: "exec", MinEntropy: 6, Command: []string{"sh", "-c", "cat " + dir + "/good; echo the device is gone >&2; exit 2"}}),
		new(bucket), PumpOptions{RetryMin: time.Millisecond, RetryMax: 2 * time.Millisecond})
	defer r.stop()
	const why = "the command exited 2: the device is gone"
	eventually(t, "it was not started again", func() bool { return r.Status().Startups >= 3 })
	eventually(t, "nobody says why", func() bool { return r.Status().Error == why })
	r.stop()
	got := r.bytes()
	for len(got) >= len(once) {
		poured := once[:len(once)-run(once)]
		if !bytes.HasPrefix(got, poured) {
			t.Fatal("other bytes were poured than the command wrote")
		}
		got = got[len(poured):]
	}
}
