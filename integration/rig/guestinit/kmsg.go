//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"headgate/integration/rig/job"

	"golang.org/x/sys/unix"
)

const kmsg = "/dev/kmsg"

// mark writes a line into the kernel's log, where it stands with a timestamp
// of the same clock as the kernel's own lines.
func mark(text string) {
	if err := os.WriteFile(kmsg, []byte("<6>"+job.Marker+text+"\n"), 0); err != nil {
		fmt.Println("guestinit: mark:", err)
	}
}

// logRecords returns the records there are that contain one of the words, all
// of them if none is given.
func logRecords(words []string) ([]job.Record, error) {
	return scanLog(words, time.Now(), func(job.Record) bool { return false })
}

// awaitLog returns the first record that contains words[0], waiting for it.
func awaitLog(words []string, patience time.Duration) ([]job.Record, error) {
	if len(words) != 1 {
		return nil, errors.New("await-log: one word wanted")
	}
	found, err := scanLog(words, time.Now().Add(patience), func(job.Record) bool { return true })
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("not in the kernel's log within %s: %s", patience, words[0])
	}
	return found, err
}

// scanLog reads the log from its oldest record. It ends at the deadline, at
// once if that is over and no record is left, or when enough says so.
func scanLog(words []string, deadline time.Time, enough func(job.Record) bool) ([]job.Record, error) {
	// A raw descriptor and poll(2): each read(2) of this device gives one
	// record, and EPIPE when records were overwritten meanwhile.
	fd, err := unix.Open(kmsg, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", kmsg, err)
	}
	defer unix.Close(fd)
	var found []job.Record
	buf := make([]byte, 8192)
	for {
		n, err := unix.Read(fd, buf)
		switch {
		case err == nil:
			record, ok := parseRecord(string(buf[:n]))
			if ok && matches(record.Text, words) {
				found = append(found, record)
				if enough(record) {
					return found, nil
				}
			}
		case errors.Is(err, syscall.EAGAIN):
			left := time.Until(deadline)
			if left <= 0 {
				return found, nil
			}
			if err := wait(fd, left); err != nil {
				return nil, err
			}
		case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.EINTR):
		default:
			return nil, fmt.Errorf("read %s: %w", kmsg, err)
		}
	}
}

func wait(fd int, patience time.Duration) error {
	set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	_, err := unix.Poll(set, int(patience.Milliseconds())+1)
	if err != nil && !errors.Is(err, syscall.EINTR) {
		return fmt.Errorf("poll %s: %w", kmsg, err)
	}
	return nil
}

// parseRecord takes "prio,seq,µs,flags[,...];text\n ..." apart
// (Documentation/ABI/testing/dev-kmsg).
func parseRecord(line string) (job.Record, bool) {
	prefix, text, ok := strings.Cut(line, ";")
	fields := strings.Split(prefix, ",")
	if !ok || len(fields) < 3 {
		return job.Record{}, false
	}
	micros, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return job.Record{}, false
	}
	text, _, _ = strings.Cut(text, "\n")
	return job.Record{At: time.Duration(micros) * time.Microsecond, Text: text}, true
}

func matches(text string, words []string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return len(words) == 0
}
