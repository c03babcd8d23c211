package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What is read of the logs at most, in bytes, from their ends.
const (
	maxKernelLog = 1 << 20
	maxAuditLog  = 1 << 20
)

// maxRecord is more than a record of /dev/kmsg has (CONSOLE_EXT_LOG_MAX, printk.h).
const maxRecord = 8 << 10

// kernelLog reads what the kernel's ring holds. A read gives one record, and
// EPIPE where the ring has gone on over it (Documentation/ABI/testing/dev-kmsg).
func kernelLog(path string) ([]byte, error) {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer syscall.Close(fd)
	var log []byte
	record := make([]byte, maxRecord)
	for range maxKernelLog { // it may be refilled as fast as it is read
		n, err := syscall.Read(fd, record)
		switch {
		case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.EINTR):
			continue
		case err != nil, n == 0:
			return log, nil // EAGAIN: that was all
		}
		if bytes.Contains(record[:n], []byte("audit")) || bytes.Contains(record[:n], []byte("avc")) {
			log = append(log, record[:n]...)
		}
		if len(log) > maxKernelLog {
			return log, nil
		}
	}
	return log, nil
}

// tail reads the end of a file.
func tail(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file: %w", path, err)
	}
	return io.ReadAll(io.NewSectionReader(f, max(info.Size()-n, 0), n))
}

// stamp is what an audit record begins with: seconds since 1970, milliseconds and
// a serial number (kernel/audit.c, audit_log_start).
var stamp = regexp.MustCompile(`audit\((\d{1,11})\.(\d{3}):\d+\)`)

// denialsIn finds what was denied about a path below the guests' folder, or about
// running the program that the hook calls.
func denialsIn(log []byte, guests, program string) (found []Denial) {
	for line := range bytes.Lines(log) {
		text := strings.TrimSpace(string(line))
		at := stamp.FindStringSubmatch(text)
		if at == nil || !denies(text) {
			continue
		}
		ours := strings.Contains(text, `"`+guests+"/") ||
			program != "" && strings.Contains(text, `name="`+program+`"`) && strings.Contains(text, `operation="exec"`)
		if !ours {
			continue
		}
		seconds, _ := strconv.ParseInt(at[1], 10, 64) // digits, few enough
		ms, _ := strconv.ParseInt(at[2], 10, 64)
		found = append(found, Denial{Time: time.UnixMilli(seconds*1000 + ms), Text: text[strings.Index(text, at[0]):]})
	}
	return found
}

// denies knows AppArmor's way of saying it (security/apparmor/audit.c) and
// SELinux's (security/selinux/avc.c). SELinux in permissive mode says so.
func denies(text string) bool {
	return strings.Contains(text, `apparmor="DENIED"`) ||
		strings.Contains(text, "avc:  denied  {") && !strings.Contains(text, "permissive=1")
}
