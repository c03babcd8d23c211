package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"

	"headgate/hostd/config"
)

// Bits of a mode, as for others.
const (
	canSearch = 0o1
	canWrite  = 0o2
	canRead   = 0o4
)

// restartHostd does not leave devices alone that were plugged in: libvirt 9.0 gives
// those no reconnect.
const restartHostd = "systemctl restart hostd    # cuts off what was plugged in, in libvirt 9.0: then look again"

// may tells whether the mode gives u that right (path_resolution(7)).
func (s Step) may(u User, bit fs.FileMode) bool {
	switch {
	case u.UID == 0:
		return true
	case s.UID == u.UID:
		bit <<= 6
	case slices.Contains(u.GIDs, s.GID):
		bit <<= 3
	}
	return s.Mode&bit != 0
}

// obstacle says what keeps u from connecting to the socket at the end of w, and
// the command that lets it; nothing, if nothing does (unix(7): to connect is to
// write).
func (w Way) obstacle(u User) (what, remedy string) {
	for i, s := range w.Steps {
		if i == len(w.Steps)-1 && w.Err == nil {
			break
		}
		if s.Mode.IsDir() && !s.may(u, canSearch) {
			return fmt.Sprintf("%s may not pass through %s (%v, owner %d:%d)", u, s.Path, s.Mode, s.UID, s.GID),
				"chmod o+x " + config.ShellWord(s.Path)
		}
	}
	if errors.Is(w.Err, fs.ErrNotExist) {
		return "nothing is there", restartHostd
	}
	if w.Err != nil || len(w.Steps) == 0 {
		return fmt.Sprintf("it cannot be seen: %v", w.Err), "sudo hostd libvirt doctor"
	}
	end := w.Steps[len(w.Steps)-1]
	switch {
	case end.Mode.Type() != fs.ModeSocket:
		return "it is no socket", "rm " + config.ShellWord(end.Path) + " && " + restartHostd
	case !end.may(u, canWrite):
		return fmt.Sprintf("%s may not connect to it (%v, owner %d:%d)", u, end.Mode, end.UID, end.GID),
			fmt.Sprintf("chown %d %s", u.UID, config.ShellWord(end.Path))
	}
	return "", ""
}

func (u User) String() string { return "QEMU's user " + u.name() }

func (u User) name() string {
	if u.Name != "" {
		return fmt.Sprintf("%s (%d)", u.Name, u.UID)
	}
	return strconv.FormatUint(uint64(u.UID), 10)
}
