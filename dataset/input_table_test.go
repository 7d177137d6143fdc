package dataset

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// releases maps the names of files in testdata, which have the layouts of the
// public releases, to their sources. Each file exists as Parquet and as JSON
// lines with the same rows: see internal/parquet/testdata/make.py.
var releases = map[string]Source{
	"alpaca": Alpaca, "hh": HH, "hc3": HC3, "oig": OIG, "sharegpt": ShareGPT, "webgpt": WebGPT, "summary": Summary,
}

// written returns the records of inputs as lines.
func written(t testing.TB, in []Input, opts ReadOptions) (list []string) {
	t.Helper()
	for r, err := range Read(t.Context(), in, &opts) {
		require.NoError(t, err)
		list = append(list, string(r.AppendJSON(nil)))
	}
	return list
}

// TestParquet checks, for every source, that Parquet files and their units give
// the same records as JSON lines.
func TestParquet(t *testing.T) {
	for name, source := range releases {
		path := "testdata/" + name + ".parquet"
		opts := ReadOptions{Source: source, Phrase: 1}
		want := written(t, Files("testdata/"+name+".jsonl"), opts)
		require.Greater(t, len(want), 10)
		require.Equal(t, want, written(t, Files(path), opts), name)
		units, err := Units(t.Context(), Files(path), 1)
		require.NoError(t, err)
		require.Len(t, units, 3)
		var got []string
		for _, u := range units {
			opts.Start = u.Start
			got = append(got, written(t, []Input{u.Input}, opts)...)
		}
		require.Equal(t, want, got, name)
		whole, err := Units(t.Context(), Files(path), 0)
		require.NoError(t, err)
		require.Len(t, whole, 1)
		require.Equal(t, path, whole[0].Input.Name)
		require.Equal(t, Start{}, whole[0].Start)
	}
}

// TestParquetRecords checks that without a source all columns become fields, as
// json.dumps writes them, except columns that are null.
func TestParquetRecords(t *testing.T) {
	list := written(t, Files("testdata/summary.parquet"), ReadOptions{})
	require.Equal(t, `{"info": {"id": "0", "post": "My post 0", "title": "T", "subreddit": "r", "site": null, "article": null}, `+
		`"summaries": [{"text": " one 0", "policy": "p", "note": null}, {"text": " two 0", "policy": "q", "note": "n"}], "choice": 0, `+
		`"worker": "w", "batch": "b", "split": "train", "extra": {"confidence": null}}`, list[0])
}

// TestParquetPositions checks the positions of rows, and begins to read at each.
func TestParquetPositions(t *testing.T) {
	in := Files("testdata/hh.parquet")
	var all []Record
	report := new(Report)
	for r, err := range Read(t.Context(), in, &ReadOptions{Source: HH, Report: report}) {
		require.NoError(t, err)
		all = append(all, r)
	}
	require.Len(t, all, 24)
	require.Equal(t, Position{File: in[0].Name, Offset: 6, End: 7, Line: 7, Group: 2, Index: 6}, all[12].At)
	require.Greater(t, report.Counts().Bytes, int64(500))
	for i, r := range all {
		if i%2 == 1 {
			continue
		}
		var rest []Record
		for r, err := range Read(t.Context(), in, &ReadOptions{Source: HH, Start: Start{Offset: r.At.Offset}}) {
			require.NoError(t, err)
			rest = append(rest, r)
		}
		require.Equal(t, all[i:], rest)
	}
}

// TestParquetBad checks that errors name file, row group, row and field.
func TestParquetBad(t *testing.T) {
	read := func(source Source, in Input, opts ReadOptions) error {
		opts.Source = source
		for _, err := range Read(t.Context(), []Input{in}, &opts) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	hh, err := os.ReadFile("testdata/hh.parquet")
	require.NoError(t, err)
	webgpt := Files("testdata/webgpt.parquet")[0]
	for name, c := range map[string]struct {
		source Source
		in     Input
		kind   error
		want   Error
		says   string
	}{
		"another schema":    {Alpaca, webgpt, ErrMalformed, Error{File: webgpt.Name}, "none of the columns that the source needs"},
		"a missing column":  {HC3, webgpt, ErrMalformed, Error{File: webgpt.Name, Line: 1, Group: 1, Field: "question"}, "row group 1, row 1, field \"question\""},
		"another type":      {Summary, Text("t", alter(t, "testdata/summary.parquet", "choice", "chojce")), ErrMalformed, Error{File: "t", Line: 1, Group: 1, Field: "choice"}, "missing"},
		"cut":               {HH, Text("t", string(hh[:len(hh)-9])), io.ErrUnexpectedEOF, Error{File: "t"}, "does not end with the magic"},
		"a page damaged":    {HH, Text("t", strings.Replace(string(hh), "Human: Hi 6", "Human: \xff\xff 6", 1)), ErrMalformed, Error{File: "t", Line: 7, Group: 2, Field: "chosen"}, "not UTF-8"},
		"from a stream":     {HH, FromReader("t", io.MultiReader(strings.NewReader(string(hh)))), ErrUnsupported, Error{File: "t"}, "from a file"},
		"a row too long":    {HH, Text("t", string(hh)), ErrUnsupported, Error{File: "t", Line: 1, Group: 1, Field: "chosen"}, "longer than 20 bytes"},
		"a start too far":   {HH, Text("t", string(hh)), io.ErrUnexpectedEOF, Error{File: "t", Group: 3}, "rows before the first row to read"},
		"a column in parts": {HH, Text("t", strings.Replace(string(hh), "Human: Hi 6", "Human: Hi 66", 1)), nil, Error{File: "t"}, ""},
	} {
		var opts ReadOptions
		switch name {
		case "a row too long":
			opts.MaxRecord = 20
		case "a start too far":
			opts.Start.Offset = 99
		}
		err := read(c.source, c.in, opts)
		var e *Error
		require.ErrorAs(t, err, &e, name)
		if c.kind == nil {
			continue // the kind depends on what the shifted bytes mean
		}
		require.ErrorIs(t, err, c.kind, "%s: %v", name, err)
		require.ErrorContains(t, err, c.says, name)
		got := *e
		if got.Err = nil; name == "a start too far" {
			got.Line = 0
		}
		require.Equal(t, c.want, got, name)
	}
}

// TestParquetSkipBad checks that a bad row is counted and the others are read.
func TestParquetSkipBad(t *testing.T) {
	report := new(Report)
	n := 0
	damaged := Text("t", alter(t, "testdata/hh.parquet", "Human: Hi 6", "Human: \xff\xff 6"))
	for _, err := range Read(t.Context(), []Input{damaged}, &ReadOptions{Source: HH, SkipBad: true, Report: report}) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 22, n)
	require.EqualValues(t, 1, report.Counts().Bad)
}

// alter returns a file in which a text is replaced, wherever it occurs.
func alter(t testing.TB, path, old, replacement string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(data), old)
	return strings.ReplaceAll(string(data), old, replacement)
}

// TestResumeAnywhere packs files of every format and resumes at every checkpoint.
func TestResumeAnywhere(t *testing.T) {
	var lines []string
	f, err := os.Open("testdata/hh.jsonl")
	require.NoError(t, err)
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, s.Text())
	}
	plain := strings.Join(lines, "\n") + "\n"
	array := "[" + strings.Join(lines, ",\n") + "]"
	inputs := map[string]Input{
		"lines": Text("a", plain), "gzip": Text("a", packed(t, plain, false)), "zstd": Text("a", packed(t, plain, true)),
		"array": Text("a", array), "gzip array": Text("a", packed(t, array, false)), "Parquet": Files("testdata/hh.parquet")[0],
	}
	p, err := NewProcessor(byteEncoder{}, &ProcessorOptions{Generation: Gen2024})
	require.NoError(t, err)
	run := func(in Input, start *Checkpoint) (list []Batch) {
		r := ReadOptions{Source: HH, Epochs: 2}
		if start != nil {
			r.Start = start.Start
		}
		for b, err := range Pack(Tokenize(t.Context(), Read(t.Context(), []Input{in}, &r), p, 2), &PackOptions{SeqLength: 50, Batch: 1, Start: start, Generation: Gen2024}) {
			require.NoError(t, err)
			list = append(list, b)
		}
		return list
	}
	for name, in := range inputs {
		all := run(in, nil)
		require.Greater(t, len(all), 50)
		for i := range all {
			require.True(t, slices.EqualFunc(all[i+1:], run(in, &all[i].Next), func(a, b Batch) bool { return fmt.Sprint(a) == fmt.Sprint(b) }), "%s %d", name, i)
		}
	}
}
