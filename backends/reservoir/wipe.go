package reservoir

import (
	"reflect"
	"unsafe"
)

// wipe zeroes the round keys that a cipher of the standard library keeps on the heap.
// The library has no call for that, and a collector frees memory without clearing it:
// the key before last, with which the output before last could be made again, would
// stay there for as long as nobody else needs the place.
//
// It looks at what is behind the interface, and leaves what it does not know alone:
// it clears only a value that has no pointers in it, so that the collector cannot
// notice. A test fails if the library's ciphers are no such values any more.
func wipe(cipher any) {
	if at, size := memory(cipher); at != nil {
		clear(unsafe.Slice((*byte)(at), size))
	}
}

// memory is where the value is that an interface's pointer, or a struct of one pointer
// alone, points to; nil if it is not known or has pointers.
func memory(x any) (at unsafe.Pointer, size uintptr) {
	v := reflect.ValueOf(x)
	for v.Kind() == reflect.Struct && v.NumField() == 1 {
		v = v.Field(0)
	}
	if v.Kind() != reflect.Pointer || v.IsNil() || !plain(v.Elem()) {
		return nil, 0
	}
	return v.UnsafePointer(), v.Type().Elem().Size()
}

// plain says whether a value is made of numbers alone.
func plain(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if !plain(v.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Array:
		return v.Len() == 0 || plain(v.Index(0))
	case reflect.Bool, reflect.Int, reflect.Uint, reflect.Int8, reflect.Uint8, reflect.Int16, reflect.Uint16,
		reflect.Int32, reflect.Uint32, reflect.Int64, reflect.Uint64:
		return true
	}
	return false
}
