//go:build linux

package sign

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"headgate/wire/feed"
)

// QEMU's table has the GUID at this place (VMGENID_GUID_OFFSET, hw/acpi/vmgenid.h).
// The file shows that of the QEMU that runs now, whatever the guest's memory says.
const (
	guidOffset = 40
	guidSize   = 16
)

// generation is the VM generation ID.
type generation struct {
	raw  *os.File
	last [guidSize]byte
}

func openGeneration(path string) (*generation, error) {
	raw, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	g := &generation{raw: raw}
	if g.last, err = g.read(); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return g, nil
}

func (g *generation) read() (id [guidSize]byte, err error) {
	n, err := readAt(g.raw, id[:], guidOffset)
	if err == nil && n < guidSize {
		err = io.ErrUnexpectedEOF
	}
	return id, err
}

// look says whether it is another than at the last look.
func (g *generation) look() (s Sign, changed bool, err error) {
	id, err := g.read()
	if err != nil || id == g.last {
		return Sign{}, false, err
	}
	g.last = id
	return Sign{Reason: feed.ReasonVMGenID, Mix: id, N: guidSize}, true, nil
}

// readAt reads what the kernel shows at this moment, in one call: ReadAt would ask
// again, to see the end. The file stays open; opening costs more than reading.
func readAt(f *os.File, b []byte, offset int64) (int, error) {
	n, err := unix.Pread(int(f.Fd()), b, offset)
	return max(n, 0), err
}
