package xenstore

import (
	"errors"
	"strconv"
	"syscall"
)

const (
	childrenMax   = 1 << 20 // bytes of names
	restarts      = 8       // of a listing whose node changed meanwhile
	directoryName = "list"
)

// List returns the names of a node's children, in no order.
func (t *tree) List(path string) ([]string, error) {
	b, err := t.ask(opDirectory, path)
	if errors.Is(err, syscall.E2BIG) {
		b, err = t.listParts(path)
	}
	if err != nil {
		return nil, &Error{Op: directoryName, Path: path, Err: err}
	}
	names, ok := parseStrings(b)
	if !ok {
		return nil, &Error{Op: directoryName, Path: path, Err: protocolError("names of children")}
	}
	return names, nil
}

// listParts lists children that do not fit in one payload, one payload after the
// other, all of one generation of the node.
func (t *tree) listParts(path string) ([]byte, error) {
	for range restarts {
		list, same, err := t.listOnce(path)
		if err != nil || same {
			return list, err
		}
	}
	return nil, errRestless
}

func (t *tree) listOnce(path string) (list []byte, same bool, err error) {
	first := ""
	for len(list) <= childrenMax {
		b, err := t.ask(opDirectoryPart, path, strconv.Itoa(len(list)), nul)
		if err != nil {
			return nil, false, err
		}
		generation, part, last, ok := parsePart(b)
		switch {
		case !ok:
			return nil, false, protocolError("a part of the names of children")
		case first == "":
			first = generation
		case generation != first:
			return nil, false, nil
		}
		list = append(list, part...)
		if last {
			return list, true, nil
		}
	}
	return nil, false, errTooMany
}
