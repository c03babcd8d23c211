package early

import (
	"strconv"
	"strings"
	"time"
)

// kmsgRecord is a record of the kernel's log.
type kmsgRecord struct {
	at     Seconds
	kernel bool // the kernel's own, and of no program that writes to /dev/kmsg
	text   string
}

// parseKmsg takes "PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,...];TEXT\n KEY=VALUE\n" apart
// (Documentation/ABI/testing/dev-kmsg). The priority is syslog's, facility times 8 plus
// level, and facility 0 is the kernel's alone.
func parseKmsg(b []byte) (kmsgRecord, bool) {
	line, _, _ := strings.Cut(string(b), "\n")
	prefix, text, ok := strings.Cut(line, ";")
	fields := strings.Split(prefix, ",")
	if !ok || len(fields) < 4 {
		return kmsgRecord{}, false
	}
	priority, bad := strconv.ParseUint(fields[0], 10, 32)
	micros, wrong := strconv.ParseUint(fields[2], 10, 63)
	if bad != nil || wrong != nil || micros > uint64(1<<63-1)/1000 {
		return kmsgRecord{}, false
	}
	return kmsgRecord{at: Seconds(time.Duration(micros) * time.Microsecond), kernel: priority < 8, text: text}, true
}

// ready says whether a record is the kernel's word that its generator is ready
// (drivers/char/random.c).
func (r kmsgRecord) ready() bool { return r.kernel && r.text == "random: crng init done" }

// Logged is what the kernel's log tells of a read before the trace began.
type Logged struct {
	Process string  `json:"process"`
	Bytes   uint64  `json:"bytes"`
	At      Seconds `json:"at_seconds"`
}

// unready is a record of a read of /dev/urandom before the generator was ready:
// "random: NAME: uninitialized urandom read (N bytes read)" (urandom_read_iter in
// drivers/char/random.c, which says it of the first ten). A name may have anything in it.
func (r kmsgRecord) unready() (Logged, bool) {
	const middle, last = ": uninitialized urandom read (", " bytes read)"
	text, ok := strings.CutPrefix(r.text, "random: ")
	text, whole := strings.CutSuffix(text, last)
	i := strings.LastIndex(text, middle)
	if !ok || !whole || i < 0 || !r.kernel {
		return Logged{}, false
	}
	n, err := strconv.ParseUint(text[i+len(middle):], 10, 64)
	return Logged{text[:i], n, r.at}, err == nil
}
