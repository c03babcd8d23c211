package xen

import (
	"strings"
	"testing"

	"headgate/xen/xenstore/storetest"
)

// What is asked for by a UUID is domain 0's word for it, whether a domain has it or not.
func TestReadPolicies(t *testing.T) {
	s := storetest.New()
	defer s.Close()
	conn := s.Connect(0)
	defer conn.Close()
	if all, err := Policies(conn); len(all) > 0 || err != nil {
		t.Errorf("%v, %v", all, err)
	}
	const there, bare = "0f1e2d3c-4b5a-6978-8796-000000000001", "0f1e2d3c-4b5a-6978-8796-000000000002"
	for _, err := range []error{
		SetPolicy(conn, there, Policy{Class: "gold", Weight: "3"}),
		SetPolicy(conn, bare, Policy{}),
		conn.Write(PolicyPath+"/"+there+"/klass", "gold"),
		conn.Write(PolicyPath+"/"+there+"/rate", strings.Repeat("9", maxValue+1)),
		conn.Write(PolicyPath+"/web1/class", "gold"),
		conn.Write(PolicyPath+"/"+strings.ToUpper(bare)+"/class", "gold"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	all, err := Policies(conn)
	if err != nil || len(all) != 2 || all[bare] == nil || !all[bare].equal(&Policy{}) {
		t.Errorf("%v, %v", all, err)
	}
	p := all[there]
	if p == nil || p.Class != "gold" || p.Weight != "3" || p.Rate != "" || len(p.Unknown) != 2 {
		t.Errorf("%+v", p)
	}
	if one, err := ReadPolicy(conn, strings.ToUpper(there)); err != nil || !one.equal(p) {
		t.Errorf("%+v, %v", one, err)
	}
	for _, uuid := range []string{"0f1e2d3c-4b5a-6978-8796-000000000009", "web1", ""} {
		if one, err := ReadPolicy(conn, uuid); one != nil || err != nil {
			t.Errorf("%q: %+v, %v", uuid, one, err)
		}
	}
}
