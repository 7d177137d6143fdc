// Package dataset turns the public data sets that Koala was trained on into
// training records, tokens and batches, exactly as Koala's data pipeline does.
//
// # From files to batches
//
// Call Read first. It reads files of JSON lines, JSON arrays or Parquet and
// yields training records: a public data set by the rule of its Source, or
// records that were written before. Each step takes a sequence of records and
// returns another: Dedup, Filter, WithoutLeaks, Shuffle. Mix joins several
// sequences. Tokenize turns records into tokens and loss masks, and Pack turns
// those into batches. All of them are iterators, so memory holds only a few
// records at a time, and their results never depend on the number of
// goroutines.
//
//	records := dataset.Read(ctx, dataset.Files("hh.jsonl.gz"), &dataset.ReadOptions{Source: dataset.HH})
//	processor, err := dataset.NewProcessor(tokenizer.Default(), nil)
//	…
//	examples := dataset.Tokenize(ctx, records, processor, 0)
//	for batch, err := range dataset.Pack(examples, &dataset.PackOptions{SeqLength: 2048, Batch: 8}) {
//		…
//	}
//
// Inputs are local files (Files), files of a source.Source (SourceFiles), or
// readers (FromReader, FromReaderAt).
//
// Several runs, also on several machines, can share one step: EachUnit does a
// step that looks at one record at a time, DedupUnits and MixUnits do those two
// steps, and CollectUnits does a step with one result for all records.
//
// A sequence ends after its first error. An error about a record is an *Error,
// which names the file, the line and the field. With SkipBad such records are
// counted in the Report instead.
//
// # What is exact
//
// A training record is an object of texts. Its text "fields" lists the others in
// the order in which they are tokenized: see Processor. The rules of the sources
// are those of the Koala data pipeline. Tokens and batches are those of EasyLM,
// in two generations: Gen2023, with which Koala was trained and which is the
// default, and Gen2024. Output lines are those of Python's json.dumps, byte for
// byte.
//
// The reference trains on some records that nobody wants: empty replies, user
// turns taken for replies, the word None. They are errors of kind ErrDefect
// unless Compat is set. In a few cases this package is stricter than the
// reference even with Compat: it refuses duplicate names in an object, lone
// surrogates, nesting deeper than 64, NaN, and values that are not texts where
// the reference passes on any value.
//
// # Where to find what
//
// The files of the package begin with the name of their part: input_ reads
// files, source_ holds the rules of the data sets, step_ the steps, token_ the
// tokenization, batch_ the batches, and shared_ the work of several runs.
package dataset
