package main

import (
	"errors"
	"slices"

	"github.com/koala-go/sdk/dataset"
)

type datasetPackCmd struct {
	Out          string `required:"" placeholder:"DIR" help:"Output directory. A run that was killed is resumed there."`
	SeqLength    int    `required:"" placeholder:"N" help:"Number of tokens of a row."`
	Batch        int    `required:"" placeholder:"N" help:"Number of rows of a batch."`
	Format       string `enum:"${dataset_formats}" default:"npy" help:"Format of the files: ${enum} (default ${default})."`
	FileBatches  int    `placeholder:"N" help:"Number of batches of a file (default: about 32 MiB)."`
	Flush        bool   `help:"Fill the last batch with padding that is excluded from the loss (default: leave out tokens that fill no batch)."`
	Epochs       int    `default:"1" help:"Number of times to read the inputs (default ${default})."`
	StartWithBOS bool   `name:"start-with-bos" help:"Replace the first input of each row by the beginning-of-sequence token."`
	tokenFlags
	unitFlags
}

func (c *datasetPackCmd) Help() string {
	return `Writes batches that are equal to those of EasyLM: input_tokens, target_tokens and loss_masks in 2024,
tokens and loss_masks in 2023, each of shape [batches, batch, sequence length]. checkpoint.json says
how far a run is. done.json replaces it when the output is complete.

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
		return errors.New("the number of epochs must be positive, and 1 with --count: --epochs: give another number")
	}
	return s.end(s.each(&c.unitFlags, c.Out, "", c.decisions(), func(t task) error { return c.pack(s, p, t) }))
}

// pack writes the batches that an earlier run did not write.
func (c *datasetPackCmd) pack(s *step, p *dataset.Processor, t task) error {
	fingerprint := "" // a run that reads standard input cannot be resumed
	if !slices.Contains(c.In, "-") {
		var err error
		if fingerprint, err = dataset.Fingerprint(s.a.ctx, dataset.Files(c.paths()...), c.decisions(), t.start); err != nil {
			return err
		}
	}
	w, err := dataset.CreateBatches(s.a.ctx, t.out, &dataset.BatchOptions{
		Format: dataset.Format(c.Format), SeqLength: c.SeqLength, Batch: c.Batch, Generation: dataset.Generation(c.Generation),
		FileBatches: c.FileBatches, Fingerprint: fingerprint, Force: s.Force,
	})
	if err != nil {
		return err
	}
	if !w.Done() {
		err = c.writeBatches(s, p, w, t)
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Close()
}

func (c *datasetPackCmd) writeBatches(s *step, p *dataset.Processor, w *dataset.BatchWriter, t task) error {
	vocabulary, err := c.open(s.a.ctx)
	if err != nil {
		return err
	}
	read := c.readOptions()
	start := w.Start()
	if read.Epochs, read.Start = c.Epochs, start.Start; start.Batches == 0 {
		read.Start = t.start
	}
	read.Start.End = t.start.End
	opts := &dataset.PackOptions{
		SeqLength: c.SeqLength, Batch: c.Batch, Generation: dataset.Generation(c.Generation), BOS: vocabulary.BOS(),
		StartWithBOS: c.StartWithBOS, Flush: c.Flush, Start: start, Report: s.report,
	}
	for b, err := range dataset.Pack(dataset.Tokenize(s.a.ctx, s.read(t.inputs, read), p, c.Workers), opts) {
		if err == nil {
			err = w.Write(&b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// decisions returns the options that decide on the batches: see settings.
func (c *datasetPackCmd) decisions() any {
	return []any{c.settings(), c.SeqLength, c.Batch, c.Format, c.FileBatches, c.Flush, c.Epochs, c.StartWithBOS}
}
