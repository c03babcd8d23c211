package config

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"headgate/backends"
)

const whole = `control = "/run/hg/c.sock"
state = "/var/lib/hg/s.json"
guard = "require"
meter = "kprobe"
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
name = "stick"
type = "serial"
path = "/dev/ttyACM0"
credit = false
noise = "non-physical"
speed = 115200
start = "cmd0\n\u0001"

[[source]]
name = "audio"
type = "exec"
command = ["/usr/bin/arecord", "-q", "a \"b\""]
user = "nobody"
credit = true

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

[[class]]
name = "build"
quality = "full-then-drbg"
drbg_rate = "4MiB/s"
reseed_bytes = "64KiB"
reseed_interval = "90s"
max_stale = "2d"

[[class]]
name = "bulk"
rate = "unlimited"
quality = "drbg"

[host]
feed = true
class = "bulk"

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

[[guest]]
name = "web4"
pipes = ["vhost-user:/run/hg/web4.vhost/sock", "vhost-user:/run/hg/web4.sock,server=on"]
`

func TestParseWhole(t *testing.T) {
	got, err := Parse("f", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Control: "/run/hg/c.sock", State: "/var/lib/hg/s.json", Guard: GuardRequire, Meter: MeterKprobe,
		Log:       Log{"json", slog.LevelDebug},
		Reservoir: Reservoir{1 << 20, 16 << 10, 2},
		Health:    Health{20},
		Sources: []Source{
			{Name: "trng0", Type: "hwrng", Path: "/dev/hwrng", Origin: "chip", MinEntropy: 6},
			{Name: "stick", Type: "serial", Path: "/dev/ttyACM0", Credit: backends.CreditNone, Noise: backends.NonPhysical,
				Speed: 115200, Start: "cmd0\n\x01"},
			{Name: "audio", Type: "exec", Command: []string{"/usr/bin/arecord", "-q", `a "b"`}, User: "nobody", Credit: backends.CreditFull},
			{Name: "tape", Type: "file", Path: "/srv/noise", MinEntropy: 0.5, Consume: true},
		},
		Classes: []Class{
			{Name: "gold", Rate: Unlimited, Burst: 20000, Weight: 4, Quality: "full", SocketOwner: "root:root", SocketMode: 0o660, Selectable: true},
			{Name: "build", Rate: 1024, Burst: 4096, Weight: 1, Quality: "full-then-drbg",
				DRBGRate: 4 << 20, ReseedBytes: 64 << 10, ReseedInterval: Duration(90 * time.Second), MaxStale: Duration(48 * time.Hour)},
			{Name: "bulk", Rate: Unlimited, Burst: 4096, Weight: 1, Quality: "drbg",
				ReseedBytes: 1 << 20, ReseedInterval: Duration(5 * time.Minute), MaxStale: Duration(time.Hour)},
			defaultClass(),
		},
		Guests: []Guest{
			{Name: "web1", Class: "gold", Rate: 2048, Pipes: []Pipe{{Kind: "qemu", Path: "/run/hg/web1.sock"}, {Kind: "port", Path: "/run/hg/web1.port"}}},
			{Name: "web2", Class: "default", Pipes: []Pipe{{Kind: "egd", Path: "/run/hg/web2.sock"}}},
			{Name: "web3", Class: "default", Pipes: []Pipe{{Kind: "vchan", Path: "web3"}, {Kind: "channel", Path: "/run/hg/web3.channel"}}},
			{Name: "web4", Class: "default", Pipes: []Pipe{{Kind: VhostUser, Path: "/run/hg/web4.vhost/sock"}, {Kind: VhostUser, Path: "/run/hg/web4.sock", Server: true}}},
		},
		Host:    Host{true, "bulk"},
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
		{"guard", "guard = true", "f:1: guard: true is not a string"},
		{"meter", "meter = 'fentry'", `f:1: meter: "fentry" is not known; allowed: on, kprobe, off`},
		{"unknown key", "\nreservoirs = 'x'", "f:2: reservoirs: unknown key; allowed: class, control, guard, guest, health, host, "},
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
		{"more sources than there are", "[reservoir]\nmin_sources = 2\n[[source]]\nname='a'\ntype='rdseed'", "f:2: reservoir.min_sources: a block would need 2 origins; allowed: at most 1, the distinct origins of the credited sources given"},
		{"more origins than there are", "[reservoir]\nmin_sources = 2\n[[source]]\nname='a'\ntype='rdseed'\n[[source]]\nname='b'\ntype='rdrand'\ncredit=true", "f:2: reservoir.min_sources: a block would need 2 origins"},
		{"more credited than there are", "[reservoir]\nmin_sources = 2\n[[source]]\nname='a'\ntype='rdseed'\n[[source]]\nname='b'\ntype='hwrng'\ncredit=false", "f:2: reservoir.min_sources: a block would need 2 origins"},
		{"more than are found", "[reservoir]\nmin_sources = 3", "f:2: reservoir.min_sources: a block would need 3 origins; allowed: at most 2, the distinct origins of the sources that are found by themselves"},
		{"nothing counts", "[[source]]\nname='a'\ntype='rdrand'", "f:1: source.credit: no source counts, so that no block would ever be finished; allowed: one credited source at least"},
		{"credit type", "[[source]]\nname='a'\ntype='hwrng'\ncredit='no'", `f:4: source.credit: the string "no" is not a boolean`},
		{"noise", "[[source]]\nname='a'\ntype='hwrng'\nnoise='drbg'", `f:4: source.noise: "drbg" is not known; allowed: physical, non-physical`},
		{"speed", "[[source]]\nname='a'\ntype='serial'\npath='/a'\nspeed=0", "f:5: source.speed: 0 is no speed; allowed: bits per second, or nothing"},
		{"speed of none", "[[source]]\nname='a'\ntype='serial'\npath='/a'\nspeed=49", "f:5: source.speed: 49 is not possible; allowed: 50 to "},
		{"speed of no line", "[[source]]\nname='a'\ntype='hwrng'\nspeed=9600", `f:4: source.speed: a source of type "hwrng" has none; allowed: with type serial`},
		{"start of no line", "[[source]]\nname='a'\ntype='hwrng'\nstart='x'", `f:4: source.start: a source of type "hwrng" has none; allowed: with type serial`},
		{"long start", "[[source]]\nname='a'\ntype='serial'\npath='/a'\nstart='" + long + long + long + "'", "f:5: source.start: it has 300 bytes; allowed: up to 256 bytes"},
		{"a command for a shell", "[[source]]\nname='a'\ntype='exec'\ncommand='arecord | cat'", `f:4: source.command: the string "arecord | cat" is not an array; allowed: an array of the program and its arguments`},
		{"a command of numbers", "[[source]]\nname='a'\ntype='exec'\ncommand=['/a', 1]", `f:4: source.command: 1 is not a string`},
		{"an empty command", "[[source]]\nname='a'\ntype='exec'\ncommand=[]", `f:4: source.command: the command has 0`},
		{"a long word", "[[source]]\nname='a'\ntype='exec'\ncommand=['/a', '" + strings.Repeat(long, 41) + "']", "is 4100 bytes long; allowed: at most 4095 bytes"},
		{"a word with a zero", "[[source]]\nname='a'\ntype='exec'\ncommand=['/a', \"b\\u0000\"]", `f:4: source.command: "b\x00" has a zero byte in it`},
		{"no command", "[[source]]\nname='a'\ntype='exec'", "f:1: source.command: no command is given"},
		{"path that is none", "[[source]]\nname='a'\ntype='serial'\npath='ttyACM0'", `f:4: source.path: "ttyACM0" is not such a path`},
		{"path on a network", "[[source]]\nname='a'\ntype='egd'\npath='localhost:8888'", `f:4: source.path: "localhost:8888" is an address on a network: entropy never crosses one`},
		{"path with dots", "[[source]]\nname='a'\ntype='egd'\npath='/run/../x'", `f:4: source.path: "/run/../x" is not such a path`},
		{"path that is empty", "[[source]]\nname='a'\ntype='hwrng'\npath=''", `f:4: source.path: "" is not such a path`},
		{"user of no program", "[[source]]\nname='a'\ntype='hwrng'\nuser='nobody'", `f:4: source.user: a source of type "hwrng" has none; allowed: with type exec`},
		{"user that is none", "[[source]]\nname='a'\ntype='exec'\ncommand=['/a']\nuser=':root'", `f:5: source.user: ":root" names no user; allowed: user or user:group`},
		{"user that is not here", "[[source]]\nname='a'\ntype='exec'\ncommand=['/a']\nuser='nobody-here'", `f:5: source.user: there is no user "nobody-here"`},
		{"alpha", "[health]\nalpha = '2^-41'", `f:2: health.alpha: "2^-41" is not such a probability; allowed: "2^-20" to "2^-40"`},
		{"level", "[log]\nlevel = 'loud'", `f:2: log.level: "loud" is not known; allowed: debug, info, warn, error`},
		{"source type", "[[source]]\nname='a'\ntype='dice'", `f:3: source.type: "dice" is not a type of source; allowed: egd, exec, file, hwrng, jitter, rdrand, rdseed, serial, tpm`},
		{"no type", "[[source]]\nname='a'", `f:1: source.type: "" is not a type of source`},
		{"min entropy", "[[source]]\nname='a'\ntype='hwrng'\nmin_entropy = 8.5", "f:4: source.min_entropy: 8.5 is out of bounds"},
		{"min entropy nan", "[[source]]\nname='a'\ntype='hwrng'\nmin_entropy = nan", "f:4: source.min_entropy: NaN is out of bounds"},
		{"min entropy zero", "[[source]]\nname='a'\ntype='hwrng'\nmin_entropy = 0", "f:4: source.min_entropy: 0 is out of bounds"},
		{"consume", "[[source]]\nname='a'\ntype='hwrng'\nconsume=true", "f:4: source.consume: a source of type \"hwrng\" has none; allowed: with type file"},
		{"path of a file", "[[source]]\nname='a'\ntype='file'", "f:1: source.path: no path is given"},
		{"path of rdseed", "[[source]]\nname='a'\ntype='rdseed'\npath='/x'", "f:4: source.path: a source of type \"rdseed\" has none"},
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
		{"quality", "[[class]]\nname='a'\nquality='best'\nmax_stale='1h'", `f:3: class.quality: "best" is not a quality; allowed: full, drbg, full-then-drbg`},
		{"rate of no DRBG", "[[class]]\nname='a'\ndrbg_rate='1B/s'", "f:3: class.drbg_rate: it has no meaning: quality full gives nothing above rate; allowed: only with quality full-then-drbg"},
		{"rate of a DRBG", "[[class]]\nname='a'\nquality='drbg'\ndrbg_rate='1B/s'", "f:4: class.drbg_rate: it has no meaning: with quality drbg, rate and burst limit the DRBG's bytes; allowed: only with quality full-then-drbg"},
		{"reseed without a DRBG", "[[class]]\nname='a'\nreseed_bytes='1MiB'", "f:3: class.reseed_bytes: it has no meaning: quality full gives bytes of the reservoir, and no DRBG's; allowed: only with quality drbg or full-then-drbg"},
		{"interval without a DRBG", "[[class]]\nname='a'\nreseed_interval='1m'", "f:3: class.reseed_interval: it has no meaning"},
		{"staleness without a DRBG", "[[class]]\nname='a'\nmax_stale='1h'", "f:3: class.max_stale: it has no meaning"},
		{"reseed bytes", "[[class]]\nname='a'\nquality='drbg'\nreseed_bytes='63KiB'", "f:4: class.reseed_bytes: 63KiB is out of bounds; allowed: 64KiB to 1GiB"},
		{"reseed interval", "[[class]]\nname='a'\nquality='drbg'\nreseed_interval='25h'", "f:4: class.reseed_interval: 25h is out of bounds; allowed: 1s to 1d"},
		{"no time", "[[class]]\nname='a'\nquality='drbg'\nreseed_interval='1h30m'", `f:4: class.reseed_interval: "1h30m" is not such a time; allowed: a time such as "30s", "5m", "1h" or "7d"`},
		{"staleness", "[[class]]\nname='a'\nquality='drbg'\nmax_stale='8d'", "f:4: class.max_stale: 8d is out of bounds; allowed: 1s to 7d"},
		{"stale before the reseed", "[[class]]\nname='a'\nquality='drbg'\nreseed_interval='2h'", "f:4: class.reseed_interval: 2h is longer than max_stale, 1h"},
		{"stale before the default reseed", "[[class]]\nname='a'\nquality='drbg'\nmax_stale='1m'", "f:1: class.reseed_interval: 5m is longer than max_stale, 1m"},
		{"class of the host", "[host]\nfeed=true\nclass='gold'", `f:3: host.class: there is no class "gold"; allowed: default`},
		{"feed", "[host]\nfeed='yes'", `f:2: host.feed: the string "yes" is not a boolean`},
		{"owner", "[[class]]\nname='a'\nsocket_owner='nobody-here:root'", `f:3: class.socket_owner: there is no user "nobody-here"`},
		{"mode", "[[class]]\nname='a'\nsocket_mode='0060'", `f:3: class.socket_mode: "0060" is not such a mode`},
		{"class missing", "[[guest]]\nname='a'\nclass='b'\npipes=['qemu:/a']", `f:3: guest.class: there is no class "b"; allowed: default`},
		{"no pipes", "[[guest]]\nname='a'", "f:1: guest.pipes: guest a has 0 pipes; allowed: 1 to 16 of qemu:PATH"},
		{"pipe kind", "[[guest]]\nname='a'\npipes=['kemu:/a']", `f:3: guest.pipes: "kemu" is not a kind of pipe; allowed: qemu:PATH, egd:PATH, vhost-user:PATH[,server=on], port:PATH, vchan:DOMAIN, channel:PATH`},
		{"vhost-user with an option", "[[guest]]\nname='a'\npipes=['vhost-user:/a,server=off']", `f:3: guest.pipes: ",server=off" follows the path; allowed: vhost-user:PATH, where QEMU's chardev is server=on and hostd connects to it, or vhost-user:PATH,server=on`},
		{"vhost-user among the others", "[[guest]]\nname='a'\npipes=['vhost-user:/run/headgate/guests/a']", `f:3: guest.pipes: QEMU is to make "/run/headgate/guests/a", and may make nothing in the folder of all guests' sockets; allowed: one in a folder of its own, as /run/headgate/guests/NAME.vhost/sock`},
		{"vhost-user without a path", "[[guest]]\nname='a'\npipes=['vhost-user:,server=on']", `f:3: guest.pipes: "" is not such a path`},
		{"one socket of two roles", "[[guest]]\nname='a'\npipes=['vhost-user:/x/a']\n[[guest]]\nname='b'\npipes=['vhost-user:/x/a,server=on']", `f:6: guest.pipes: "/x/a" is taken by guest a`},
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
