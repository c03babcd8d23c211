package examples

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"headgate/integration/rig"
	"headgate/xen"
)

// fakeXL is an xl with one domain, which is what the files beside it say: created,
// paused. It prints what xl 4.17 does.
const fakeXL = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "xl $*" >>told
case "$1 $2" in
"create --dryrun")
	case $4 in *broken*) echo "$4:1: config parsing error near newline" >&2; exit 1 ;; esac
	printf '{\n    "domid": null,\n    "config": {\n        "c_info": {\n            "type": "pv",\n            "name": "web 1",\n            "uuid": "6b1f3a52-9c04-4d8e-8a53-2f60c7b91e14"\n        },\n        "vtpms": [\n            {\n                "name": "other"\n' ;;
"create -p")
	case $3 in *unlucky*) echo "libxl: error: out of memory" >&2; exit 1 ;; esac
	touch created paused ;;
"domid web 1") [ -e created ] || { echo "web 1 is an invalid domain identifier (rc=-6)" >&2; exit 1; }; echo 7 ;;
"list 7")
	state=-b----
	[ -e paused ] && state=--p---
	printf 'Name                                        ID   Mem VCPUs\tState\tTime(s)\nweb 1                                        7   191     1     %s       0.2\n' $state ;;
"unpause 7") rm paused ;;
*) exit 1 ;;
esac
`

func TestXenCreate(t *testing.T) {
	told := func(lines ...string) string { return strings.Join(lines, "\n") + "\n" }
	const plan, find = "xl create --dryrun -q web1.cfg", "xl domid web 1"
	for _, c := range []struct {
		name  string
		there string // "", "running", "paused"
		hostd string // its script
		args  []string
		code  int
		told  string
		say   string
	}{
		{"a new one", "", "", []string{"--class", "gold", "--rate", "4KiB/s", "--weight", "2", "web1.cfg"}, 0,
			told(plan, find, "xl create -p web1.cfg", find, "hostd xen attach 7 --class gold --rate 4KiB/s --weight 2", find, "xl list 7", "xl unpause 7"), ""},
		{"with a key for xl", "", "", []string{"web1.cfg", "memory=64"}, 0,
			told(plan+" memory=64", find, "xl create -p web1.cfg memory=64", find, "hostd xen attach 7", find, "xl list 7", "xl unpause 7"), ""},
		{"one that runs", "running", "", []string{"web1.cfg"}, 0, told(plan, find, find, "hostd xen attach 7", find, "xl list 7"), ""},
		{"one that was left paused", "paused", "", []string{"web1.cfg"}, 0,
			told(plan, find, find, "hostd xen attach 7", find, "xl list 7", "xl unpause 7"), ""},
		{"hostd fails", "", "exit 1", []string{"web1.cfg"}, 0,
			told(plan, find, "xl create -p web1.cfg", find, "hostd xen attach 7", find, "xl list 7", "xl unpause 7"),
			"headgate-create: web 1 runs, and is not fed: hostd xen doctor 7 says why\n"},
		{"there is no hostd", "", "none", []string{"web1.cfg"}, 0,
			told(plan, find, "xl create -p web1.cfg", find, find, "xl list 7", "xl unpause 7"), "is not fed"},
		{"it is ended in the middle", "", "kill -TERM $(cut -d' ' -f4 /proc/$PPID/stat)", []string{"web1.cfg"}, 1,
			told(plan, find, "xl create -p web1.cfg", find, "hostd xen attach 7", find, "xl list 7", "xl unpause 7"), ""},
		{"a file that xl does not take", "", "", []string{"broken.cfg"}, 1, told("xl create --dryrun -q broken.cfg"), "parsing error"},
		{"a domain that cannot be", "", "", []string{"unlucky.cfg"}, 1,
			told("xl create --dryrun -q unlucky.cfg", find, "xl create -p unlucky.cfg", find), "out of memory"},
		{"no file", "", "", []string{"--class", "gold"}, 2, "", "usage: headgate-create"},
		{"a flag that is none", "", "", []string{"--klass", "gold", "web1.cfg"}, 2, "", "usage: headgate-create"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, "xl", fakeXL)
			if c.hostd != "none" {
				put(t, dir, "hostd", "#!/bin/sh\necho \"hostd $*\" >>"+dir+"/told\n"+c.hostd+"\n")
			}
			switch c.there {
			case "paused":
				put(t, dir, "paused", "")
				fallthrough
			case "running":
				put(t, dir, "created", "")
			}
			cmd := exec.Command("sh", append([]string{"xen/headgate-create"}, c.args...)...)
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOSTD="+filepath.Join(dir, "hostd"))
			var errs strings.Builder
			cmd.Stderr = &errs
			_ = cmd.Run() // its code is looked at
			got, _ := os.ReadFile(filepath.Join(dir, "told"))
			if code := cmd.ProcessState.ExitCode(); code != c.code || string(got) != c.told || !strings.Contains(errs.String(), c.say) {
				t.Errorf("exit %d, it did\n%s\nand not\n%s%s", code, got, c.told, errs.String())
			}
			if _, err := os.Stat(filepath.Join(dir, "paused")); err == nil {
				t.Error("the domain is left paused")
			}
		})
	}
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	mode := os.FileMode(0o644)
	if strings.HasPrefix(text, "#!") {
		mode = 0o755
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestXapi(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"xe":     "#!/bin/sh\ncase \"$*\" in \"vm-param-get uuid=u1 param-name=other-config param-key=headgate-class\") echo gold ;; *) echo no such key >&2; exit 1 ;; esac\n",
		"hostd":  "#!/bin/sh\necho \"$*\"\nexit 1\n",
		"logger": "#!/bin/sh\nexec cat >>" + dir + "/logged\n",
	} {
		put(t, dir, name, text)
	}
	for _, uuid := range []string{"u1", "u2", ""} { // one that is to be fed, one that is not, none
		cmd := exec.Command("sh", "xen/xapi.d/vm-pre-start/10headgate", "-reason", "none", "-vmuuid", uuid)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOSTD="+filepath.Join(dir, "hostd"))
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%q: %v: %s", uuid, err, out)
		}
	}
	if got := read(t, filepath.Join(dir, "logged")); got != "xen attach u1 --class gold\n" {
		t.Errorf("hostd was told %q", got)
	}
}

// The drop-in is judged with the unit that it is for; units of Xen's stand beside it.
func TestDom0Unit(t *testing.T) {
	analyze := rig.Tool(t, "systemd-analyze", "systemd")
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "hostd.service.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "hostd.service", strings.ReplaceAll(read(t, "systemd/hostd.service"), "/usr/local/sbin/hostd", hostd))
	put(t, dir, "hostd.service.d/xen.conf", read(t, "xen/dom0.conf"))
	for _, name := range []string{"xenstored", "xen-init-dom0"} {
		put(t, dir, name+".service", "[Service]\nExecStart=/bin/true\n")
	}
	out, err := exec.Command(analyze, "verify", filepath.Join(dir, "hostd.service")).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

func TestModules(t *testing.T) {
	for name, want := range map[string]string{"dom0": "xen-evtchn xen-gntdev", "guest": "xen-evtchn xen-gntalloc"} {
		var modules []string
		for line := range strings.Lines(read(t, "xen/modules-load.d/headgate-"+name+".conf")) {
			if !strings.HasPrefix(line, "#") {
				modules = append(modules, strings.TrimSpace(line))
			}
		}
		if got := strings.Join(modules, " "); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

var tomlBlock = regexp.MustCompile("(?s)```toml\n(.*?)```")

// What the README says of names and paths is what the code has, and its TOML is what
// hostd takes.
func TestXenREADME(t *testing.T) {
	text := read(t, "xen/README.md")
	blocks := tomlBlock.FindAllStringSubmatch(text, -1)
	if len(blocks) != 2 {
		t.Errorf("%d snippets of TOML", len(blocks))
	}
	for i, b := range blocks {
		path := filepath.Join(t.TempDir(), fmt.Sprint(i, ".toml"))
		put(t, filepath.Dir(path), filepath.Base(path), b[1])
		run(t, hostd, "check", "--config", path)
	}
	for _, want := range []string{"`" + xen.PolicyPath + "/UUID/{class,rate,weight}`", "xenstore-write " + xen.PolicyPath + "/", "`" + xen.RingPath + "`"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in it", want)
		}
	}
	for _, name := range []string{"web1.cfg", "headgate-create", "dom0.conf", "modules-load.d/headgate-dom0.conf", "headgate-guest.conf", "xapi.d/vm-pre-start/10headgate"} {
		if !strings.Contains(text, name) {
			t.Errorf("%s is not in it", name)
		}
	}
	cfg := read(t, "xen/web1.cfg")
	if !regexp.MustCompile(`channel = \[ "name=dummy,connection=pty",\s+"name=` + regexp.QuoteMeta(xen.ChannelName) + `,connection=socket,path=/run/xen/web1\.sock" \]`).MatchString(cfg) {
		t.Error("web1.cfg has another channel")
	}
	uuid := regexp.MustCompile(`uuid +=\s*"(.*)"`).FindStringSubmatch(cfg)
	if uuid == nil || !strings.Contains(text, xen.PolicyPath+"/"+uuid[1]+"/class") {
		t.Error("web1.cfg has another UUID than the README")
	}
}
