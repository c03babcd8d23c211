package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"headgate/hostd/config"
	"headgate/hostd/control"
)

func (a *App) source() *cobra.Command {
	return group(&cobra.Command{
		Use:     "source",
		Short:   "List and test the noise sources, and capture their raw samples",
		Example: "  hostd source list\n  hostd source capture hwrng -n 1MiB -o raw.bin",
	}, a.sourceList(), a.sourceTest(), a.sourceCapture(), a.sourceAssess())
}

func (a *App) sourceList() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the sources with their health", Example: "  hostd source list --json",
		Args: exactly(),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		sources, err := a.client().Sources(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(a.Out, sources)
		}
		sourceTable(a.Out, lookOf(a.Out), sources, a.Now())
		return nil
	}
	return c
}

// sizeFlag is a number of samples, which are bytes.
func sizeFlag(c *cobra.Command, otherwise config.Size, low, high config.Size) func() (int, error) {
	n := otherwise
	c.Flags().VarP(&sizeValue{&n}, "samples", "n", fmt.Sprintf("`N` samples, %v to %v", low, high))
	return func() (int, error) {
		if n < low || n > high {
			return 0, &usageError{c.CommandPath(), fmt.Errorf("-n %v is out of bounds; allowed: %v to %v", n, low, high)}
		}
		return int(n), nil
	}
}

type sizeValue struct{ *config.Size }

func (v *sizeValue) Set(s string) error { return v.UnmarshalText([]byte(s)) }
func (*sizeValue) Type() string         { return "size" }

func (a *App) sourceTest() *cobra.Command {
	c := &cobra.Command{
		Use:   "test NAME",
		Short: "Take raw samples of a running source and judge them",
		Long: "Take raw samples of a running source and judge them by its claim. The samples are\n" +
			"thrown away. The estimate is an upper bound from the commonest value alone (SP 800-90B\n" +
			"section 6.3.1); for an assessment capture a million samples and use NIST's tool.",
		Example: "  hostd source test hwrng -n 64KiB",
		Args:    exactly("NAME"),
	}
	asJSON := jsonFlag(c)
	samples := sizeFlag(c, control.DefaultTest, control.MinTest, control.MaxTest)
	c.RunE = func(c *cobra.Command, args []string) error {
		n, err := samples()
		if err != nil {
			return err
		}
		t, err := a.client().TestSource(c.Context(), args[0], n)
		if err != nil {
			return fmt.Errorf("source %s: %w", args[0], err)
		}
		if *asJSON {
			err = printJSON(a.Out, t)
		} else {
			a.printTest(t)
		}
		if err == nil && !t.Passed {
			err = fmt.Errorf("source %s failed the test: %s", t.Name, printable(t.Failure))
		}
		return err
	}
	return c
}

func (a *App) printTest(t control.SourceTest) {
	l := lookOf(a.Out)
	verdict := l.good.Render("passed")
	if !t.Passed {
		verdict = l.bad.Render("failed")
	}
	claim := fmt.Sprintf("%.3g bits per byte", t.MinEntropy)
	if t.Assumed {
		claim += ", assumed"
	}
	rate := "-"
	if t.Seconds > 0 {
		rate = amount(uint64(float64(t.Samples)/t.Seconds)) + "/s"
	}
	fmt.Fprintf(a.Out, "source %s: %s\n", t.Name, verdict)
	fmt.Fprintf(a.Out, "  samples      %d in %s, %s\n", t.Samples, seconds(t.Seconds), rate)
	fmt.Fprintf(a.Out, "  claim        %s\n", claim)
	fmt.Fprintf(a.Out, "  estimate     at most %.2f bits per byte\n", t.Estimate)
	fmt.Fprintf(a.Out, "  longest run  %d equal samples; %d fail\n", t.LongestRun, t.RCTCutoff)
	fmt.Fprintf(a.Out, "  proportion   %d equal samples in a window of 512 fail\n", t.APTCutoff)
}
