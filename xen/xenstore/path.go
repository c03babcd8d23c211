package xenstore

import "errors"

const (
	absolutePathMax = 3072 // XENSTORE_ABS_PATH_MAX, bytes
	relativePathMax = 2048 // XENSTORE_REL_PATH_MAX
)

var (
	errPathEmpty = errors.New("the path is empty")
	errPathLong  = errors.New("the path is too long: at most 3072 bytes, or 2048 of a relative one")
	errPathSlash = errors.New("the path has a doubled or trailing slash")
	errPathRune  = errors.New("the path has a character other than letters, digits, - / _ and @")
)

// checkPath holds a path against docs/misc/xenstore.txt. One with no slash before it
// is relative to /local/domain/<own>. "@introduceDomain" and its like are names of
// events, which can be watched and have permissions and nothing else.
func checkPath(path string) error {
	most := relativePathMax
	if path == "" {
		return errPathEmpty
	}
	if path[0] == '/' {
		most = absolutePathMax
	}
	if len(path) > most {
		return errPathLong
	}
	for i := range len(path) {
		switch c := path[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '@':
		case c != '/':
			return errPathRune
		case i > 0 && (path[i-1] == '/' || i == len(path)-1):
			return errPathSlash
		}
	}
	return nil
}
