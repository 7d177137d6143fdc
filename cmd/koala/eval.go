package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/koala-go/sdk/eval"
)

// evalCmd has the commands for evaluation.
type evalCmd struct {
	Rouge evalRougeCmd `cmd:"" help:"Score predictions by Rouge-L and exact match, as Super-NaturalInstructions does."`
	Agree evalAgreeCmd `cmd:"" help:"Measure the agreement of raters."`
}

type evalRougeCmd struct {
	Predictions string `required:"" placeholder:"FILE" help:"Predictions: JSON lines, plain or compressed with gzip; - for standard input."`
	References  string `placeholder:"FILE" help:"References by id: JSON lines in the same form or in that of Tk-Instruct (default: those of the predictions)."`
	By          string `enum:"category,task" default:"category" help:"Group the printed table by this: ${enum} (default ${default})."`
	JSON        bool   `name:"json" help:"Print one JSON document on stdout, with both groupings."`
}

// Help returns the text below the usage line.
func (c *evalRougeCmd) Help() string {
	return `Each line is {"id", "prediction", "references": […], "task", "category"}; task and category
are optional. The scores are those of rouge_score with its stemmer and of Tk-Instruct.

Example:
  koala eval rouge --predictions predictions.jsonl --by task`
}

// Run executes the command.
func (c *evalRougeCmd) Run(a *app) error {
	var list []eval.Prediction
	err := readInput(a, c.Predictions, func(r io.Reader) (err error) {
		list, err = eval.ReadPredictions(r, c.References != "")
		return err
	})
	if err != nil {
		return err
	}
	if c.References != "" {
		if err := readInput(a, c.References, func(r io.Reader) error { return eval.ReadReferences(r, list) }); err != nil {
			return err
		}
	}
	if len(list) == 0 {
		return fmt.Errorf("%s holds no predictions: give one JSON object a line", c.Predictions)
	}
	report, err := eval.ScorePredictions(list)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(a.stdout, report)
	}
	groups := report.Categories
	if c.By == "task" {
		groups = report.Tasks
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\trows\tRouge-L\texact match\n", c.By)
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		printScores(w, name, groups[name])
	}
	printScores(w, "all", report.RougeScores)
	return w.Flush()
}

func printScores(w io.Writer, name string, s eval.RougeScores) {
	fmt.Fprintf(w, "%s\t%d\t%.4f\t%.4f\n", name, s.Rows, s.RougeL, s.ExactMatch)
}

type evalAgreeCmd struct {
	Judgments string `required:"" placeholder:"FILE" help:"Judgments: JSON lines, plain or compressed with gzip; - for standard input."`
	JSON      bool   `name:"json" help:"Print one JSON document on stdout."`
}

// Help returns the text below the usage line.
func (c *evalAgreeCmd) Help() string {
	return `Prints Krippendorff's alpha, Fleiss' kappa, the percentage of equal pairs, and Cohen's kappa
of each two raters. Krippendorff asks for an alpha of 0.8, and for tentative conclusions of
0.667.

Example:
  koala eval agree --judgments judgments.jsonl`
}

// Run executes the command.
func (c *evalAgreeCmd) Run(a *app) error {
	var list []eval.Judgment
	err := readInput(a, c.Judgments, func(r io.Reader) (err error) {
		list, err = eval.ReadJudgments(r)
		return err
	})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("%s holds no judgments: give one JSON object a line", c.Judgments)
	}
	r, err := eval.Agree(list)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(a.stdout, r)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "raters\t%d\nunits\t%d\n", r.Raters, r.Units)
	for _, m := range []struct {
		name  string
		value *float64
		key   string // of Undefined
	}{
		{"alpha, nominal", r.Alpha.Nominal, "alpha"}, {"alpha, ordinal", r.Alpha.Ordinal, "alpha"}, {"alpha, interval", r.Alpha.Interval, "alpha"},
		{"Fleiss' kappa", r.FleissKappa, "fleiss_kappa"}, {"percent", r.Percent, "percent"},
	} {
		fmt.Fprintf(w, "%s\t%s\n", m.name, measureText(m.value, r.Undefined[m.key]))
	}
	for _, k := range r.Cohen {
		fmt.Fprintf(w, "Cohen's kappa, %s and %s\t%s\n", k.A, k.B, measureText(k.Kappa, r.Undefined["cohen "+k.A+" "+k.B]))
	}
	return w.Flush()
}

// measureText returns a measure, or why it is not defined.
func measureText(x *float64, undefined string) string {
	if x == nil {
		return cmp.Or(undefined, "undefined")
	}
	return fmt.Sprintf("%.4f", *x)
}

// readInput calls read with the content of a file, or with standard input.
// Errors name the file.
func readInput(a *app, path string, read func(io.Reader) error) error {
	in, err := openInput(a, path)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := read(in); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
