package config

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const whole = `control = "/run/hg/c.sock"
state = "/var/lib/hg/s.json"
log = { format = "json", level = "debug" }

[reservoir]
size = "1MiB"
boot_reserve = "16KiB"
min_sources = 2

[health]
alpha = "2^-20"

[[source]]
name = "trng0"
type = "hwrng"
origin = "chip"
min_entropy = 6

[[source]]
name = "tape"
type = "file"
path = "/srv/noise"
consume = true
min_entropy = 0.5

[[class]]
name = "gold"
rate = "unlimited"
burst = "20kB"
weight = 4
socket_owner = "root:root"
socket_mode = "0660"
selectable = true

[libvirt]
follow = false
socket = "/run/libvirt/libvirt-sock-ro"
guests = "/run/hg/domains"
pids = "/run/libvirt/qemu/driver"

[xen]
follow = false
socket = "/run/xenstored/other"
unlisted = true

[[guest]]
name = "web1"
class = "gold"
pipes = [
  "qemu:/run/hg/web1.sock",  # a comment with "quotes"
  "port:/run/hg/web1.port",
]
rate = "2KiB/s"

[[guest]]
name = "web2"
pipes = ["egd:/run/hg/web2.sock"]

[[guest]]
name = "web3"
pipes = ["vchan:web3", "channel:/run/hg/web3.channel"]
`

func TestParseWhole(t *testing.T) {
	got, err := Parse("f", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Control: "/run/hg/c.sock", State: "/var/lib/hg/s.json",
		Log:       Log{"json", slog.LevelDebug},
		Reservoir: Reservoir{1 << 20, 16 << 10, 2},
		Health:    Health{20},
		Sources: []Source{
			{Name: "trng0", Type: "hwrng", Path: "/dev/hwrng", Origin: "chip", MinEntropy: 6},
			{Name: "tape", Type: "file", Path: "/srv/noise", MinEntropy: 0.5, Consume: true},
		},
		Classes: []Class{
			{"gold", Unlimited, 20000, 4, "full", "root:root", 0o660, true},
			defaultClass(),
		},
		Guests: []Guest{
			{Name: "web1", Class: "gold", Rate: 2048, Pipes: []Pipe{{"qemu", "/run/hg/web1.sock"}, {"port", "/run/hg/web1.port"}}},
			{Name: "web2", Class: "default", Pipes: []Pipe{{"egd", "/run/hg/web2.sock"}}},
			{Name: "web3", Class: "default", Pipes: []Pipe{{"vchan", "web3"}, {"channel", "/run/hg/web3.channel"}}},
		},
		Libvirt: Libvirt{false, "/run/libvirt/libvirt-sock-ro", "/run/hg/domains", "/run/libvirt/qemu/driver"},
		Xen:     Xen{false, "/run/xenstored/other", true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	gold, _ := got.Class("gold")
	if l := got.Guests[0].Under(gold); l.Rate != 2048 || l.Burst != 20000 || l.Weight != 4 || l.SocketMode != 0o660 {
		t.Errorf("limits of web1: %+v", l)
	}
}

// TestMistakes gives one file with one mistake each, and what must be said.
func TestMistakes(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, c := range []struct{ name, file, want string }{
		{"syntax", "control = ", "f:1: control: "},
		{"syntax, later", "\n\n[reservoir]\nsize == 3", "f:4: reservoir.size: "},
		{"unknown key", "\nreservoirs = 'x'", "f:2: reservoirs: unknown key; allowed: class, control, guest, "},
		{"unknown key in table", "[reservoir]\nsize = '64KiB'\nsiz = 1", "f:3: reservoir.siz: unknown key; allowed: boot_reserve, min_sources, size"},
		{"unknown table", "[foo]\na = 1", "f:1: foo: unknown key"},
		{"unknown key of second guest", "[[guest]]\nname='a'\npipes=['qemu:/a']\n[[guest]]\nname='b'\npipes=['qemu:/b']\nx=1", "f:7: guest.x: unknown key"},
		{"inline table", "reservoir = {size = '1KiB', boot_reserve = '1B'}", "f:1: reservoir.size: 1KiB is out of bounds; allowed: 4KiB to 16MiB"},
		{"dotted key", "\nreservoir.size = '64'\n", "f:2: reservoir.size: 64B is out of bounds"},
		{"no table", "log = 3", "f:1: log: 3 is not a table"},
		{"no array", "guest = 'a'", `f:1: guest: the string "a" is not an array of tables`},
		{"size type", "[reservoir]\nsize = 65536", "f:2: reservoir.size: 65536 is not a string; allowed: a size such as"},
		{"size unit", "[reservoir]\nsize = '64K'", `f:2: reservoir.size: "64K" is not a size`},
		{"boot reserve", "[reservoir]\nsize = '8KiB'\nboot_reserve = '8KiB'", "f:3: reservoir.boot_reserve: 8KiB leaves nothing for guests that are seeded; allowed: at most 8064B with this reservoir.size"},
		{"min sources", "[reservoir]\nmin_sources = 0", "f:2: reservoir.min_sources: 0 is out of bounds; allowed: 1 to 16"},
		{"more sources than there are", "[reservoir]\nmin_sources = 2\n[[source]]\nname='a'\ntype='rdseed'", "f:2: reservoir.min_sources: 2 sources are wanted; allowed: at most the 1 given"},
		{"alpha", "[health]\nalpha = '2^-41'", `f:2: health.alpha: "2^-41" is not such a probability; allowed: "2^-20" to "2^-40"`},
		{"level", "[log]\nlevel = 'loud'", `f:2: log.level: "loud" is not known; allowed: debug, info, warn, error`},
		{"source type", "[[source]]\nname='a'\ntype='dice'", `f:3: source.type: "dice" is not a type of source; allowed: file, hwrng, rdseed`},
		{"unbuilt source", "[[source]]\nname='a'\ntype='tpm'", `f:3: source.type: sources of type "tpm" are not built yet`},
		{"no type", "[[source]]\nname='a'", `f:1: source.type: "" is not a type of source`},
		{"min entropy", "[[source]]\nname='a'\ntype='hwrng'\nmin_entropy = 8.5", "f:4: source.min_entropy: 8.5 is out of bounds"},
		{"min entropy nan", "[[source]]\nname='a'\ntype='hwrng'\nmin_entropy = nan", "f:4: source.min_entropy: NaN is out of bounds"},
		{"min entropy zero", "[[source]]\nname='a'\ntype='hwrng'\nmin_entropy = 0", "f:4: source.min_entropy: 0 is out of bounds"},
		{"consume", "[[source]]\nname='a'\ntype='hwrng'\nconsume=true", "f:4: source.consume: nothing to consume"},
		{"path of a file", "[[source]]\nname='a'\ntype='file'", "f:1: source.path: no path is given"},
		{"path of rdseed", "[[source]]\nname='a'\ntype='rdseed'\npath='/x'", "f:4: source.path: rdseed is an instruction"},
		{"two sources, one device", "[[source]]\nname='a'\ntype='hwrng'\n[[source]]\nname='b'\ntype='hwrng'", `f:4: source.path: "/dev/hwrng" is taken by source a`},
		{"name twice", "[[class]]\nname='a'\n[[class]]\nname='a'", `f:4: class.name: "a" is taken by another`},
		{"name missing", "[[class]]\nrate='1B/s'", "f:1: class.name: no name is given; allowed: 1 to 63"},
		{"name character", "[[class]]\nname='a b'", `f:2: class.name: "a b" has the character ' '`},
		{"name first", "[[class]]\nname='-a'", `f:2: class.name: "-a" has the character '-'`},
		{"name length", "[[class]]\nname='" + long + "'", "is 100 characters long"},
		{"rate zero", "[[class]]\nname='a'\nrate='0B/s'", `f:3: class.rate: "0B/s" is not a rate`},
		{"rate unit", "[[class]]\nname='a'\nrate='4KiB'", `f:3: class.rate: "4KiB" is not a rate; allowed: a rate such as`},
		{"rate bound", "[[class]]\nname='a'\nrate='2GiB/s'", "f:3: class.rate: 2GiB/s is out of bounds; allowed: 1B/s to 1GiB/s, or unlimited"},
		{"burst", "[[class]]\nname='a'\nburst='63B'", "f:3: class.burst: 63B is out of bounds; allowed: 64B to 16MiB"},
		{"weight", "[[class]]\nname='a'\nweight=1001", "f:3: class.weight: 1001 is out of bounds; allowed: 1 to 1000"},
		{"weight type", "[[class]]\nname='a'\nweight=1.5", "f:3: class.weight: 1.5 is not a whole number"},
		{"quality unbuilt", "[[class]]\nname='a'\nquality='drbg'", `f:3: class.quality: quality "drbg" is not built yet; allowed: full`},
		{"quality", "[[class]]\nname='a'\nquality='best'", `f:3: class.quality: "best" is not a quality`},
		{"owner", "[[class]]\nname='a'\nsocket_owner='nobody-here:root'", `f:3: class.socket_owner: there is no user "nobody-here"`},
		{"mode", "[[class]]\nname='a'\nsocket_mode='0060'", `f:3: class.socket_mode: "0060" is not such a mode`},
		{"class missing", "[[guest]]\nname='a'\nclass='b'\npipes=['qemu:/a']", `f:3: guest.class: there is no class "b"; allowed: default`},
		{"no pipes", "[[guest]]\nname='a'", "f:1: guest.pipes: guest a has 0 pipes; allowed: 1 to 16 of qemu:PATH"},
		{"pipe kind", "[[guest]]\nname='a'\npipes=['kemu:/a']", `f:3: guest.pipes: "kemu" is not a kind of pipe; allowed: qemu:PATH, egd:PATH, port:PATH, vchan:DOMAIN, channel:PATH`},
		{"pipe unbuilt", "[[guest]]\nname='a'\npipes=['vhost-user:/a']", `f:3: guest.pipes: pipes of kind "vhost-user" are not built yet`},
		{"pipe of a Xen domain", "[[guest]]\nname='a'\npipes=['vchan:']", `f:3: guest.pipes: no domain is named; allowed: the name of a Xen domain, its UUID in lower case, or its domid: 1 to 32751`},
		{"one Xen domain twice", "[[guest]]\nname='a'\npipes=['vchan:web1']\n[[guest]]\nname='b'\npipes=['vchan:web1']", `f:6: guest.pipes: "web1" is taken by guest a`},
		{"channel without a path", "[[guest]]\nname='a'\npipes=['channel:web1']", `f:3: guest.pipes: "web1" is not such a path`},
		{"xen key", "[xen]\nfolow = true", "f:2: xen.folow: unknown key; allowed: follow, socket, unlisted"},
		{"xen socket", "[xen]\nsocket = 'x'", `f:2: xen.socket: "x" is not such a path`},
		{"pipe relative", "[[guest]]\nname='a'\npipes=['qemu:a']", `f:3: guest.pipes: "a" is not such a path; allowed: an absolute path of at most 107 bytes`},
		{"pipe dots", "[[guest]]\nname='a'\npipes=['qemu:/a/../b']", `f:3: guest.pipes: "/a/../b" is not such a path`},
		{"pipe long", "[[guest]]\nname='a'\npipes=['qemu:/" + long + long + "']", "is 201 bytes long"},
		{"path twice", "[[guest]]\nname='a'\npipes=['qemu:/x']\n[[guest]]\nname='b'\npipes=['egd:/x']", `f:6: guest.pipes: "/x" is taken by guest a`},
		{"path of control", "control='/x'\n[[guest]]\nname='a'\npipes=['qemu:/x']", `f:4: guest.pipes: "/x" is taken by the control socket`},
		{"selectable", "[[class]]\nname='a'\nselectable='yes'", `f:3: class.selectable: the string "yes" is not a boolean; allowed: true or false`},
		{"follow", "[libvirt]\nfollow='no'", `f:2: libvirt.follow: the string "no" is not a boolean`},
		{"libvirt's socket", "[libvirt]\nsocket='qemu:///system'", `f:2: libvirt.socket: "qemu:///system" is not such a path`},
		{"folder of guests", "[libvirt]\nguests='/" + long + "'", "f:2: libvirt.guests: the path"},
		{"folder of pids", "[libvirt]\npids=''", `f:2: libvirt.pids: "" is not such a path`},
		{"unknown key of libvirt", "[libvirt]\nuri=''", "f:2: libvirt.uri: unknown key; allowed: follow, guests, pids, socket"},
		{"nested", "a = [[[[[[[[[1]]]]]]]]]", "f:1: nested too deeply"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("f", []byte(c.file))
			mistakes := Errors(err)
			if len(mistakes) != 1 || !strings.Contains(mistakes[0].Error(), c.want) {
				t.Errorf("got %d: %v\nwant one with: %s", len(mistakes), err, c.want)
			}
		})
	}
}

func TestAllMistakesAtOnceInOrder(t *testing.T) {
	_, err := Parse("f", []byte("x = 1\n[[guest]]\nname = '!'\nclass = 'no'\npipes = ['qemu:/a', 'b']\nweight = 0\n[reservoir]\nsize = '1B'\n"))
	var lines []int
	for _, m := range Errors(err) {
		lines = append(lines, m.Line)
	}
	if want := []int{1, 3, 4, 5, 6, 8}; !reflect.DeepEqual(lines, want) {
		t.Errorf("mistakes on lines %v, want %v:\n%v", lines, want, err)
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hostd.toml")
	if _, err := Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := Load(filepath.Dir(path)); err == nil {
		t.Error("a directory was read")
	}
	if err := os.WriteFile(path, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err != nil {
		t.Error(err)
	}
}
