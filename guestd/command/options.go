//go:build linux

package command

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"headgate/guestd/feeder"
	"headgate/guestd/pipe"
	"headgate/guestd/status"
	"headgate/wire/feed"
)

// options are all flags of all commands. (The flag package links fmt and reflect,
// a third of guestd's size.)
type options struct {
	interval time.Duration
	timeout  time.Duration
	poll     time.Duration
	bytes    int
	credit   feeder.Credit
	kinds    []pipe.Kind
	paths    map[pipe.Kind]string
	status   string // "": keep none
	root     string
	json     bool
	help     bool
}

func defaults() options {
	return options{
		interval: time.Minute, timeout: 5 * time.Second, poll: time.Second, bytes: 64,
		kinds: pipe.Kinds(), paths: map[pipe.Kind]string{}, status: status.Path, root: "/",
	}
}

// parse reads "--name value" and "--name=value"; only names in allowed, which are
// separated by spaces, are taken.
func (o *options) parse(args []string, allowed string) error {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--help" || arg == "-h" {
			o.help = true
			return nil
		}
		name, value, joined := strings.Cut(arg, "=")
		known := strings.HasPrefix(name, "--") && strings.Contains(" "+allowed+" ", " "+name[2:]+" ")
		switch {
		case !known:
			return errors.New("unknown argument " + strconv.Quote(arg))
		case name == "--json" && !joined:
			o.json = true
			continue
		case !joined && len(args) == 0:
			return errors.New(name + " needs a value")
		case !joined:
			value, args = args[0], args[1:]
		}
		if err := o.set(name, value); err != nil {
			return errors.New(name + " " + strconv.Quote(value) + ": " + err.Error())
		}
	}
	return nil
}

func (o *options) set(name, value string) (err error) {
	switch name {
	case "--interval":
		o.interval, err = duration(value, time.Second)
	case "--timeout":
		o.timeout, err = duration(value, time.Millisecond)
	case "--poll":
		if o.poll = 0; value == "0" {
			break
		}
		if o.poll, err = duration(value, 100*time.Millisecond); err != nil {
			err = errors.New(err.Error() + ", or 0")
		}
	case "--bytes":
		o.bytes, err = strconv.Atoi(value)
		if err != nil || o.bytes < feeder.MinGather || o.bytes > feed.MaxData {
			return errors.New("must be from " + strconv.Itoa(feeder.MinGather) + " to " + strconv.Itoa(feed.MaxData))
		}
	case "--credit":
		o.credit, err = feeder.ParseCredit(value)
	case "--pipe":
		err = o.pipe(value)
	case "--status":
		o.status = value
	case "--root":
		o.root = value
	default:
		return errors.New("takes no value")
	}
	return err
}

// pipe reads auto, KIND or KIND:WHERE.
func (o *options) pipe(value string) error {
	if value == "auto" {
		return nil
	}
	kind, path, _ := strings.Cut(value, ":")
	for _, k := range pipe.Kinds() {
		if string(k) == kind {
			o.kinds, o.paths[k] = []pipe.Kind{k}, path
			return nil
		}
	}
	return errors.New("must be auto, vchan, channel, port or hwrng, the last three also with a device: port:PATH")
}

func duration(value string, least time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < least || d > 24*time.Hour {
		return 0, errors.New("must be a duration from " + least.String() + " to 24h, such as 90s")
	}
	return d, nil
}
