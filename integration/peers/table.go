//go:build linux

package main

import (
	"fmt"
	"strings"
	"time"
)

// table is the rows as Markdown.
func table(rows []row, versions map[string]string) string {
	var t strings.Builder
	line := func(cells ...string) { fmt.Fprintf(&t, "| %s |\n", strings.Join(cells, " | ")) }
	line("beside the kernel", "credits", "generator ready", "reseeds at once", "in a clone", "clones give the same for")
	line("---", "---", "---", "---", "---", "---")
	for _, r := range rows {
		name := r.peer.name
		switch version := versions[r.peer.debian]; r.peer.debian {
		case "":
		case name:
			name += " " + version
		default:
			name = fmt.Sprintf("%s (%s %s)", name, r.peer.debian, version)
		}
		if r.trouble != nil {
			why, _, _ := strings.Cut(r.trouble.Error(), "\n")
			line(name, "not measured: "+why, "", "", "", "")
			continue
		}
		line(name, r.credits(), r.ready(), r.reseeds(), r.inClone(), r.same())
	}
	return t.String()
}

const none = "–"

// credits is how many bits a fresh kernel was credited with.
func (r row) credits() string {
	if r.peer.command == nil {
		return none
	}
	if r.credit.trace.Credits == 0 {
		return "no"
	}
	return fmt.Sprintf("%d bits", r.credit.trace.Bits)
}

func (r row) ready() string {
	switch {
	case r.peer.vmgenid:
		return none
	case r.credit.ready == 0:
		return fmt.Sprintf("not in %.0f s", readyPatience.Seconds())
	}
	return fmt.Sprintf("%.1f s", r.credit.ready.Seconds())
}

// reseeds is whether a peer has the kernel take what it gives at once.
func (r row) reseeds() string {
	felt := r.credit.trace.Reseeds > r.credit.trace.Refused
	switch {
	case r.peer.command == nil:
		return none
	case felt && r.clones.trace.Adds > 0 && r.clones.trace.Reseeds == 0:
		return "at its start alone"
	case felt:
		return "yes"
	}
	return "no"
}

// inClone is what the peer did in a clone.
func (r row) inClone() string {
	c := r.clones
	switch {
	case r.peer.vmgenid:
		return "the kernel reseeds"
	case r.peer.command == nil:
		return none
	case c.said != "":
		return "reseeds: " + c.said
	case c.trace.Adds == 0 && c.trace.Reseeds == 0:
		return "nothing"
	}
	text := fmt.Sprintf("%d bits credited", c.trace.Bits)
	if c.trace.Reseeds == 0 {
		return text + ", no reseed"
	}
	return text + ", reseeds"
}

// same is for how long the clones gave the same.
func (r row) same() string {
	last, n := r.clones.equal()
	of := ""
	if k := len(r.clones.pairs); k > 1 {
		of = fmt.Sprintf(", the worst of %d pairs", k)
	}
	switch {
	case n == 0:
		return "no output the same" + strings.Replace(of, ", the worst of", " in", 1)
	case last > r.clones.watch-time.Second:
		return fmt.Sprintf("more than %.0f s", last.Seconds())
	case last < time.Second:
		return fmt.Sprintf("%d ms%s", last.Milliseconds()+1, of)
	}
	return fmt.Sprintf("%.0f s%s", last.Seconds(), of)
}
