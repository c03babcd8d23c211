package config

import (
	"fmt"
	"slices"
	"strings"

	"headgate/hostd/quality"
)

// Class is a named set of limits. What is 0 of the last four has no meaning with its
// quality.
type Class struct {
	Name        string     `json:"name"`
	Rate        Rate       `json:"rate"`
	Burst       Size       `json:"burst"`
	Weight      int        `json:"weight"`
	Quality     string     `json:"quality"`
	SocketOwner Owner      `json:"socket_owner,omitempty"`
	SocketMode  SocketMode `json:"socket_mode,omitempty"`
	Selectable  bool       `json:"selectable,omitempty"` // a domain's own XML may choose it

	DRBGRate       Rate     `json:"drbg_rate,omitzero"`       // of the bytes above those of the reservoir
	ReseedBytes    Size     `json:"reseed_bytes,omitzero"`    // after which a guest's DRBG is to be reseeded
	ReseedInterval Duration `json:"reseed_interval,omitzero"` // likewise
	MaxStale       Duration `json:"max_stale,omitzero"`       // how long it may go on without
}

// DefaultClass is the class of a guest that names none.
const DefaultClass = "default"

// What a guest gets.
const (
	QualityFull         = quality.Full         // only bytes of the reservoir
	QualityDRBG         = quality.DRBG         // those of its own DRBG, seeded from the reservoir
	QualityFullThenDRBG = quality.FullThenDRBG // those of the reservoir as far as its limits go, and of its DRBG above that
)

var qualities = []string{QualityFull, QualityDRBG, QualityFullThenDRBG}

// defaultDRBGRate is what holds where nothing is given.
const defaultDRBGRate Rate = 1 << 20

const (
	allowedDRBG         = "only with quality drbg or full-then-drbg"
	allowedFullThenDRBG = "only with quality full-then-drbg"
)

func defaultClass() Class {
	return Class{Name: DefaultClass, Rate: 1 << 10, Burst: 4 << 10, Weight: 1, Quality: QualityFull}
}

func (k *Class) fields() fields {
	return fields{
		"name":            text(&k.Name, nil),
		"quality":         text(&k.Quality, nil),
		"rate":            parsed(&k.Rate, allowedRate, checkRate),
		"burst":           parsed(&k.Burst, allowedBurst, checkBurst),
		"weight":          integer(&k.Weight, checkWeight),
		"socket_owner":    text((*string)(&k.SocketOwner), checkOwner),
		"socket_mode":     parsed(&k.SocketMode, allowedMode, nil),
		"selectable":      boolean(&k.Selectable),
		"drbg_rate":       parsed(&k.DRBGRate, allowedRate, checkRate),
		"reseed_bytes":    parsed(&k.ReseedBytes, allowedSize, checkReseedBytes),
		"reseed_interval": parsed(&k.ReseedInterval, allowedDuration, checkReseedInterval),
		"max_stale":       parsed(&k.MaxStale, allowedDuration, checkMaxStale),
	}
}

func checkQuality(q string) error {
	if slices.Contains(qualities, q) {
		return nil
	}
	return refuse(strings.Join(qualities, ", "), "%q is not a quality", clip(q))
}

func checkReseedBytes(s Size) error {
	if s < quality.MinReseedBytes || s > quality.MaxReseedBytes {
		return refuse(fmt.Sprintf("%v to %v", Size(quality.MinReseedBytes), Size(quality.MaxReseedBytes)), "%v is out of bounds", s)
	}
	return nil
}

func checkReseedInterval(d Duration) error {
	return withinTime(d, quality.MinReseedInterval, quality.MaxReseedInterval)
}

func checkMaxStale(d Duration) error {
	return withinTime(d, quality.MinReseedInterval, quality.MaxMaxStale)
}

// check refuses what has no meaning with the class's quality, and fills in what is not
// given of the rest.
func (k *Class) check(at string, report report) {
	report(at+".quality", checkQuality(k.Quality))
	refuseGiven := func(key string, given bool, allowed, reason string) {
		if given {
			report(at+"."+key, refuse(allowed, "it has no meaning: %s", reason))
		}
	}
	switch k.Quality {
	case QualityFull:
		refuseGiven("drbg_rate", k.DRBGRate != 0, allowedFullThenDRBG, "quality full gives nothing above rate")
		const why = "quality full gives bytes of the reservoir, and no DRBG's"
		refuseGiven("reseed_bytes", k.ReseedBytes != 0, allowedDRBG, why)
		refuseGiven("reseed_interval", k.ReseedInterval != 0, allowedDRBG, why)
		refuseGiven("max_stale", k.MaxStale != 0, allowedDRBG, why)
		return
	case QualityDRBG:
		refuseGiven("drbg_rate", k.DRBGRate != 0, allowedFullThenDRBG, "with quality drbg, rate and burst limit the DRBG's bytes")
	case QualityFullThenDRBG:
		orElse(&k.DRBGRate, defaultDRBGRate)
	}
	orElse(&k.ReseedBytes, quality.DefaultReseedBytes)
	orElse(&k.ReseedInterval, Duration(quality.DefaultReseedInterval))
	orElse(&k.MaxStale, Duration(quality.DefaultMaxStale))
	if k.ReseedInterval > k.MaxStale {
		report(at+".reseed_interval", refuse("at most that",
			"%v is longer than max_stale, %v: the guest would have to wait before each reseed", k.ReseedInterval, k.MaxStale))
	}
}

// orElse puts what holds where nothing is given.
func orElse[T comparable](into *T, otherwise T) {
	if *into == *new(T) {
		*into = otherwise
	}
}
