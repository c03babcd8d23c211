//go:build linux

package command

import (
	"errors"
	"io"
	"strconv"

	"headgate/guestd/check"
	"headgate/guestd/quote"
)

// runCheck says what every clone of the image below o.root would share; that there
// is something is its error.
func runCheck(o *options, stdout io.Writer) error {
	found, err := check.Run(o.root)
	if err != nil {
		return err
	}
	text := findingsText
	if o.json {
		text = findingsJSON
	}
	if _, err = stdout.Write(text(found)); err != nil {
		return err
	}
	faults, secrets, identities := check.Count(found)
	if faults == 0 {
		return nil
	}
	problem := "see above: clones of this image share secrets: " + strconv.Itoa(secrets) + ", identities: " + strconv.Itoa(identities)
	if unseen := faults - secrets - identities; unseen > 0 {
		problem += "; places that could not be looked at: " + strconv.Itoa(unseen)
	}
	return errors.New(problem)
}

// findingsText has a line for each finding, and what mends it on the next; findings
// that one command mends have it once, after the last.
func findingsText(found []check.Finding) (b []byte) {
	for i, f := range found {
		level := string(f.Level)
		b = append(append(append(b, level...), "       "[len(level):]...), f.About...)
		if f.Path != "" {
			b = append(append(b, ' '), f.Path...)
		}
		b = append(append(append(b, ": "...), f.What...), '\n')
		if f.Fix != "" && (i+1 == len(found) || found[i+1].Fix != f.Fix) {
			b = append(append(append(b, "       "...), f.Fix...), '\n')
		}
	}
	return b
}

// findingsJSON is an array of flat objects, all with the same keys.
func findingsJSON(found []check.Finding) []byte {
	b := []byte{'['}
	for i, f := range found {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '\n')
		open := byte('{')
		for _, field := range [][2]string{
			{"level", string(f.Level)}, {"about", f.About}, {"path", f.Path}, {"shared", f.Shared}, {"text", f.What}, {"remedy", f.Fix},
		} {
			b = append(quote.Append(append(b, open), field[0]), ':')
			b, open = quote.Append(b, field[1]), ','
		}
		b = append(b, '}')
	}
	return append(b, "\n]\n"...)
}
