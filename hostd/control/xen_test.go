package control

import (
	"encoding/json"
	"testing"
)

// Tools read these names.
func TestXenStatusJSON(t *testing.T) {
	for want, s := range map[string]XenStatus{
		`{"follow":true,"dom0":false,"connected":false,"error":"this host is no Xen dom0","unlisted":false,"domains":0}`: {
			Follow: true, Error: "this host is no Xen dom0",
		},
		`{"follow":true,"dom0":true,"connected":true,"socket":"/run/xenstored/socket","unlisted":true,"domains":2,` +
			`"problems":[{"domain":"web1","kind":"domain_policy","text":"a rate"}],"problem_count":1}`: {
			Follow: true, Dom0: true, Connected: true, Socket: "/run/xenstored/socket", Unlisted: true, Domains: 2,
			Problems: []DomainProblem{{Domain: "web1", Problem: Problem{Kind: DomainPolicy, Text: "a rate"}}}, ProblemCount: 1,
		},
	} {
		got, err := json.Marshal(s)
		if err != nil || string(got) != want {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
}
