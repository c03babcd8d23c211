package config

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

const classes = `
[[class]]
name = "default"
rate = "2KiB/s"
weight = 2
[[class]]
name = "gold"
rate = "unlimited"
weight = 10
selectable = true
[[class]]
name = "thin"
rate = "1KiB/s"
selectable = true
[[class]]
name = "bulk"
quality = "drbg"
selectable = true
[[class]]
name = "hosts"
rate = "1MiB/s"
`

func TestPolicy(t *testing.T) {
	c, err := Parse("f", []byte(classes))
	if err != nil {
		t.Fatal(err)
	}
	limits := func(class string, rate Rate, weight int) Guest {
		return Guest{Class: class, Rate: rate, Weight: weight}
	}
	for name, tc := range map[string]struct {
		policy Policy
		want   Guest
		say    []string // one for each mistake
	}{
		"nothing":               {Policy{}, limits("default", 0, 0), nil},
		"the default class":     {Policy{Class: "default"}, limits("default", 0, 0), nil},
		"a selectable class":    {Policy{Class: "gold", Quality: "full"}, limits("gold", 0, 0), nil},
		"lower limits":          {Policy{Class: "gold", Rate: "4KiB/s", Weight: "3"}, limits("gold", 4096, 3), nil},
		"the class's own":       {Policy{Class: "gold", Rate: "unlimited", Weight: "10"}, limits("gold", Unlimited, 10), nil},
		"lower without a class": {Policy{Rate: "64B/s", Weight: "1"}, limits("default", 64, 1), nil},
		"a class not selectable": {Policy{Class: "hosts", Rate: "64B/s"}, limits("default", 0, 0),
			[]string{`domain web1: policy class: a domain may not choose class "hosts": it needs selectable = true in hostd's configuration; allowed: bulk, default, gold, thin`}},
		"no such class": {Policy{Class: "tin"}, limits("default", 0, 0),
			[]string{`domain web1: policy class: there is no class "tin"; allowed: bulk, default, gold, thin`}},
		"a class in other letters": {Policy{Class: "Gold"}, limits("default", 0, 0), []string{`there is no class "Gold"`}},
		"a higher rate": {Policy{Class: "thin", Rate: "2KiB/s"}, limits("thin", 0, 0),
			[]string{`domain web1: policy rate: 2KiB/s is above the class's 1KiB/s; allowed: no more than that`}},
		"unlimited in a class that is not": {Policy{Rate: "unlimited"}, limits("default", 0, 0),
			[]string{`policy rate: unlimited is above the class's 2KiB/s`}},
		"a higher weight": {Policy{Class: "thin", Rate: "1B/s", Weight: "2"}, limits("thin", 1, 0),
			[]string{`domain web1: policy weight: 2 is above the class's 1; allowed: no more than that`}},
		"a rate that is none":    {Policy{Class: "gold", Rate: "fast"}, limits("default", 0, 0), []string{`policy rate: "fast" is not a rate`}},
		"a rate out of bounds":   {Policy{Class: "gold", Rate: "2GiB/s"}, limits("default", 0, 0), []string{`policy rate: 2GiB/s is out of bounds`}},
		"a weight of nothing":    {Policy{Class: "gold", Weight: "0"}, limits("default", 0, 0), []string{`policy weight: 0 is out of bounds; allowed: 1 to 1000`}},
		"a weight with a sign":   {Policy{Class: "gold", Weight: "-1"}, limits("default", 0, 0), []string{`policy weight: "-1" is not a weight`}},
		"a weight that wraps":    {Policy{Weight: "4294967297"}, limits("default", 0, 0), []string{`policy weight: "4294967297" is not a weight`}},
		"the class's quality":    {Policy{Class: "bulk", Quality: "drbg"}, limits("bulk", 0, 0), nil},
		"another quality":        {Policy{Class: "gold", Quality: "drbg"}, limits("default", 0, 0), []string{`policy quality: class gold gives no quality "drbg"; allowed: full`}},
		"a better quality":       {Policy{Class: "bulk", Quality: "full"}, limits("default", 0, 0), []string{`policy quality: class bulk gives no quality "full"; allowed: drbg`}},
		"a quality that is none": {Policy{Class: "gold", Quality: "best"}, limits("default", 0, 0), []string{`policy quality: "best" is not a quality`}},
		"an attribute not known": {Policy{Class: "gold", Unknown: []string{`attribute "burst"`}}, limits("default", 0, 0), []string{`domain web1: policy not understood: attribute "burst"; allowed: class, rate, weight, quality`}},
		"text of two lines":      {Policy{Unknown: []string{"a\nb"}}, limits("default", 0, 0), []string{`policy not understood: "a\nb"; allowed: `}},
		"text that is none":      {Policy{Unknown: []string{"a\xff"}}, limits("default", 0, 0), []string{`policy not understood: "a\xff"; allowed: `}},
		"every mistake is told":  {Policy{Class: "x", Rate: "y", Weight: "z", Quality: "q"}, limits("default", 0, 0), []string{"policy class: ", "policy rate: ", "policy weight: ", "policy quality: "}},
		"attributes not known":   {Policy{Unknown: strings.Split(strings.Repeat("x", 9), "")}, limits("default", 0, 0), slicesOf(`policy not understood: x; `, 9)},
	} {
		got, mistakes := c.Policy("web1", tc.policy)
		if !got.Equal(tc.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
		if len(mistakes) != len(tc.say) {
			t.Errorf("%s: mistakes %q, want %q", name, mistakes, tc.say)
			continue
		}
		for i, m := range mistakes {
			if !strings.Contains(m.Error(), tc.say[i]) {
				t.Errorf("%s: says %q, want %q", name, m, tc.say[i])
			}
		}
	}
}

func slicesOf(s string, n int) []string { return strings.Split(strings.Repeat(s+"\n", n-1)+s, "\n") }

// aConfig draws classes, some of which can be chosen.
func aConfig(t *rapid.T) *Config {
	c := Default()
	for _, name := range []string{"gold", "thin", "hosts"} {
		k := defaultClass()
		k.Name = name
		c.Classes = append(c.Classes, k)
	}
	for i := range c.Classes {
		k := &c.Classes[i]
		k.Rate = rapid.SampledFrom([]Rate{MinRate, 64, 1 << 10, 1000, MaxRate, Unlimited}).Draw(t, "rate")
		k.Weight = rapid.SampledFrom([]int{MinWeight, 2, 7, MaxWeight}).Draw(t, "weight")
		k.Quality = rapid.SampledFrom(qualities).Draw(t, "quality")
		k.Selectable = rapid.Bool().Draw(t, "selectable")
	}
	return c
}

// TestAPolicyNeverRaises draws what a hostile editor of a domain may write: what
// comes of it never exceeds the default class, nor the class that it may choose.
func TestAPolicyNeverRaises(t *testing.T) {
	attribute := func(t *rapid.T, name string, likely ...string) string {
		return rapid.OneOf(rapid.SampledFrom(likely), rapid.String(), rapid.StringMatching(`[-+]?[0-9]{1,20}([KMG]i?)?B?(/s)?`)).Draw(t, name)
	}
	rapid.Check(t, func(t *rapid.T) {
		holds(t, aConfig(t), Policy{
			Class:   attribute(t, "class", "", "default", "gold", "thin", "hosts"),
			Rate:    attribute(t, "rate", "", "1KiB/s", "unlimited", "1B/s", "9GiB/s"),
			Weight:  attribute(t, "weight", "", "1", "2", "1000", "0"),
			Quality: attribute(t, "quality", "", "full", "drbg", "full-then-drbg"),
			Unknown: rapid.SliceOfN(rapid.String(), 0, 2).Draw(t, "unknown"),
		})
	})
}

func FuzzPolicy(f *testing.F) {
	for _, s := range [][5]string{
		{"", "", "", "", ""}, {"gold", "unlimited", "10", "full", ""}, {"thin", "9223372036854775807/s", "4294967297", "drbg", "burst"},
	} {
		f.Add(s[0], s[1], s[2], s[3], s[4])
	}
	c, err := Parse("f", []byte(classes))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, class, rate, weight, quality, unknown string) {
		p := Policy{Class: class, Rate: rate, Weight: weight, Quality: quality}
		if unknown != "" {
			p.Unknown = []string{unknown}
		}
		holds(t, c, p)
	})
}

// holds checks the promise of Config.Policy.
func holds(t interface {
	Fatalf(format string, args ...any)
}, c *Config, p Policy) {
	g, mistakes := c.Policy("a\nb", p)
	class, known := c.Class(g.Class)
	if !known || class.Name != DefaultClass && !class.Selectable {
		t.Fatalf("%+v chose class %q", p, g.Class)
	}
	if class.Name != DefaultClass && class.Name != p.Class {
		t.Fatalf("%+v came to class %q", p, g.Class)
	}
	if l := g.Under(class); l.Rate > class.Rate || l.Weight > class.Weight || l.Rate < MinRate || l.Weight < MinWeight ||
		l.Burst != class.Burst || l.Quality != class.Quality || l.SocketOwner != class.SocketOwner || l.SocketMode != class.SocketMode {
		t.Fatalf("%+v has limits %+v, its class %+v", p, l, class)
	}
	if err := CheckLimits(given(g.Rate), nil, given(g.Weight)); err != nil {
		t.Fatalf("%+v came to %+v: %v", p, g, err)
	}
	for _, m := range mistakes {
		if s := m.Error(); strings.ContainsAny(s, "\n\x00") || !utf8.ValidString(s) || len(s) > 1000 || !strings.Contains(s, `domain "a\nb": policy `) {
			t.Fatalf("%+v: mistake %q", p, s)
		}
	}
	if len(mistakes) == 0 && (p.Class != "" && g.Class != p.Class || p.Rate != "" && g.Rate == 0 || p.Weight != "" && g.Weight == 0) {
		t.Fatalf("%+v was not obeyed, and nothing is said: %+v", p, g)
	}
}

// TestPIDFile: libvirt writes a name there as in XML, so that no two domains have
// the same file.
func TestPIDFile(t *testing.T) {
	l := Libvirt{PIDs: "/run/libvirt/qemu"}
	for name, want := range map[string]string{
		"web1":             "web1",
		`<web> & 'co' "ü"`: "&lt;web&gt; &amp; &apos;co&apos; &quot;ü&quot;",
		"&amp;":            "&amp;amp;",
	} {
		if got := l.PIDFile(name); got != "/run/libvirt/qemu/"+want+".pid" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestDomainGuest(t *testing.T) {
	const uuid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
	for name, want := range map[string]string{
		"web1": "web1", "a b": uuid, "": uuid, "-x": uuid, "é": uuid, strings.Repeat("x", 64): uuid,
		uuid: uuid, "1f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0": uuid, strings.ToUpper(uuid): uuid,
	} {
		if got := DomainGuest(name, uuid); got != want {
			t.Errorf("domain %q is guest %q, want %q", name, got, want)
		}
		if err := CheckName(DomainGuest(name, uuid)); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", uuid[1:], strings.ToUpper(uuid), strings.ReplaceAll(uuid, "-", "0"), uuid[:35] + "g"} {
		if IsUUID(bad) {
			t.Errorf("%q was taken for a UUID", bad)
		}
	}
}

func TestCheckDomainName(t *testing.T) {
	for _, good := range []string{"web1", "a b", "é", "..", strings.Repeat("x", 255)} {
		if err := CheckDomainName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a/b", "a\nb", "a\x00", strings.Repeat("x", 256)} {
		if err := CheckDomainName(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
