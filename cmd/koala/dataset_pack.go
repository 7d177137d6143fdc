package main

import (
	"context"
	"errors"

	"github.com/koala-go/sdk/dataset"
)

// tokenFlags are the choices of how records become tokens.
type tokenFlags struct {
	Source            string `enum:",sharegpt,hc3,oig,oig-basic,alpaca,hh,webgpt,summary" default:"" help:"Read this data set as it was released, by its rule; without it, training records."`
	Fields            string `placeholder:"SPEC" help:"List of fields for all records."`
	FieldsFromExample string `placeholder:"NAME" help:"Name of the text that lists a record's fields (default fields, without --fields)."`
	PrependText       string `default:"BEGINNING OF CONVERSATION: " help:"Text before the first field (default Koala's)."`
	Separator         string `default:" " help:"Between fields that are joined (default a space)."`
	Generation        string `enum:"2023,2024" default:"2024" help:"Of EasyLM's data code: ${enum} (default ${default}); Koala was trained with 2023's."`
	BOS               string `name:"bos" enum:"auto,yes,no" default:"auto" help:"Begin each example with BOS: ${enum} (default auto, which is yes in 2024)."`
	EOS               bool   `name:"eos" help:"End each example with one more EOS, which is EasyLM's own default."`
	Base64Type        string `default:"i4" help:"Type of the ids in {key}, as numpy spells it (default ${default})."`
	modelFlag
	sourceFlags
	datasetFlags
}

func (f *tokenFlags) generation() dataset.Generation {
	if f.Generation == "2023" {
		return dataset.Gen2023
	}
	return dataset.Gen2024
}

// processor makes what turns records into tokens.
func (f *tokenFlags) processor(ctx context.Context, report *dataset.Report) (*dataset.Processor, error) {
	t, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	if f.Fields == "" && f.FieldsFromExample == "" {
		f.FieldsFromExample = "fields"
	}
	return dataset.NewProcessor(t, &dataset.ProcessorOptions{
		FieldsFromExample: f.FieldsFromExample, Fields: f.Fields, Separator: f.Separator, NoSeparator: f.Separator == "",
		PrependText: f.PrependText, Generation: f.generation(), BOS: f.BOS == "yes" || f.BOS == "auto" && f.Generation == "2024",
		EOS: f.EOS, Base64Type: f.Base64Type, Compat: f.Compat, SkipBad: f.SkipBad, Report: report,
	})
}

// readOptions: lines that are no JSON are counted and skipped, as in EasyLM.
func (f *tokenFlags) readOptions() dataset.ReadOptions {
	o := f.options(f.Source)
	o.SkipBadJSON = f.Source == ""
	return o
}

type datasetTokenizeCmd struct {
	Out string `required:"" placeholder:"FILE" help:"Where to write; - for standard output."`
	tokenFlags
	unitFlags
}

func (c *datasetTokenizeCmd) Help() string {
	return `Writes one {"tokens":[…],"loss_masks":[…]} a line, as EasyLM's TextProcessor makes them. Lines that
are no JSON are counted and skipped, as there.

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
	return s.end(s.each(&c.unitFlags, c.Out, ".jsonl", c.settings(), func(at place) error {
		opts := c.readOptions()
		opts.Start = at.start
		examples := dataset.Tokenize(a.ctx, s.read(at.inputs, opts), p, c.Workers)
		return s.put(at.out, func(yield func([]byte, error) bool) {
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

type datasetPackCmd struct {
	Out          string `required:"" placeholder:"DIR" help:"Directory to write to. A run that was killed goes on there."`
	SeqLength    int    `required:"" placeholder:"N" help:"Tokens of a row."`
	Batch        int    `required:"" placeholder:"N" help:"Rows of a batch."`
	Format       string `enum:"npy,safetensors,jsonl" default:"npy" help:"Form of the files: ${enum} (default ${default})."`
	FileBatches  int    `placeholder:"N" help:"Batches of a file (default: about 32 MiB)."`
	Flush        bool   `help:"Fill the last batch up with padding that has no loss; otherwise what fills no batch is left out."`
	Epochs       int    `default:"1" help:"How often to read the inputs (default ${default})."`
	StartWithBOS bool   `name:"start-with-bos" help:"Put BOS over the first input of each row."`
	tokenFlags
	unitFlags
}

func (c *datasetPackCmd) Help() string {
	return `Writes batches as EasyLM packs them: input_tokens, target_tokens and loss_masks for 2024, tokens
and loss_masks for 2023, each of shape [batches, batch, sequence length]. checkpoint.json says
how far a run is; done.json that all is there.

Example:
  koala dataset pack --source hh --in train.jsonl.gz --out batches --seq-length 2048 --batch 8`
}

func (c *datasetPackCmd) Run(a *app) error {
	s, err := c.begin(a)
	if err != nil {
		return err
	}
	s.decisive = c.paths()
	p, err := c.processor(a.ctx, s.report)
	if err != nil {
		return err
	}
	if c.Epochs < 1 || c.Epochs > 1 && c.Count > 0 {
		return errors.New("the number of epochs is not positive, or not 1 with --count: --epochs: give another")
	}
	return s.end(s.each(&c.unitFlags, c.Out, "", c.decisions(), func(at place) error { return c.pack(s, p, at) }))
}

// pack writes the batches, or those that an earlier run did not.
func (c *datasetPackCmd) pack(s *step, p *dataset.Processor, at place) error {
	print := ""
	if !contains(c.In, "-") {
		var err error
		if print, err = dataset.Fingerprint(c.paths(), c.decisions(), at.start); err != nil {
			return err
		}
	}
	w, err := dataset.CreateBatches(at.out, &dataset.BatchOptions{
		Format: dataset.Format(c.Format), SeqLength: c.SeqLength, Batch: c.Batch, Generation: c.generation(),
		FileBatches: c.FileBatches, Fingerprint: print, Force: s.Force,
	})
	if err != nil {
		return err
	}
	if !w.Done() {
		err = c.run(s, p, w, at)
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Close()
}

func (c *datasetPackCmd) run(s *step, p *dataset.Processor, w *dataset.BatchWriter, at place) error {
	t, err := c.open(s.a.ctx)
	if err != nil {
		return err
	}
	read := c.readOptions()
	start := w.Start()
	if read.Epochs, read.Start = c.Epochs, start.Start; start.Batches == 0 {
		read.Start = at.start
	}
	read.Start.End = at.start.End
	opts := &dataset.PackOptions{
		SeqLength: c.SeqLength, Batch: c.Batch, Generation: c.generation(), BOS: t.BOS(), StartWithBOS: c.StartWithBOS,
		Flush: c.Flush, Start: start, Report: s.report,
	}
	for b, err := range dataset.Pack(dataset.Tokenize(s.a.ctx, s.read(at.inputs, read), p, c.Workers), opts) {
		if err == nil {
			err = w.Write(&b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settings are the choices that decide on the tokens, but for the vocabulary.
func (f *tokenFlags) settings() any {
	x := *f
	x.datasetFlags, x.modelFlag = datasetFlags{SkipBad: f.SkipBad}, modelFlag{}
	return x
}

// decisions are those that decide on the batches.
func (c *datasetPackCmd) decisions() any {
	return []any{c.settings(), c.SeqLength, c.Batch, c.Format, c.FileBatches, c.Flush, c.Epochs, c.StartWithBOS}
}

// paths are the files that decide: the inputs and the vocabulary.
func (f *tokenFlags) paths() []string {
	paths := append([]string(nil), f.In...)
	if f.Model != "" {
		paths = append(paths, f.Model)
	}
	return paths
}
