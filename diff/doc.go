// Package diff recovers a model from a base and a diff, makes such diffs, and
// converts checkpoints.
//
// Call [Recover], [Make] or [Convert]; call [PlanRecover] and its like to check
// and describe a run without writing anything; call [Verify] to check an output.
//
// The released Koala weights are a bf16 diff to the fp16 weights of LLaMA.
// Recovery adds the two under the rules of numpy with ml_dtypes, with which the
// diff was made: operands of different types are added in fp32, operands of one
// type in that type, and the sum is rounded once more, to nearest with ties to
// even, to the type of the output (bf16 by default). The results have the same
// bits as the reference's, on every machine.
//
// Inputs may have any format and layout that package weights reads. Weights are
// matched by their meaning, never by their position, and are transposed and
// permuted where the layouts differ. The work goes block by block in a bounded
// amount of memory. Before the first byte is written, the inputs are checked for
// common mistakes; see [CheckError]. The output appears whole or not at all.
//
// A run writes a [Manifest] with the output. While it works, it keeps a journal of
// what is durable beside the unfinished output, in a hidden directory next to the
// output's path. [Options.Resume] continues from there. The file journal.go
// documents the journal's format.
package diff
