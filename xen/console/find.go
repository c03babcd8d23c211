package console

import (
	"errors"
	"io/fs"
	"strconv"

	"headgate/xen/xenstore"
)

// directory has the guest's further consoles; console 0 is elsewhere.
const directory = "device/console"

// mostConsoles is how many entries are looked at; hvc_xen has 16 devices at most
// (MAX_NR_HVC_CONSOLES in Linux' drivers/tty/hvc/hvc_console.h).
const mostConsoles = 16

// Find returns the device of the channel with this name, as /dev/hvc<n>. The error
// is fs.ErrNotExist where there is none.
func Find(s *xenstore.Conn, name string) (path string, err error) {
	list, err := s.List(directory)
	if err != nil {
		return "", err
	}
	for _, entry := range list {
		n, err := strconv.ParseUint(entry, 10, 32)
		if err != nil || n >= mostConsoles {
			continue
		}
		has, err := s.Read(directory + "/" + entry + "/name")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		if has == name {
			return "/dev/hvc" + strconv.FormatUint(n, 10), nil
		}
	}
	return "", &fs.PathError{Op: "find channel", Path: directory + "/*/name = " + name, Err: fs.ErrNotExist}
}
