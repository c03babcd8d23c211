package control

import (
	"reflect"
	"testing"
)

// What is wrong with a domain is told whether it has a guest or not.
func TestDomainProblems(t *testing.T) {
	wrong := []Problem{{Kind: DomainMiswired, Text: "its rng device"}}
	s := Status{
		Guests:  []GuestStatus{{Name: "fed"}, {Name: "web1", Domain: &DomainStatus{UUID: "1", Problems: wrong}}},
		Libvirt: LibvirtStatus{Problems: []DomainProblem{{Domain: "web2", Problem: wrong[0]}}},
		Xen:     XenStatus{Problems: []DomainProblem{{Domain: "web3", ID: 3, Problem: wrong[0]}}}, // another's
	}
	for uuid, name := range map[string]string{"1": "web1", "2": "web2"} {
		if got := s.DomainProblems(name, uuid); !reflect.DeepEqual(got, wrong) {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := s.DomainProblems("web3", "3"); got != nil {
		t.Errorf("web3: %v", got)
	}
}
