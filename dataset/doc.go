// Package dataset turns the public data sets that Koala was trained on into
// training records, tokens and batches, exactly as Koala's pipeline does.
//
// # The way of a record
//
// Read gives the training records of files (JSON lines, JSON arrays, Parquet):
// of one of the public sources, by its rule, or of files that were written
// before. Each step takes a sequence
// of records and gives one: Dedup, Filter, Leaks, Split, Shuffle; Mix joins
// several. Tokenize makes tokens and loss masks of records, Pack makes batches
// of those. All are iterators, so that nothing is held in memory but what is
// on its way, and what they give never depends on the number of goroutines.
//
//	records := dataset.Read(ctx, dataset.Files("hh.jsonl.gz"), &dataset.ReadOptions{Source: dataset.HH})
//	examples := dataset.Tokenize(ctx, records, processor, nil)
//	for batch, err := range dataset.Pack(examples, &dataset.PackOptions{SeqLength: 2048, Batch: 8}) {
//		…
//	}
//
// Several runs can share a step: EachUnit for those that look at one record at
// a time, DedupUnits and MixUnits, and CollectUnits for those with one result.
//
// An error is the last thing that a sequence gives. What is wrong with a
// record is an *Error, which names file, line and field. With SkipBad such
// records are counted in the Report instead.
//
// # What is exact
//
// A training record is an object of texts and a text "fields" that says how to
// put them together: see Processor. The rules are those of the Koala data
// pipeline, the fields and the packing those of EasyLM, of which two
// generations are offered: Gen2023, with which Koala was trained, and Gen2024.
// Output lines are those of Python's json.dumps, byte for byte.
//
// The reference trains on some things that nobody wants: empty replies, turns
// of a person as replies, the word None. These are errors of kind ErrDefect
// unless Compat is set. In a few places reading is stricter than the reference
// even then: a name twice in an object, a lone surrogate, nesting deeper than
// 64, NaN, and values of other types than text where the reference passes any
// on, are refused.
package dataset
