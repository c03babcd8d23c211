//go:build linux

package meter

import (
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"headgate/hostd/meter"
)

// much is what each reader reads where the device is a fast one.
const much = 1 << 20

// reader is one run of the program.
type reader struct {
	name   string // of the file, and so of the process (execve(2), PR_GET_NAME)
	way    meter.Way
	bytes  int
	chunk  int    // not a power of two: the last call is a short one
	cgroup string // folder
	path   string // of it in the hierarchy

	pid   int
	calls uint64 // as it counted them itself
}

// readers are one for each way, each in a cgroup of its own. The one under which these are
// has a folder, and a path in the hierarchy.
func readers(folder, under string) []*reader {
	all := []*reader{
		{name: "drinks-hw", way: meter.HWRNG, chunk: 5000},
		{name: "drinks-random", way: meter.Random, chunk: 3001},
		{name: "drinks-urandom", way: meter.Urandom, chunk: 4099},
		{name: "drinks-call", way: meter.Getrandom, chunk: 211},
	}
	for _, r := range all {
		r.bytes, r.cgroup, r.path = much, filepath.Join(folder, r.name), path.Join(under, r.name)
	}
	return all
}

// library is a reader that calls getrandom as the C library of a new system does.
func library(folder, under string) *reader {
	const name = "drinks-library"
	return &reader{
		name: name, way: "vdso", bytes: much, chunk: 4096,
		cgroup: filepath.Join(folder, name), path: path.Join(under, name),
	}
}

// args are those of the program, which says its calls into the file say and stays.
func (r *reader) args(say string) []string {
	return []string{
		"-way", string(r.way), "-bytes", strconv.Itoa(r.bytes), "-chunk", strconv.Itoa(r.chunk),
		"-cgroup", r.cgroup, "-say", say, "-stay",
	}
}

// said takes what the program said.
func (r *reader) said(t *testing.T, text string) {
	t.Helper()
	var err error
	if r.calls, err = strconv.ParseUint(strings.TrimSpace(text), 10, 64); err != nil {
		t.Fatalf("%s said %q", r.name, text)
	}
}

// check fails the test unless the reader is shown as it was: what it read, to the byte and
// the call, by this way alone, under its name and in its cgroup.
func (r *reader) check(t *testing.T, s shown, gone bool) {
	t.Helper()
	want := user{
		PID: r.pid, Process: r.name, Cgroup: r.path, Gone: gone,
		Way: r.way, Bytes: uint64(r.bytes), Calls: r.calls,
	}
	rows := s.of(r.name)
	t.Logf("%+v", rows)
	if len(rows) != 1 || rows[0] != want {
		t.Errorf("shown is %+v, want %+v", rows, want)
	}
}

// checkLibrary is check for the one that reads as the C library does: what the vDSO answers
// is not in the figures, and the notes say so; where it answers nothing all of it is there.
func (r *reader) checkLibrary(t *testing.T, s shown) {
	t.Helper()
	var counted uint64
	for _, u := range s.of(r.name) {
		counted += u.Bytes
	}
	all := s.seesAll(t)
	t.Logf("of %d bytes by the library's getrandom %d are shown", r.bytes, counted)
	switch {
	case all && counted != uint64(r.bytes):
		t.Errorf("the kernel has no getrandom in its vDSO, and %d of %d bytes are shown", counted, r.bytes)
	// Its state is seeded by a system call, 32 bytes now and then.
	case !all && counted > uint64(r.bytes)/16:
		t.Errorf("what the vDSO answers is said not to be seen, and %d of %d bytes are shown", counted, r.bytes)
	}
}
