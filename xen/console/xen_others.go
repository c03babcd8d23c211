//go:build !linux

package console

import (
	"errors"
	"io/fs"
	"os"
)

// OpenRaw always fails here.
func OpenRaw(path string) (*os.File, error) {
	return nil, &fs.PathError{Op: "open", Path: path, Err: errors.ErrUnsupported}
}

// Raw always fails here.
func Raw(int) error { return errors.ErrUnsupported }

// Flush always fails here.
func Flush(f *os.File) error {
	return &fs.PathError{Op: "flush", Path: f.Name(), Err: errors.ErrUnsupported}
}
