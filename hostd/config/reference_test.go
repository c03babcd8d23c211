package config

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func TestReferenceIsTheDefault(t *testing.T) {
	got, err := Parse("reference.toml", Reference)
	if err != nil {
		t.Fatal(err)
	}
	if want := Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("reference.toml means %+v, Default is %+v", got, want)
	}
}

func TestEmptyFileIsTheDefault(t *testing.T) {
	got, err := Parse("empty.toml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("an empty file means %+v, Default is %+v", got, want)
	}
}

// uncommented is the reference with its commented examples taken in.
func uncommented() string {
	example := regexp.MustCompile(`(?m)^# (\[\[\w+\]\]|[a-z_]+ = )`)
	text := example.ReplaceAllString(string(Reference), "$1")
	// What an example cannot have at once, or on every host.
	text = strings.ReplaceAll(text, "libvirt-qemu:kvm", "root:root")
	return strings.ReplaceAll(text, "root:kvm", "root:root")
}

func TestReferenceExamplesParse(t *testing.T) {
	c, err := Parse("reference.toml", []byte(uncommented()))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Sources) != 4 || len(c.Guests) != 1 || c.Guests[0].Pipes[0].Kind != "qemu" {
		t.Errorf("the examples mean %+v", c)
	}
}

// TestReferenceHasEveryKey holds the documentation to the parser.
func TestReferenceHasEveryKey(t *testing.T) {
	text := uncommented()
	c := Default()
	ignore := func(string, error) {}
	section := func(name string, f fields) {
		for key := range f {
			if !regexp.MustCompile(`(?m)^(\[\[?)?` + key + `( = |\])`).MatchString(text) {
				t.Errorf("%s%s is not in reference.toml", name, key)
			}
		}
	}
	section("", c.fields(ignore))
	section("log.", fields{"format": nil, "level": nil})
	section("reservoir.", fields{"size": nil, "boot_reserve": nil, "min_sources": nil})
	section("health.", fields{"alpha": nil})
	section("source.", (&Source{}).fields())
	section("class.", (&Class{}).fields())
	section("guest.", (&Guest{}).fields())
	section("host.", (&Host{}).fields())
	section("libvirt.", (&Libvirt{}).fields())
	section("xen.", (&Xen{}).fields())
}

// What the README shows is a configuration that works.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "```toml\n")
	text, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("no configuration in the README")
	}
	text = strings.ReplaceAll(text, "libvirt-qemu:kvm", "root:root") // who need not be here
	c, err := Parse("README.md", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Guests) != 1 || len(c.Guests[0].Pipes) != 2 {
		t.Errorf("%+v", c.Guests)
	}
}
