package reservoir

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// vector is one record of a CAVP response file for CTR_DRBG. The steps that have an
// entropy input reseed first: with prediction resistance, the additional input goes
// into that, and the generate then has none (SP 800-90A Rev.1 §9.3.1).
type vector struct {
	name                     string
	entropy, personalization []byte
	reseed, reseedExtra      []byte
	additional, fresh        [2][]byte
	returned                 []byte
}

// readVectors reads the response file of that name in testdata (see its README).
func readVectors(t *testing.T, name string) (all []vector) {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var group string
	var v vector
	inputs, prs := 0, 0
	lines := bufio.NewScanner(unzipped)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "[Pers") {
			group = line
		}
		if strings.HasPrefix(line, "[Additional") {
			group += line
		}
		key, value, found := strings.Cut(line, " =")
		if !found || strings.HasPrefix(line, "[") {
			continue
		}
		value = strings.TrimSpace(value)
		if key == "COUNT" {
			v, inputs, prs = vector{name: group + " " + value}, 0, 0
			continue
		}
		b, err := hex.DecodeString(value)
		if err != nil {
			t.Fatalf("%s: %s: %v", v.name, key, err)
		}
		switch key {
		case "EntropyInput":
			v.entropy = b
		case "PersonalizationString":
			v.personalization = b
		case "EntropyInputReseed":
			v.reseed = b
		case "AdditionalInputReseed":
			v.reseedExtra = b
		case "AdditionalInput":
			v.additional[inputs] = b
			inputs++
		case "EntropyInputPR":
			v.fresh[prs] = b
			prs++
		case "ReturnedBits":
			v.returned = b
			all = append(all, v)
		default:
			t.Fatalf("%s: %q is not known", v.name, key)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// full is b as a seed, nil for an empty string.
func full(t *testing.T, b []byte) *[SeedSize]byte {
	if len(b) == 0 {
		return nil
	}
	if len(b) != SeedSize {
		t.Fatalf("%d bytes of seed", len(b))
	}
	return (*[SeedSize]byte)(b)
}

func (v vector) compute(t *testing.T) []byte {
	d := NewDRBG(full(t, v.entropy), full(t, v.personalization))
	defer d.Wipe()
	if v.reseed != nil {
		d.seed(full(t, v.reseed), full(t, v.reseedExtra))
	}
	got := make([]byte, len(v.returned))
	for i := range 2 {
		extra := full(t, v.additional[i])
		if fresh := full(t, v.fresh[i]); fresh != nil {
			d.seed(fresh, extra)
			extra = nil
		}
		if err := d.generate(got, extra); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

// Every vector that NIST's CAVP has for CTR_DRBG with AES-256 and no derivation
// function: 240 in each of the three files, 15 in each group.
func TestCAVP(t *testing.T) {
	for _, name := range []string{"ctr_drbg_no_reseed.rsp.gz", "ctr_drbg_pr_false.rsp.gz", "ctr_drbg_pr_true.rsp.gz"} {
		t.Run(name, func(t *testing.T) {
			vectors := readVectors(t, name)
			if len(vectors) != 240 {
				t.Fatalf("%d vectors, want 240", len(vectors))
			}
			var personalized, withInput int
			for _, v := range vectors {
				if len(v.personalization) > 0 {
					personalized++
				}
				if len(v.additional[0]) > 0 {
					withInput++
				}
				if got := v.compute(t); len(v.returned) != 64 || !bytes.Equal(got, v.returned) {
					t.Errorf("%s: got %x, want %x", v.name, got, v.returned)
				}
			}
			if personalized != 120 || withInput != 120 {
				t.Errorf("%d with a personalization string, %d with additional input: want 120 each", personalized, withInput)
			}
		})
	}
}

// The sample of an ACVP test session: reseed and both generates with additional input,
// and an output of another length.
func TestACVP(t *testing.T) {
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	v := vector{
		entropy:     unhex("7351765DCC1B60E36CA50EC6A99A4D2E72ACA7ADEEEB8823E8B131420973389B2DC00F65705A65AB6BFA3A3E1FA56FA2"),
		reseed:      unhex("F6EF9E091EAE78BBEAE61DE47CA65D136E171D70FF56666BE817EB8FAD7DD81D1F9951AB47FC1581A1961ECE561DA024"),
		reseedExtra: unhex("24227E32AFF26D92E42CA7B1C4BE5F76CDDEF93D16F292F2FF3B1DAB4D348DFE633197C868EB348938CB2E42706BAB40"),
		additional: [2][]byte{
			unhex("DEA87D2945549B14D46362D9F3CFCE7073CC8B2A3DBB4F6056B16DD868F11D5690FAB43CAF7D6C70234BA16A7C204A46"),
			unhex("06EE48470F59F682B6E6B732C7CBDDA6E32D6B183C541CBAF3B707E46D3F099FE4F90DE61A1BC999D94BB98C15596272"),
		},
		returned: unhex("e45a152cbf6fa264dcbfd209baa176c0"),
	}
	if got := v.compute(t); !bytes.Equal(got, v.returned) {
		t.Errorf("got %x, want %x", got, v.returned)
	}
}
