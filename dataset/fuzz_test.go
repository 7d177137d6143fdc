package dataset

import (
	"bytes"
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// allocated returns the number of bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzRead reads any bytes as every source. The result must be records or an
// *Error, the memory must be in proportion, and training records must be the
// same when they are written and read again.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		goodHH, "[" + goodHH + "]", `{"train":[{"human_0":"a","gpt_1":"b"}],"eval":[]}`, "\xef\xbb\xbf", "PAR1", "\x1f\x8b", "\x28\xb5\x2f\xfd",
		`{"text":"<human>: a <bot>: b"}`, `{"instruction":"a","input":"","output":"b"}`, `{"question":"a","human_answers":["x"],"chatgpt_answers":[]}`,
		`{"info":{"post":"p"},"summaries":[{"text":"a"},{"text":"b"}],"choice":0}`, `{"conversations":[{"from":"human","value":"x"}]}`,
		`{"question":{"full_text":"q"},"quotes_0":{"title":["t"],"extract":["e"]},"answer_0":"a","quotes_1":{"title":[],"extract":[]},"answer_1":"b","score_0":1,"score_1":0}`,
		packed(f, goodHH+"\n", false), packed(f, goodHH+"\n", true), "\r\n\n{}\n{\"a\":null}",
	} {
		for i := range sourceNames() {
			f.Add([]byte(text), uint8(i), true)
		}
		f.Add([]byte(text), uint8(255), false)
	}
	for name, source := range releases {
		data, err := os.ReadFile("testdata/" + name + ".parquet")
		require.NoError(f, err)
		f.Add(data, uint8(slices.Index(sourceNames(), source)), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, source uint8, compat bool) {
		opts := ReadOptions{Compat: compat, Workers: 1, Report: new(Report)}
		if int(source) < len(sourceNames()) {
			opts.Source = sourceNames()[source]
		}
		size := uint64(0)
		used := allocated(func() { size = readAll(t, data, opts) })
		compressed := bytes.HasPrefix(data, []byte{0x1f, 0x8b}) || bytes.HasPrefix(data, []byte{0x28, 0xb5}) || bytes.HasPrefix(data, []byte("PAR1"))
		if !compressed && used > 1<<20+32*uint64(len(data))+2*size {
			t.Fatalf("%d bytes for %d of input", used, len(data))
		}
		opts.SkipBad = true
		readAll(t, data, opts)
	})
}

// readAll reads everything, and returns the approximate size of the records in
// memory.
func readAll(t *testing.T, data []byte, opts ReadOptions) (size uint64) {
	for r, err := range Read(t.Context(), []Input{Text("input", string(data))}, &opts) {
		if err != nil {
			var e *Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, "input", e.File)
			return size
		}
		require.LessOrEqual(t, r.At.Offset, r.At.End)
		if r.Line != nil {
			continue
		}
		line := r.AppendJSON(nil)
		size += uint64(len(line)) * 8
		fields, err := parseRecord(line)
		require.NoError(t, err, "%s", line)
		require.Equal(t, r.Fields, fields)
		require.True(t, json.Valid(line))
	}
	return size
}

// FuzzFields tokenizes any record by any list of fields. The result must be
// tokens and as many masks, or an *Error.
func FuzzFields(f *testing.F) {
	for _, fields := range []string{"a", "[a+b],<|eos|>", "{b},<|7|>,[<|bos|>]", "[[a]]", "<|+1_0|>", ",", "[", "<||>", "{}", "<|>"} {
		f.Add(fields, "AQAAAA==", "i4", false, true)
		f.Add(fields, "AQA=AAA=", ">u2", true, false)
	}
	f.Fuzz(func(t *testing.T, fields, text, idType string, old, compat bool) {
		gen := Gen2024
		if old {
			gen = Gen2023
		}
		p, err := NewProcessor(byteEncoder{}, &ProcessorOptions{NoPrepend: true, Base64Type: idType, Generation: gen, Compat: compat})
		if err != nil {
			return
		}
		var e Example
		err = p.AppendExample(&e, &Record{At: Position{File: "f"}, Fields: []Field{{Key: "a", Text: text}, {Key: "b", Text: text}, {Key: "fields", Text: fields}}})
		if err != nil {
			var typed *Error
			require.ErrorAs(t, err, &typed)
			require.Equal(t, "f", typed.File)
			return
		}
		require.Equal(t, len(e.Tokens), len(e.Masks))
		for i, id := range e.Tokens {
			require.LessOrEqual(t, e.Masks[i], uint8(1))
			require.True(t, compat || id >= 0 && int(id) < byteEncoder{}.Len())
		}
	})
}

// FuzzCheckpoint resumes at any checkpoint. It must be refused, or packing must
// go on to the end or to an *Error.
func FuzzCheckpoint(f *testing.F) {
	f.Add([]byte(`{"epoch":0,"input":0,"offset":15,"line":2,"index":1,"skip":3,"tokens":4,"batches":1}`))
	f.Add([]byte(`{"offset":9223372036854775807}`))
	f.Add([]byte(`{"epoch":9223372036854775807}`))
	f.Add([]byte(`{"input":7,"skip":-1}`))
	text := corpus(5)
	f.Fuzz(func(t *testing.T, data []byte) {
		var c Checkpoint
		if json.Unmarshal(data, &c) != nil || c.Check() != nil {
			return
		}
		p, err := NewProcessor(byteEncoder{}, &ProcessorOptions{Fields: "text", NoPrepend: true, Generation: Gen2024})
		require.NoError(t, err)
		records := Read(t.Context(), []Input{Text("input", text)}, &ReadOptions{Start: c.Start, SkipBadJSON: true, Workers: 1})
		n := 0
		for b, err := range Pack(Tokenize(t.Context(), records, p, 1), &PackOptions{SeqLength: 4, Batch: 1, Start: &c, Flush: true, Generation: Gen2024}) {
			if err != nil {
				var e *Error
				require.ErrorAs(t, err, &e)
				return
			}
			require.NoError(t, b.Next.Check())
			n++
		}
		require.LessOrEqual(t, n, len(text))
	})
}
