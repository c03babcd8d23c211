package config

import (
	"errors"
	"fmt"
	"strings"
)

// Error is one mistake in a configuration, or in a guest that is added live
// (then File is empty and Line is 0).
type Error struct {
	File    string
	Line    int    // starting at 1
	Key     string // dotted: "reservoir.size", "guest.pipes"; empty: the syntax
	Problem string // what is wrong
	Allowed string // what would be right; may be empty
}

// Error is one line: file:line: key: what is wrong; allowed: what is right.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		fmt.Fprintf(&b, "%s:%d: ", e.File, e.Line)
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Problem)
	if e.Allowed != "" {
		b.WriteString("; allowed: " + e.Allowed)
	}
	return b.String()
}

// Errors takes apart what Load, Parse or CheckGuest returned, one for each mistake.
func Errors(err error) []*Error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*Error
		for _, e := range joined.Unwrap() {
			all = append(all, Errors(e)...)
		}
		return all
	}
	if one := (*Error)(nil); errors.As(err, &one) {
		return []*Error{one}
	}
	return nil
}

// refusal is a value's mistake before it is known where the value stood.
type refusal struct{ problem, allowed string }

func (r *refusal) Error() string { return r.problem + "; allowed: " + r.allowed }

func refuse(allowed, format string, args ...any) error {
	return &refusal{problem: fmt.Sprintf(format, args...), allowed: allowed}
}

// report takes one mistake of the value at a path such as "guest[1].rate"; nil is none.
type report func(path string, err error)

// at gives the refusal the place where its value stood.
func (r *refusal) at(file string, line int, path string) *Error {
	return &Error{File: file, Line: line, Key: withoutIndexes(path), Problem: r.problem, Allowed: r.allowed}
}

// withoutIndexes turns "guest[1].rate" into "guest.rate": the line says which.
func withoutIndexes(path string) string {
	var b strings.Builder
	for path != "" {
		open := strings.IndexByte(path, '[')
		if open < 0 {
			break
		}
		end := strings.IndexByte(path[open:], ']')
		if end < 0 {
			break
		}
		b.WriteString(path[:open])
		path = path[open+end+1:]
	}
	return b.String() + path
}

// asRefusal keeps what is wrong and what is allowed apart where err does.
func asRefusal(err error) *refusal {
	if r := (*refusal)(nil); errors.As(err, &r) {
		return r
	}
	return &refusal{problem: err.Error()}
}
