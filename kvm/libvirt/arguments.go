package libvirt

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
)

// argument is one of those that a domain's XML has for QEMU.
type argument struct {
	span
	value string
}

// takeArguments reads a <qemu:commandline>. libvirt takes those of all that there are.
func (r *reader) takeArguments() error {
	_, err := r.each(func(e xml.StartElement, at int64) error {
		value, is := argumentOf(e)
		err := r.dec.Skip()
		if is {
			r.arguments = append(r.arguments, argument{span{at, r.dec.InputOffset()}, value})
		}
		return err
	})
	return err
}

func argumentOf(e xml.StartElement) (value string, is bool) {
	if (e.Name != xml.Name{Space: QEMUNamespace, Local: "arg"}) {
		return "", false
	}
	return attribute(e, "value"), true
}

// isCommandline says whether this is a <qemu:commandline>, whatever prefix it has.
func isCommandline(e xml.StartElement) bool {
	return e.Name == xml.Name{Space: QEMUNamespace, Local: "commandline"}
}

// takeVhosts judges the devices among the arguments, when all is known of the memory.
func (r *reader) takeVhosts() error {
	found, err := vhostsIn(r.arguments)
	for _, v := range found {
		v.Private = !r.memory.shared()
		r.Vhosts = append(r.Vhosts, v.Vhost)
	}
	return err
}

// vhostAt is a vhost-user-rng device among arguments, and which of them it is made of.
type vhostAt struct {
	Vhost
	device, chardev int // each with the one before it; chardev -1: there is none
	slot            int // on the root bus; -1: none is said
}

// vhostsIn finds the vhost-user-rng devices among arguments.
func vhostsIn(args []argument) (found []vhostAt, err error) {
	chardevs := map[string]int{}
	for i := 1; i < len(args); i++ {
		if option(args[i-1].value) == "chardev" {
			if id := options(args[i].value, "backend")["id"]; id != "" {
				chardevs[id] = i
			}
		}
	}
	for i := 1; i < len(args); i++ {
		if option(args[i-1].value) != "device" {
			continue
		}
		o := device(args[i].value)
		if driver := o["driver"]; driver != "vhost-user-rng" && !strings.HasPrefix(driver, "vhost-user-rng-") {
			continue
		}
		if len(found) == maxDevices {
			return nil, fmt.Errorf("vhost-user-rng: %w", errDevices)
		}
		v := vhostAt{device: i, chardev: -1, slot: slotOf(o["addr"])}
		if at, ok := chardevs[o["chardev"]]; ok {
			v.chardev = at
			v.Vhost = vhostOf(options(args[at].value, "backend"))
		}
		found = append(found, v)
	}
	return found, nil
}

// option is the name of an option of QEMU's, which one dash begins, or two (lookup_opt,
// softmmu/vl.c); empty: it is none.
func option(arg string) string {
	if rest, ok := strings.CutPrefix(arg, "--"); ok {
		return rest
	}
	rest, _ := strings.CutPrefix(arg, "-")
	if rest == arg {
		return ""
	}
	return rest
}

// device reads what follows -device: options, or a JSON object of texts.
func device(arg string) map[string]string {
	if !strings.HasPrefix(arg, "{") {
		return options(arg, "driver")
	}
	var o struct{ Driver, Chardev, Addr string }
	if json.Unmarshal([]byte(arg), &o) != nil {
		return nil
	}
	return map[string]string{"driver": o.Driver, "chardev": o.Chardev, "addr": o.Addr}
}

// options reads "value,key=value,…". The first may stand without its name; a comma in
// a value is written twice; a name alone is on, and off after "no"; the last of a name
// counts (opts_do_parse, util/qemu-option.c).
func options(text, first string) map[string]string {
	found := map[string]string{}
	for n := 0; text != ""; n++ {
		var part string
		part, text = cutOption(text)
		name, value, ok := strings.Cut(part, "=")
		switch {
		case ok:
		case n == 0:
			name, value = first, part
		default:
			value = "on"
			if rest, no := strings.CutPrefix(name, "no"); no {
				name, value = rest, "off"
			}
		}
		found[name] = value
	}
	return found
}

// cutOption takes one off the front, with its doubled commas made single.
func cutOption(text string) (part, rest string) {
	var b strings.Builder
	for {
		i := strings.IndexByte(text, ',')
		if i < 0 {
			b.WriteString(text)
			return b.String(), ""
		}
		b.WriteString(text[:i])
		if !strings.HasPrefix(text[i:], ",,") {
			return b.String(), text[i+1:]
		}
		b.WriteByte(',')
		text = text[i+2:]
	}
}

// vhostOf is the device at a chardev: one of a unix socket has a path, and waits as
// a server if nothing else is said (qemu_chr_parse_socket, chardev/char-socket.c).
func vhostOf(o map[string]string) Vhost {
	if o["backend"] != "socket" {
		return Vhost{}
	}
	v := Vhost{Path: o["path"], Server: isOn(o["server"], false)}
	v.Wait = v.Server && isOn(o["wait"], true)
	v.Reconnect = max(wholeSeconds(o["reconnect"], 1), wholeSeconds(o["reconnect-ms"], 1000))
	return v
}

// wholeSeconds is a time as seconds, 1 at least if it is any; what is no number is none.
func wholeSeconds(text string, unit int) int {
	n, err := strconv.ParseUint(text, 0, 30)
	if err != nil || n == 0 {
		return 0
	}
	return max(int(n)/unit, 1)
}

// isOn reads one of QEMU's booleans (qapi_bool_parse, qapi/qapi-util.c).
func isOn(text string, otherwise bool) bool {
	switch text {
	case "on", "yes", "true", "y":
		return true
	case "off", "no", "false", "n":
		return false
	}
	return otherwise
}

// slotOf reads the slot of an address: hexadecimal, and a function may follow
// (set_pci_devfn, hw/core/qdev-properties-system.c).
func slotOf(addr string) int {
	digits, _, _ := strings.Cut(addr, ".")
	slot, err := strconv.ParseUint(strings.TrimPrefix(digits, "0x"), 16, 5)
	if err != nil {
		return -1
	}
	return int(slot)
}
