package kvm

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// A socket at which QEMU listens is made by QEMU. The folder that hostd makes for it
// lets that one user make it there, and has the kernel let hostd connect to it: both by
// access control lists (acl(5)), so that nobody's group has to be shared and nobody
// needs a capability.

// errNoFolder is what to do where hostd cannot make the folder.
var errNoFolder = errors.New("choose a path in /run/headgate/guests, as in /run/headgate/guests/NAME.vhost/sock, or make the folder yourself, so that QEMU's user may write in it and hostd connect to what that makes there")

// makeFolder makes the folder of a socket that s.UID is to make, if it is not there.
// It gets its name when it has its lists. One that is there is left alone, unless a hostd
// made it for another user, and it is of no use to anybody any more.
func (s Socket) makeFolder() error {
	folder := filepath.Dir(s.Path)
	err := s.makeFolderAt(folder)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		err = fmt.Errorf("%w: hostd may not make it there: %w", err, errNoFolder)
	}
	if err != nil {
		return fmt.Errorf("folder %s: %w", folder, err)
	}
	return nil
}

func (s Socket) makeFolderAt(folder string) error {
	switch info, err := os.Stat(folder); {
	case err == nil && !info.IsDir():
		return syscall.ENOTDIR
	case err == nil && (!madeByHostd(folder) || listed(folder, accessName, accessList(s.other())) || !RemoveFolder(s.Path)):
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(folder)
	if err := makeDirs(parent); err != nil {
		return err
	}
	born := filepath.Join(parent, "."+filepath.Base(folder)+"-"+rand.Text()[:6])
	if err := os.Mkdir(born, 0o700); err != nil {
		return err
	}
	err := s.open(born)
	if err == nil {
		err = unix.Renameat2(unix.AT_FDCWD, born, unix.AT_FDCWD, folder, unix.RENAME_NOREPLACE)
	}
	if err != nil {
		os.Remove(born)
	}
	if errors.Is(err, unix.EEXIST) {
		return nil // somebody else was faster
	}
	return err
}

// open lets s.UID write in the folder, and hostd connect to what is made in it.
func (s Socket) open(born string) error {
	if err := s.label(born); err != nil {
		return err
	}
	for name, list := range map[string][]byte{
		accessName:  accessList(s.other()),
		defaultName: accessList(os.Geteuid()),
	} {
		err := unix.Lsetxattr(born, name, list, 0)
		if errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("its file system keeps no access control lists: %w", errNoFolder)
		}
		if err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// other is who beside hostd is to write in the folder; -1: nobody.
func (s Socket) other() int {
	if s.UID == os.Geteuid() {
		return -1
	}
	return s.UID
}

// The lists of a folder: its own, and that of what is made in it (linux/xattr.h,
// XATTR_NAME_POSIX_ACL_ACCESS and XATTR_NAME_POSIX_ACL_DEFAULT).
const (
	accessName  = "system.posix_acl_access"
	defaultName = "system.posix_acl_default"
)

// The form of a list as an extended attribute, little-endian
// (linux/posix_acl_xattr.h): a version, then entries of a tag, permissions and an id,
// by tag (linux/posix_acl.h).
const (
	aclVersion  = 2 // POSIX_ACL_XATTR_VERSION
	aclUserObj  = 0x01
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclMask     = 0x10
	aclOther    = 0x20
	aclNoID     = 0xffffffff // ACL_UNDEFINED_ID
	aclAll      = 7          // ACL_READ, ACL_WRITE and ACL_EXECUTE
)

// accessList gives everything to the owner and to another user, if there is one (not
// -1), and nothing to the rest.
func accessList(uid int) []byte {
	list := binary.LittleEndian.AppendUint32(nil, aclVersion)
	entry := func(tag, permissions uint16, id uint32) {
		list = binary.LittleEndian.AppendUint16(list, tag)
		list = binary.LittleEndian.AppendUint16(list, permissions)
		list = binary.LittleEndian.AppendUint32(list, id)
	}
	entry(aclUserObj, aclAll, aclNoID)
	if uid >= 0 {
		entry(aclUser, aclAll, uint32(uid))
	}
	entry(aclGroupObj, 0, aclNoID)
	if uid >= 0 {
		entry(aclMask, aclAll, aclNoID)
	}
	entry(aclOther, 0, aclNoID)
	return list
}

// RemoveFolder removes the folder that a hostd of this user has made for a socket of
// QEMU's, this one or one that was killed, and with it the socket, if nobody has it any
// more. A folder in which anything else is stays, and so does one that somebody else
// made. It says whether it has removed one.
func RemoveFolder(socket string) bool {
	folder := filepath.Dir(socket)
	if !madeByHostd(folder) {
		return false
	}
	switch dead, err := Dead(socket); {
	case err == nil:
		if info, err := os.Lstat(socket); err != nil || !os.SameFile(info, dead) || os.Remove(socket) != nil {
			return false
		}
	case !errors.Is(err, fs.ErrNotExist):
		return false
	}
	return unix.Rmdir(folder) == nil
}

// madeByHostd tells such a folder by its owner and the list that makeFolder gives it.
func madeByHostd(folder string) bool {
	info, err := os.Lstat(folder)
	if err != nil || !info.IsDir() || int(info.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() {
		return false
	}
	return listed(folder, defaultName, accessList(os.Geteuid()))
}

// listed says whether a folder has that list, or, where the list has nobody but the
// owner, none: then the mode says all.
func listed(folder, name string, want []byte) bool {
	list := make([]byte, len(want)+1)
	n, err := unix.Lgetxattr(folder, name, list)
	if errors.Is(err, unix.ENODATA) {
		return bytes.Equal(want, accessList(-1))
	}
	return err == nil && bytes.Equal(list[:n], want)
}
