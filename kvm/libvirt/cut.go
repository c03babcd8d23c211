package libvirt

import (
	"bytes"
	"slices"
	"strings"
)

// cut is a stretch of the text and what takes its place.
type cut struct {
	span
	text string
}

func apply(text []byte, cuts []cut) []byte {
	slices.SortStableFunc(cuts, func(a, b cut) int { return int(a.from - b.from) })
	var out bytes.Buffer
	from := int64(0)
	for _, c := range cuts {
		out.Write(text[from:c.from])
		out.WriteString(c.text)
		from = c.to
	}
	out.Write(text[from:])
	return out.Bytes()
}

// before puts text before the end tag that begins at at.
func (p *places) before(at int64, text string) cut {
	margin, alone := p.margin(at)
	if !alone {
		return cut{span{at, at}, text}
	}
	return cut{span{at, at}, strings.TrimPrefix(indent(margin+"  ", text), margin) + "\n" + margin}
}

// beside puts text before the element that begins at at, as its like.
func (p *places) beside(at int64, text string) cut {
	margin, alone := p.margin(at)
	if !alone {
		return cut{span{at, at}, text}
	}
	return cut{span{at, at}, strings.TrimPrefix(indent(margin, text), margin) + "\n" + margin}
}

// behind puts text behind the tag that ends at at.
func (p *places) behind(at int64, text string) cut {
	if !bytes.HasPrefix(p.text[at:], []byte("\n")) {
		return cut{span{at, at}, text}
	}
	return cut{span{at, at}, "\n" + indent("  ", text)}
}

// into makes text the last that is in an element.
func (p *places) into(e element, name, text string) cut {
	if e.close < e.to {
		return p.before(e.close, text)
	}
	margin, _ := p.margin(e.from)
	end := e.to - int64(len("/>"))
	return cut{span{end, e.to}, ">\n" + indent(margin+"  ", text) + "\n" + margin + "</" + name + ">"}
}

// margin is the white space before at on its line, and whether nothing else is
// there.
func (p *places) margin(at int64) (margin string, alone bool) {
	line := p.text[bytes.LastIndexByte(p.text[:at], '\n')+1 : at]
	if len(line) < int(at) && len(bytes.Trim(line, " \t")) == 0 {
		return string(line), true
	}
	return "", false
}
