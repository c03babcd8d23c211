package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"headgate/backends/assess"
	"headgate/hostd/control"
)

// enoughSamples is how many an assessment wants (SP 800-90B §3.1.1).
const enoughSamples = 1_000_000

// assessment is what "hostd source assess" tells.
type assessment struct {
	Of        string  `json:"of"` // the file or the source
	Samples   uint64  `json:"samples"`
	Bits      int     `json:"bits"` // of a sample; all that follows is in bits a sample
	MCV       float64 `json:"most_common_value"`
	Collision float64 `json:"collision"`
	Markov    float64 `json:"markov"`
	Least     float64 `json:"least"`
	Claim     float64 `json:"claim,omitempty"`
	Assumed   bool    `json:"assumed,omitempty"` // the claim is not an assessed figure
	Ratio     float64 `json:"ratio,omitempty"`   // of the least to the claim
	Enough    bool    `json:"enough"`            // samples for an assessment
}

func (a *App) sourceAssess() *cobra.Command {
	c := &cobra.Command{
		Use:   "assess FILE | --source NAME",
		Short: "Estimate the min-entropy of raw samples, and hold the claim against it",
		Long: "Estimate the min-entropy of raw samples by three of the ten estimators of SP 800-90B\n" +
			"section 6.3: most common value, collision and Markov, the last two on the bitstring (the\n" +
			"most significant bit of a sample first) times the bits of a sample. The samples are those\n" +
			"of a file, one byte each, or - for the standard input; or those that a running source gives\n" +
			"now, of which nothing is kept. The least of the three is an upper bound of what the whole\n" +
			"suite allows to be claimed: NIST's own program decides, and whoever knows how the noise\n" +
			"comes about. Exits with 1 where the least is below the claim.",
		Example: "  hostd source assess raw.bin --claim 2\n  hostd source assess --source jitter -n 1MiB",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return exactly("FILE")(c, args)
		},
	}
	asJSON := jsonFlag(c)
	source := c.Flags().String("source", "", "take samples of this running source, whose claim is the status's: its `NAME`")
	samples := sizeFlag(c, control.DefCapture, control.MinTest, control.MaxCapture)
	bits := c.Flags().Int("bits", assess.MaxBits, "`BITS` of a sample, the least significant of each byte")
	claim := c.Flags().Float64("claim", 0, "hold this `H`, in bits of min-entropy a sample, against the estimates")
	c.RunE = func(c *cobra.Command, args []string) error {
		n, err := samples()
		if err != nil {
			return err
		}
		given := c.Flags().Changed
		switch {
		case (len(args) == 1) == given("source"):
			err = errors.New("give either a FILE of samples or --source NAME")
		case len(args) == 1 && given("samples"):
			err = errors.New("-n goes with --source: of a file all is taken")
		case *bits < 1 || *bits > assess.MaxBits:
			err = fmt.Errorf("--bits %d is out of bounds; allowed: 1 to %d", *bits, assess.MaxBits)
		case given("claim") && !(*claim > 0 && *claim <= float64(*bits)):
			err = fmt.Errorf("--claim %v is out of bounds; allowed: above 0, up to the %d bits of a sample", *claim, *bits)
		}
		if err != nil {
			return &usageError{c.CommandPath(), err}
		}
		of := assessment{Claim: *claim, Bits: *bits}
		if of.Of = *source; len(args) == 1 {
			of.Of = args[0]
			err = a.assessFile(&of)
		} else {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop() // so that the progress ends its line
			err = a.assessSource(ctx, &of, n)
		}
		if err != nil {
			return fmt.Errorf("assess %s: %w", of.Of, err)
		}
		if *asJSON {
			err = printJSON(a.Out, of)
		} else {
			err = a.printAssessment(of, given("source"))
		}
		if err == nil && of.Least < of.Claim {
			err = fmt.Errorf("assess %s: the claim of %.4g bits a sample is more than the %.4g that the samples allow: lower it",
				of.Of, of.Claim, of.Least)
		}
		return err
	}
	return c
}

func (a *App) assessFile(of *assessment) error {
	in := a.In
	if of.Of != "-" {
		f, err := os.Open(of.Of)
		if err != nil {
			return errors.Unwrap(err) // the path is told already
		}
		defer f.Close()
		in = f
	}
	return of.take(func(w io.Writer) error {
		buf := make([]byte, 1<<16)
		defer clear(buf)
		_, err := io.CopyBuffer(w, struct{ io.Reader }{in}, buf)
		return err
	})
}

// assessSource takes the claim from the status, unless one is given.
func (a *App) assessSource(ctx context.Context, of *assessment, n int) error {
	sources, err := a.client().Sources(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(sources, func(s control.SourceStatus) bool { return s.Name == of.Of })
	if i < 0 {
		return fmt.Errorf("source %w: see hostd source list", control.ErrNotFound)
	}
	if of.Claim == 0 {
		of.Claim, of.Assumed = sources[i].MinEntropy, sources[i].Assumed
	}
	return of.take(func(w io.Writer) error {
		return a.take(ctx, capture{source: of.Of, samples: n}, w)
	})
}

// take has samples written to an estimator and notes what they come to.
func (of *assessment) take(write func(io.Writer) error) error {
	estimator, err := assess.New(of.Bits)
	if err == nil {
		err = write(estimator)
	}
	if err != nil {
		return err
	}
	e := estimator.Estimates()
	if e.Samples < 2 {
		return errors.New("there is nothing to estimate: an assessment wants a million samples")
	}
	of.Samples, of.Enough = e.Samples, e.Samples >= enoughSamples
	of.MCV, of.Collision, of.Markov, of.Least = e.MCV, e.Collision, e.Markov, e.Least()
	if of.Claim > 0 {
		of.Ratio = of.Least / of.Claim
	}
	return nil
}

func (a *App) printAssessment(of assessment, live bool) error {
	l := lookOf(a.Out)
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s of %s\n", l.title.Render(printable(of.Of)), count(int(of.Samples), "sample"), count(of.Bits, "bit"))
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-18s  %s\n", name, fmt.Sprintf(format, args...))
	}
	row("most common value", "%.3f bits a sample", of.MCV)
	row("collision", "%.3f, of the bitstring", of.Collision)
	row("Markov", "%.3f, of the bitstring", of.Markov)
	row("least", "%.3f", of.Least)
	if of.Claim > 0 {
		assumed := ""
		if of.Assumed {
			assumed = ", assumed"
		}
		row("claim", "%.4g%s", of.Claim, assumed)
		verdict := l.good.Render("these three allow the claim")
		if of.Least < of.Claim {
			verdict = l.bad.Render("the claim is too high")
		}
		row("least by claim", "%.2f: %s", of.Ratio, verdict)
	}
	if !of.Enough {
		fmt.Fprintln(&b, l.warn.Render(fmt.Sprintf("An assessment wants at least %d samples (SP 800-90B section 3.1.1).", enoughSamples)))
	}
	file := printable(of.Of)
	if live {
		file = "FILE"
	}
	fmt.Fprintf(&b, "This is an upper bound of what can be claimed: three of the ten estimators of SP 800-90B section\n"+
		"6.3. NIST's whole suite decides, on a file of hostd source capture and one of its --restarts:\n"+
		"  ea_non_iid -v %s %d\n  ea_restart -v RESTARTS %[2]d H_I    (H_I: what ea_non_iid came to)\n", file, of.Bits)
	_, err := io.WriteString(a.Out, b.String())
	return err
}
