package config

import (
	"strings"
	"testing"
)

func TestDomainKeys(t *testing.T) {
	const uuid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
	for _, good := range []string{"web1", uuid, "1", "32751", "a b", "é", "7up", strings.Repeat("x", 255), "web1:2"} {
		p, err := ParsePipe("vchan:" + good)
		if err != nil || p != (Pipe{Kind: Vchan, Path: good}) || p.Listens() || p.String() != "vchan:"+good {
			t.Errorf("%q: %+v, %v", good, p, err)
		}
	}
	for bad, why := range map[string]string{
		"": "no domain is named", "0": "no guest's domid", "32752": "no guest's domid", "007": "no guest's domid",
		"99999999999999999999": "no guest's domid", "a/b": "names no domain", "a\nb": "names no domain", "\xff": "names no domain",
		strings.Repeat("x", 256): "names no domain", strings.ToUpper(uuid): "not in lower case",
	} {
		_, err := ParsePipe("vchan:" + bad)
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %v, want %q", bad, err, why)
		}
	}
}

// The operator of the host may choose what whoever edits a domain may not, within
// what the configuration may have.
func TestTheOperatorsPolicy(t *testing.T) {
	c, err := Parse("f", []byte(classes))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		policy Policy
		want   Guest
		say    string // nothing: no mistake
	}{
		"nothing":                     {Policy{}, Guest{Class: "default"}, ""},
		"a class not selectable":      {Policy{Class: "hosts"}, Guest{Class: "hosts"}, ""},
		"limits above the class's":    {Policy{Class: "thin", Rate: "2KiB/s", Weight: "1000"}, Guest{Class: "thin", Rate: 2048, Weight: 1000}, ""},
		"unlimited":                   {Policy{Rate: "unlimited"}, Guest{Class: "default", Rate: Unlimited}, ""},
		"no such class":               {Policy{Class: "tin", Rate: "unlimited"}, Guest{Class: "default"}, `domain web1: policy class: there is no class "tin"; allowed: bulk, default, gold, hosts, thin`},
		"a rate that is none":         {Policy{Class: "gold", Rate: "fast"}, Guest{Class: "default"}, `domain web1: policy rate: "fast" is not a rate`},
		"a rate beyond what can be":   {Policy{Class: "gold", Rate: "2GiB/s"}, Guest{Class: "default"}, "policy rate: 2GiB/s is out of bounds"},
		"a weight beyond what can be": {Policy{Class: "gold", Weight: "1001"}, Guest{Class: "default"}, "policy weight: 1001 is out of bounds; allowed: 1 to 1000"},
		"a node not known":            {Policy{Class: "gold", Unknown: []string{`node "klass"`}}, Guest{Class: "default"}, `policy not understood: node "klass"; allowed: class, rate, weight`},
	} {
		tc.policy.Operator = true
		got, mistakes := c.Policy("web1", tc.policy)
		if !got.Equal(tc.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
		switch {
		case tc.say == "" && len(mistakes) > 0, tc.say != "" && (len(mistakes) != 1 || !strings.Contains(mistakes[0].Error(), tc.say)):
			t.Errorf("%s: mistakes %q, want %q", name, mistakes, tc.say)
		}
	}
}
