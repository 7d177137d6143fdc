package main

import (
	"context"

	"github.com/koala-go/sdk/dataset"
)

// tokenFlags are the options for converting records to tokens.
type tokenFlags struct {
	Source            string `enum:",${dataset_training_sources}" default:"" help:"Data set of the input, which is read by its rule: ${dataset_training_sources} (default: training records)."`
	Fields            string `placeholder:"SPEC" help:"List of fields for all records."`
	FieldsFromExample string `placeholder:"NAME" help:"Name of the field that lists the fields of a record (default: fields, unless --fields is given)."`
	PrependText       string `default:"BEGINNING OF CONVERSATION: " help:"Text before the first field (default: that of Koala)."`
	Separator         string `default:" " help:"Text between fields that are joined (default: a space)."`
	Generation        string `enum:"${dataset_generations}" default:"2024" help:"Version of EasyLM's data code: ${enum} (default ${default}). Koala was trained with 2023."`
	BOS               string `name:"bos" enum:"${dataset_bos_rules}" default:"auto" help:"Begin each example with the beginning-of-sequence token: ${enum} (default auto: yes in 2024, no in 2023)."`
	EOS               bool   `name:"eos" help:"End each example with one more end-of-sequence token, as EasyLM does by default."`
	Base64Type        string `default:"i4" help:"numpy type of the ids in {key} (default ${default})."`
	modelFlag
	sourceFlags
	datasetFlags
}

// processor returns the Processor of the flags.
func (f *tokenFlags) processor(ctx context.Context, report *dataset.Report) (*dataset.Processor, error) {
	t, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	if f.Fields == "" && f.FieldsFromExample == "" {
		f.FieldsFromExample = "fields" // the fingerprint has the resolved name
	}
	return dataset.NewProcessor(t, &dataset.ProcessorOptions{
		FieldsFromExample: f.FieldsFromExample, Fields: f.Fields, Separator: f.Separator, NoSeparator: f.Separator == "",
		PrependText: f.PrependText, NoPrepend: f.PrependText == "", Generation: dataset.Generation(f.Generation),
		BOS: dataset.BOSRule(f.BOS), EOS: f.EOS, Base64Type: f.Base64Type, Compat: f.Compat, SkipBad: f.SkipBad, Report: report,
	})
}

// readOptions returns the options for reading the inputs. As in EasyLM, lines of
// training records that are not JSON are counted and skipped.
func (f *tokenFlags) readOptions() dataset.ReadOptions {
	o := f.options(f.Source)
	o.SkipBadJSON = f.Source == ""
	return o
}

// settings returns the options that decide on the tokens, except the vocabulary,
// whose file is in paths. Its JSON is a part of fingerprints: do not rename or
// reorder the fields.
func (f *tokenFlags) settings() any {
	x := *f
	x.datasetFlags, x.modelFlag = datasetFlags{SkipBad: f.SkipBad}, modelFlag{}
	return x
}

// paths returns the files that decide on the tokens: the inputs and the
// vocabulary.
func (f *tokenFlags) paths() []string {
	paths := append([]string(nil), f.In...)
	if f.Model != "" {
		paths = append(paths, f.Model)
	}
	return paths
}

type datasetTokenizeCmd struct {
	Out string `required:"" placeholder:"FILE" help:"Output file; - for standard output."`
	tokenFlags
	unitFlags
}

func (c *datasetTokenizeCmd) Help() string {
	return `Writes a line {"tokens":[…],"loss_masks":[…]} for each record, equal to the result of EasyLM's
TextProcessor. As in EasyLM, lines of training records that are not JSON are counted and skipped.

Example:
  koala dataset tokenize --in hh.jsonl --out tokens.jsonl --generation 2023`
}

func (c *datasetTokenizeCmd) Run(a *app) error {
	s, err := c.begin(a)
	if err != nil {
		return err
	}
	s.decisive = c.paths()
	p, err := c.processor(a.ctx, s.report)
	if err != nil {
		return err
	}
	return s.end(s.each(&c.unitFlags, c.Out, ".jsonl", c.settings(), func(t task) error {
		opts := c.readOptions()
		opts.Start = t.start
		examples := dataset.Tokenize(a.ctx, s.read(t.inputs, opts), p, c.Workers)
		return s.writeLines(t.out, func(yield func([]byte, error) bool) {
			var line []byte
			for e, err := range examples {
				line = append(e.AppendJSON(line[:0]), '\n')
				if !yield(line, err) {
					return
				}
				s.report.Written(1)
			}
		})
	}))
}
