package dataset

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestProcessorDefaults checks that nil and the zero value mean Koala's training,
// and that the defaults follow the generation.
func TestProcessorDefaults(t *testing.T) {
	record := Record{Fields: []Field{{Key: "a", Text: "x"}, {Key: "b", Text: "y"}, {Key: "fields", Text: "[a+b],<|eos|>"}}}
	tokens := func(opts *ProcessorOptions) string {
		p, err := NewProcessor(byteEncoder{}, opts)
		require.NoError(t, err)
		var e Example
		require.NoError(t, p.AppendExample(&e, &record))
		text := ""
		for _, id := range e.Tokens {
			if id < 3 {
				text += []string{"", "<s>", "</s>"}[id]
				continue
			}
			text += string(rune(id - 3))
		}
		return text
	}
	const koala = "BEGINNING OF CONVERSATION: x y</s>"
	require.Equal(t, koala, tokens(nil))
	require.Equal(t, koala, tokens(&ProcessorOptions{}))
	require.Equal(t, koala, tokens(&ProcessorOptions{Generation: Gen2023, BOS: BOSAuto}))
	require.Equal(t, "<s>"+koala, tokens(&ProcessorOptions{Generation: Gen2024}))
	require.Equal(t, koala, tokens(&ProcessorOptions{Generation: Gen2024, BOS: BOSNo}))
	require.Equal(t, "<s>"+koala, tokens(&ProcessorOptions{BOS: BOSYes}))
	require.Equal(t, koala+"</s>", tokens(&ProcessorOptions{EOS: true}))
	require.Equal(t, "xy</s>", tokens(&ProcessorOptions{NoPrepend: true, NoSeparator: true}))
	require.Equal(t, "- x", tokens(&ProcessorOptions{Fields: "a", PrependText: "- "}))
}

// TestZeroOptions checks that nil means the zero value of options, whose
// defaults are those of Koala's training.
func TestZeroOptions(t *testing.T) {
	list := func(opts *ReadOptions) (records []Record) {
		for r, err := range Read(t.Context(), []Input{Text("t", `{"a": "b"}`)}, opts) {
			require.NoError(t, err)
			records = append(records, r)
		}
		return records
	}
	require.Equal(t, list(nil), list(&ReadOptions{}))
	in := []Input{Text("a", corpus(9))}
	zero := pack(t, in, PackOptions{SeqLength: 8, Batch: 2}, nil, 1, 1)
	require.Equal(t, pack(t, in, PackOptions{SeqLength: 8, Batch: 2, Generation: Gen2023, BOS: 1}, nil, 1, 1), zero)
	units := []Unit{{Number: 0}, {Number: 1}}
	for _, opts := range []*UnitOptions{nil, {}, {Count: 1}} {
		done := 0
		require.NoError(t, EachUnit(t.Context(), t.TempDir(), "", units, opts, func(Unit, string) error { done++; return nil }))
		require.Equal(t, 2, done)
	}
}

// TestOptionErrors checks that unknown, impossible and contradictory values are
// option errors.
func TestOptionErrors(t *testing.T) {
	for _, o := range []ProcessorOptions{
		{Fields: "<|x|>", Generation: Gen2024}, {Fields: "<|99999999999999999999|>", Generation: Gen2024},
		{Base64Type: "f4"}, {Base64Type: "<>i4"}, {Generation: "2022"}, {BOS: "maybe"},
		{Separator: "-", NoSeparator: true}, {PrependText: "-", NoPrepend: true},
	} {
		_, err := NewProcessor(byteEncoder{}, &o)
		require.ErrorIs(t, err, ErrOptions, "%+v", o)
	}
	for _, o := range []*PackOptions{nil, {}, {SeqLength: -1, Batch: 1}, {SeqLength: 1 << 20, Batch: 1 << 20}, {SeqLength: 1, Batch: 1, Generation: "x"}} {
		for _, err := range Pack(func(func(Example, error) bool) {}, o) {
			require.ErrorIs(t, err, ErrOptions)
		}
	}
	for _, err := range Pack(func(func(Example, error) bool) {}, &PackOptions{SeqLength: 1, Batch: 1, Start: &Checkpoint{Skip: -1}}) {
		require.ErrorIs(t, err, ErrMalformed)
	}
	for _, o := range []*BatchOptions{nil, {}, {SeqLength: 1, Batch: 1, Format: "x"}, {SeqLength: 1 << 20, Batch: 1 << 20}, {SeqLength: 1, Batch: 1, Generation: "x"}} {
		_, err := CreateBatches(t.Context(), t.TempDir(), o)
		require.ErrorIs(t, err, ErrOptions)
	}
	for _, o := range []UnitOptions{{Index: 1}, {Index: 1, Count: 1}, {Index: -1, Count: 2}, {Count: -1}} {
		require.ErrorIs(t, EachUnit(t.Context(), t.TempDir(), "", nil, &o, nil), ErrOptions)
	}
}

// TestSourceTable checks that the row of each source is complete.
func TestSourceTable(t *testing.T) {
	seen := make(map[Source]bool)
	for _, s := range Sources() {
		require.False(t, seen[s.Name])
		seen[s.Name] = true
		require.NotEmpty(t, s.Name)
		require.NotEmpty(t, s.Description)
		require.NotEmpty(t, s.Fields)
		require.NotNil(t, s.rule)
		require.Equal(t, s.Name == ShareGPTEval, s.Eval)
		require.Contains(t, wholeRecords, s.Name)
	}
}
