package daemon

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"headgate/hostd/config"
	"headgate/kvm"
)

// maxSwept bounds how many files are looked at at a time.
const maxSwept = 1 << 14

// sweep removes the sockets that an earlier hostd, which was killed, has left in the
// folder of the domains' sockets, and the folders that it made there for QEMU's. It is
// called when the domains that run have theirs: those of others that have ended meanwhile
// would stay for ever. What lives, is of another kind or cannot be judged stays.
func (d *Daemon) sweep() {
	d.mu.Lock()
	folder, own := d.config.Libvirt.Guests, map[string]bool{}
	for _, g := range d.guests {
		for _, o := range g.outlets {
			own[o.Path] = true
		}
	}
	d.mu.Unlock()
	f, err := os.Open(folder)
	if err != nil {
		return
	}
	defer f.Close()
	files, _ := f.ReadDir(maxSwept) // with an error, what there was before it
	n := 0
	for _, file := range files {
		path := filepath.Join(folder, file.Name())
		if d.ctx.Err() != nil {
			break
		}
		if guest, is := strings.CutSuffix(file.Name(), config.VhostFolder); is && file.IsDir() && config.CheckName(guest) == nil {
			if d.removesFolder(config.Libvirt{Guests: folder}.GuestVhost(guest)) {
				n++
			}
			continue
		}
		if file.Type() != fs.ModeSocket || !namesDomain(file.Name()) || own[path] {
			continue
		}
		// Without d.mu: it may not wait for anybody.
		if dead, err := kvm.Dead(path); err == nil && d.removes(path, dead) {
			n++
		}
	}
	if n > 0 {
		d.event(slog.LevelInfo, "sockets_removed", "", fmt.Sprintf("dead sockets removed that an earlier hostd left in %s: %d", folder, n))
	}
}

// namesDomain says whether a file has the name of a domain's socket.
func namesDomain(file string) bool {
	kind := filepath.Ext(file)
	return (kind == ".sock" || kind == ".port") && config.CheckName(strings.TrimSuffix(file, kind)) == nil
}

// removes removes a dead socket, if it is still the one that is there and no guest
// has got the path meanwhile, and says whether it has. Guests make their sockets with
// mu held, and those that try again are known. One that came after hostd may be
// another's that does not listen yet.
func (d *Daemon) removes(path string, dead fs.FileInfo) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.wanted(path) {
		return false
	}
	info, err := os.Lstat(path)
	return err == nil && os.SameFile(info, dead) && info.ModTime().Before(d.started) && os.Remove(path) == nil
}

// removesFolder removes the folder of a socket of QEMU's, if it is from before hostd and
// no guest wants it, nor a QEMU has it, and says whether it has.
func (d *Daemon) removesFolder(socket string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	info, err := os.Lstat(filepath.Dir(socket))
	return err == nil && info.ModTime().Before(d.started) && !d.wanted(socket) && kvm.RemoveFolder(socket)
}

// wanted says whether a guest has a pipe of that path.
func (d *Daemon) wanted(path string) bool {
	for _, g := range d.guests {
		if g.at(path) != nil {
			return true
		}
	}
	return false
}
