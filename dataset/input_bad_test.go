package dataset

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// packed compresses a text with zstd or gzip.
func packed(t testing.TB, text string, zst bool) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if zst {
		var err error
		w, err = zstd.NewWriter(&b)
		require.NoError(t, err)
	}
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

const goodHH = `{"chosen":"Human: a Assistant: b","rejected":"Human: a Assistant: c"}`

// badInput is an input that Read refuses.
type badInput struct {
	source Source
	text   string
	kind   error
	line   int64
	field  string
	says   string // part of the error's text
}

// badFiles returns inputs that break the format of their file.
func badFiles(t *testing.T) map[string]badInput {
	return map[string]badInput{
		"no JSON":             {HH, goodHH + "\nx\n", ErrMalformed, 2, "", "a value must follow"},
		"trailing":            {HH, goodHH + " {}\n", ErrMalformed, 1, "", "follows the end"},
		"cut in a record":     {HH, goodHH + "\n" + goodHH[:20], ErrMalformed, 2, "", "ends within"},
		"array line":          {"", "[1]\n{}\n", ErrMalformed, 1, "", "not a JSON object"},
		"a number":            {"", "{}\n5\n", ErrMalformed, 2, "", "not a JSON object"},
		"UTF-16":              {HH, "\xff\xfe{\x00", ErrUnsupported, 0, "", "UTF-16"},
		"bzip2":               {HH, "BZh91AY&SY", ErrUnsupported, 0, "", "bunzip2"},
		"xz":                  {HH, "\xfd7zXZ\x00\x00", ErrUnsupported, 0, "", "unxz"},
		"ZIP":                 {HH, "PK\x03\x04\x14\x00", ErrUnsupported, 0, "", "ZIP archive"},
		"lone surrogate":      {"", `{"a":"\ud800"}`, ErrMalformed, 1, "", "surrogate"},
		"invalid UTF-8":       {"", "{\"a\":\"\xff\"}", ErrMalformed, 1, "", "UTF-8"},
		"control character":   {"", "{\"a\":\"\x01\"}", ErrMalformed, 1, "", "control character"},
		"duplicate name":      {"", `{"a":"x","a":"y"}`, ErrMalformed, 1, "", "duplicate"},
		"nesting":             {"", strings.Repeat("[", 1000000), io.ErrUnexpectedEOF, 1, "", "ends in the middle"},
		"nesting in a record": {"", `{"a":` + strings.Repeat("[", 1000000), ErrMalformed, 1, "", "nested"},
		"nesting, HH":         {HH, `{"a":` + strings.Repeat(`{"b":`, 100000), ErrMalformed, 1, "", "nested"},
		"Parquet cut":         {HH, "PAR1....", io.ErrUnexpectedEOF, 0, "", "Parquet"},
		"gzip cut":            {HH, packed(t, strings.Repeat(goodHH+"\n", 99), false)[:70], io.ErrUnexpectedEOF, 0, "", "ends in the middle"},
		"gzip damaged":        {HH, damaged(packed(t, strings.Repeat(goodHH+"\n", 99), false)), ErrMalformed, 0, "", "damaged"},
		"gzip header":         {HH, "\x1f\x8bxxxxxxxxxxxxxxxx", ErrMalformed, 0, "", "gzip"},
		"zstd cut":            {HH, packed(t, strings.Repeat(goodHH+"\n", 99), true)[:40], io.ErrUnexpectedEOF, 0, "", "ends in the middle"},
	}
}

// badArrays are inputs that break the format of a JSON array.
var badArrays = map[string]badInput{
	"array, no comma":  {HH, "[" + goodHH + "\n" + goodHH + "]", ErrMalformed, 1, "", "follows the end"},
	"array, comma":     {HH, "[" + goodHH + ",\n]", ErrMalformed, 2, "", "in place of an element"},
	"array, two":       {HH, "[" + goodHH + ",\n,1]", ErrMalformed, 2, "", "in place of an element"},
	"array, open":      {HH, "[" + goodHH + ",\n" + goodHH, io.ErrUnexpectedEOF, 2, "", "in the middle"},
	"array, more":      {HH, "[" + goodHH + "]\n[]", ErrMalformed, 2, "", "between the elements"},
	"array, string":    {HH, "[" + goodHH + ",\n\"abc", io.ErrUnexpectedEOF, 2, "", ""},
	"parts, unknown":   {ShareGPT, `{"train":[],` + "\n" + `"test":[]}`, ErrMalformed, 2, "", "neither"},
	"parts, no array":  {ShareGPT, `{"train":[],` + "\n" + `"eval":{}}` + strings.Repeat(" ", 300), ErrMalformed, 2, "", "array"},
	"parts, unclosed":  {ShareGPT, `{"train":[]`, io.ErrUnexpectedEOF, 1, "", "in the middle"},
	"parts, no string": {ShareGPT, `{"train":[],5:[]}`, ErrMalformed, 1, "", "between the elements"},
}

const (
	summaryHead = `{"info":{"post":"p"},"summaries":[{"text":"a"},{"text":"b"}]`
	webgptHead  = `{"question":{"full_text":"q"},"quotes_0":{"title":[],"extract":[]},"answer_0":"a","quotes_1":{"title":[],"extract":[]},"answer_1":"b"`
)

// badRecords are inputs with records that break the rules of their source.
var badRecords = map[string]badInput{
	"HH missing":        {HH, `{"chosen":"Human: a Assistant: b"}`, ErrMalformed, 1, "rejected", "missing"},
	"HH null":           {HH, `{"chosen":null}`, ErrMalformed, 1, "chosen", "null"},
	"HH number":         {HH, `{"chosen":5}`, ErrMalformed, 1, "chosen", "a number"},
	"HH array":          {HH, `{"chosen":["x"]}`, ErrMalformed, 1, "chosen", "an array"},
	"HH object":         {HH, `{"chosen":{}}`, ErrMalformed, 1, "chosen", "an object"},
	"HH bool":           {HH, `{"chosen":true}`, ErrMalformed, 1, "chosen", "true or false"},
	"HH unanswered":     {HH, goodHH + "\n" + `{"chosen":"Human: a Human: b Assistant: c"}`, ErrDefect, 2, "chosen", "turn 1"},
	"HH empty reply":    {HH, `{"chosen":"Human: a Assistant: "}`, ErrDefect, 1, "chosen", "empty"},
	"HH two replies":    {HH, `{"chosen":"Human: a Assistant: b Assistant: c"}`, ErrDefect, 1, "chosen", "lost"},
	"HH text before":    {HH, `{"chosen":"Assistant: x Human: a Assistant: b"}`, ErrDefect, 1, "chosen", "before"},
	"HH no marker":      {HH, `{"chosen":"x"}`, ErrDefect, 1, "chosen", "no \"Human:\""},
	"Alpaca missing":    {Alpaca, `{"instruction":"a","output":"b"}`, ErrMalformed, 1, "input", "missing"},
	"Alpaca number":     {Alpaca, `{"instruction":7,"input":"","output":"b"}`, ErrMalformed, 1, "instruction", "a number"},
	"Alpaca null":       {Alpaca, `{"instruction":"a","input":"","output":null}`, ErrMalformed, 1, "output", "null"},
	"Alpaca empty":      {Alpaca, `{"instruction":"a","input":"","output":""}`, ErrDefect, 1, "output", "empty"},
	"HC3 answers":       {HC3, `{"question":"a","human_answers":"x"}`, ErrMalformed, 1, "human_answers", "a text"},
	"HC3 answer":        {HC3, `{"question":"a","human_answers":["x"],"chatgpt_answers":[1]}`, ErrMalformed, 1, "chatgpt_answers", "a number"},
	"HC3 empty":         {HC3, `{"question":"a","human_answers":[""],"chatgpt_answers":[]}`, ErrDefect, 1, "human_answers", "empty"},
	"HC3 question":      {HC3, `{"human_answers":[]}`, ErrMalformed, 1, "question", "missing"},
	"OIG odd":           {OIG, `{"text":"<human>: a"}`, ErrMalformed, 1, "text", "odd"},
	"OIG none":          {OIG, `{"text":"a"}`, ErrDefect, 1, "text", "neither"},
	"OIG number":        {OIG, `{"text":1}`, ErrMalformed, 1, "text", "a number"},
	"basic two":         {OIGBasic, `{"text":"<human>: a <bot>: b <bot>: c"}`, ErrMalformed, 1, "text", "2 times"},
	"basic empty":       {OIGBasic, `{"text":"<human>: a <bot>: "}`, ErrDefect, 1, "text", "empty"},
	"ShareGPT name":     {ShareGPT, `{"human_x":"a"}`, ErrMalformed, 1, "human_x", "does not end in a number"},
	"ShareGPT null":     {ShareGPT, `{"human_0":null}`, ErrMalformed, 1, "human_0", "null"},
	"ShareGPT twice":    {ShareGPT, `{"human_1":"a","gpt_1":"b"}`, ErrDefect, 1, "gpt_1", "number 1"},
	"ShareGPT nothing":  {ShareGPT, `{}`, ErrDefect, 1, "conversations", "no turns"},
	"dump speaker":      {ShareGPT, `{"conversations":[{"from":"bard","value":"x"}]}`, ErrUnsupported, 1, "conversations", "bard"},
	"dump shape":        {ShareGPT, `{"conversations":{}}`, ErrMalformed, 1, "conversations", "an object"},
	"dump turn":         {ShareGPT, `{"conversations":["x"]}`, ErrMalformed, 1, "conversations", "a text"},
	"dump value":        {ShareGPT, `{"conversations":[{"from":"human"}]}`, ErrMalformed, 1, "human_0", "missing"},
	"dump, reply first": {ShareGPT, `{"conversations":[{"from":"gpt","value":"hi"},{"from":"human","value":"q"},{"from":"gpt","value":"r"}]}`, ErrDefect, 1, "gpt_0", "begins with a reply"},
	"dump, two queries": {ShareGPT, `{"conversations":[{"from":"human","value":"q"},{"from":"human","value":"q"},{"from":"gpt","value":"r"}]}`, ErrDefect, 1, "human_1", "two queries"},
	"dump, two replies": {ShareGPT, `{"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"r"},{"from":"gpt","value":"r"}]}`, ErrDefect, 1, "gpt_2", "two replies"},
	"dump, query last":  {ShareGPT, `{"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"r"},{"from":"human","value":"bye"}]}`, ErrDefect, 1, "human_2", "has no reply"},
	"dump, query alone": {ShareGPT, `{"conversations":[{"from":"human","value":"q"}]}`, ErrDefect, 1, "human_0", "has no reply"},
	"dump, white reply": {ShareGPT, `{"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":" \n"}]}`, ErrDefect, 1, "gpt_1", "empty"},
	"WebGPT score":      {WebGPT, webgptHead + `,"score_0":1}`, ErrMalformed, 1, "score_1", "missing"},
	"WebGPT score text": {WebGPT, webgptHead + `,"score_0":"1","score_1":0}`, ErrMalformed, 1, "score_0", "a text"},
	"WebGPT score NaN":  {WebGPT, webgptHead + `,"score_0":NaN,"score_1":0}`, ErrMalformed, 1, "", "a value must follow"},
	"WebGPT score far":  {WebGPT, webgptHead + `,"score_0":1e999,"score_1":0}`, ErrMalformed, 1, "score_0", "range"},
	"WebGPT question":   {WebGPT, `{"question":"q","score_0":1,"score_1":0}`, ErrMalformed, 1, "question", "a text"},
	"WebGPT quotes":     {WebGPT, `{"question":{"full_text":"q"},"answer_0":"a","score_0":1,"score_1":0,"quotes_0":[]}`, ErrMalformed, 1, "quotes_0", "an array"},
	"summary choice":    {Summary, summaryHead + `,"choice":2}`, ErrMalformed, 1, "choice", "neither 0 nor 1"},
	"summary text":      {Summary, summaryHead + `,"choice":"1"}`, ErrMalformed, 1, "choice", "a text"},
	"summary float":     {Summary, summaryHead + `,"choice":0.5}`, ErrMalformed, 1, "choice", "a number"},
	"summary one":       {Summary, `{"info":{"post":"p"},"summaries":[{"text":"a"}],"choice":0}`, ErrMalformed, 1, "summaries", "1 summaries"},
	"summary post":      {Summary, `{"info":{"post":null},"summaries":[{"text":"a"},{"text":"b"}],"choice":0}`, ErrDefect, 1, "post", "None"},
	"summary info":      {Summary, `{"summaries":[{"text":"a"},{"text":"b"}],"choice":0}`, ErrMalformed, 1, "info", "missing"},
	"summary shape":     {Summary, `{"info":{"post":"p"},"summaries":[1,2],"choice":0}`, ErrMalformed, 1, "summaries", "a number"},
}

// TestBadInput checks that errors have the right kind and name file, line and
// field.
func TestBadInput(t *testing.T) {
	all := badFiles(t)
	maps.Copy(all, badArrays)
	maps.Copy(all, badRecords)
	for name, c := range all {
		_, err := readLines(t, c.text, ReadOptions{Source: c.source})
		var e *Error
		require.ErrorAs(t, err, &e, name)
		require.ErrorIs(t, err, c.kind, "%s: %v", name, err)
		require.Equal(t, "input", e.File, name)
		if c.line > 0 {
			require.Equal(t, c.line, e.Line, "%s: %v", name, err)
		}
		require.Equal(t, c.field, e.Field, "%s: %v", name, err)
		require.ErrorContains(t, err, c.says, name)
	}
}

// damaged flips a bit of the checksum of a gzip file.
func damaged(s string) string {
	b := []byte(s)
	b[len(b)-6] ^= 1
	return string(b)
}

// TestSkipBad checks that bad records are counted with their errors, and that no
// other record is lost.
func TestSkipBad(t *testing.T) {
	text := goodHH + "\nnot json\n\n" + `{"chosen":7}` + "\n" + `{"chosen":"Human: q"}` + "\n" + goodHH
	report := new(Report)
	list, err := readLines(t, text, ReadOptions{Source: HH, SkipBad: true, Report: report})
	require.NoError(t, err)
	require.Len(t, list, 4)
	n := report.Counts()
	require.EqualValues(t, 6, n.In)
	require.EqualValues(t, 4, n.Made)
	require.EqualValues(t, 3, n.Bad)
	require.EqualValues(t, len(text), n.Bytes)
	require.Equal(t, map[string]int64{"blank line": 1}, n.Dropped)
	var lines []int64
	for _, e := range n.Errors {
		lines = append(lines, e.Line)
	}
	require.Equal(t, []int64{2, 4, 5}, lines)
	require.Equal(t, "chosen", n.Errors[2].Field)
	require.ErrorIs(t, n.Errors[2], ErrDefect)
}

// TestShapes checks that every format of a file gives the same records.
func TestShapes(t *testing.T) {
	var records []string
	for i := range 2000 {
		records = append(records, strings.Replace(goodHH, " a ", " "+strings.Repeat("é\\n\\\"", i%200)+strings.Repeat("x", i%7)+" a ", 1))
	}
	records[77] = strings.Replace(goodHH, " a ", " "+strings.Repeat("long ", 200_000)+" a ", 1)
	plain := strings.Join(records, "\n")
	want, err := readLines(t, plain, ReadOptions{Source: HH, Workers: 1})
	require.NoError(t, err)
	require.Len(t, want, 4000)
	for name, text := range map[string]string{
		"newline at the end": plain + "\n",
		"CRLF":               strings.Join(records, "\r\n") + "\r\n",
		"gzip":               packed(t, plain, false),
		"two gzip members":   packed(t, plain[:len(plain)/2], false) + packed(t, plain[len(plain)/2:], false),
		"zstd":               packed(t, plain, true),
		"array":              "[" + strings.Join(records, ",") + "]",
		"spaced array":       " [\n  " + strings.Join(records, " ,\n  ") + "\n]\n ",
		"gzip array":         packed(t, "["+strings.Join(records, ",\n")+"]", false),
	} {
		for _, workers := range []int{1, 3} {
			got, err := readLines(t, text, ReadOptions{Source: HH, Workers: workers})
			require.NoError(t, err, name)
			require.True(t, len(want) == len(got), name)
			require.Equal(t, want, got, name)
		}
	}
}

// TestParts checks that a file with parts gives the requested one, and counts the
// records of the other.
func TestParts(t *testing.T) {
	text := `{"train":[{"human_0":"a","gpt_1":"b"},{"human_0":"c","gpt_1":"d"}], "eval" : [ {"human_0":"e","gpt_1":"f"} ]}`
	for part, want := range map[string]int{"": 2, "train": 2, "eval": 1, "all": 3} {
		report := new(Report)
		list, err := readLines(t, text, ReadOptions{Source: ShareGPT, Part: part, Report: report})
		require.NoError(t, err)
		require.Len(t, list, want, part)
		dropped := int64(0)
		for _, n := range report.Counts().Dropped {
			dropped += n
		}
		require.EqualValues(t, 3-want, dropped)
	}
	_, err := readLines(t, text, ReadOptions{Source: ShareGPT, Part: "test"})
	require.ErrorIs(t, err, ErrOptions)
}

// TestReadOptions tries options and inputs that Read refuses.
func TestReadOptions(t *testing.T) {
	_, err := readLines(t, "", ReadOptions{Source: "x"})
	require.ErrorIs(t, err, ErrOptions)
	_, err = readLines(t, "", ReadOptions{Source: Summary, Phrase: 9})
	require.ErrorIs(t, err, ErrOptions)
	_, err = readLines(t, `{"a":"`+strings.Repeat("x", 1<<20)+`"}`, ReadOptions{MaxRecord: 1 << 19})
	require.ErrorIs(t, err, ErrUnsupported)
	_, err = readLines(t, `[{"a":"`+strings.Repeat("x", 1<<20)+`"}]`, ReadOptions{MaxRecord: 1 << 19})
	require.ErrorIs(t, err, ErrUnsupported)
	for _, err := range Read(t.Context(), Files(filepath.Join(t.TempDir(), "nowhere")), nil) {
		require.ErrorIs(t, err, os.ErrNotExist)
	}
	for _, err := range Read(t.Context(), Files(t.TempDir()), nil) {
		require.Error(t, err)
	}
	list, err := readLines(t, "", ReadOptions{Epochs: -1})
	require.NoError(t, err)
	require.Empty(t, list)
}

// TestPhraseChoice checks that phrases depend on the seed and the record only.
func TestPhraseChoice(t *testing.T) {
	line := func(post string) string {
		return `{"info":{"post":"` + post + `"},"summaries":[{"text":"a"},{"text":"b"}],"choice":0}` + "\n"
	}
	text := ""
	for i := range 100 {
		text += line(strings.Repeat("p", i+1))
	}
	a, err := readLines(t, text, ReadOptions{Source: Summary, Seed: 1})
	require.NoError(t, err)
	b, err := readLines(t, line("new")+text, ReadOptions{Source: Summary, Seed: 1, Workers: 3})
	require.NoError(t, err)
	require.Equal(t, a, b[2:])
	c, err := readLines(t, text, ReadOptions{Source: Summary, Seed: 2})
	require.NoError(t, err)
	require.NotEqual(t, a, c)
	for _, phrase := range summaryPhrases {
		require.Contains(t, strings.Join(a, "\n"), phrase)
	}
}

// TestKeywords tries each keyword in some case, and texts that are similar.
func TestKeywords(t *testing.T) {
	for _, text := range []string{
		"openai", "x OPENAI", "ChatGPT!", "gPt-3", "chadgpt", "GPT3", "chat-gpt", "Open-AI", "open ai", "open air", "OPENAİ", "chatgptx",
	} {
		require.True(t, hasKeyword(text), text)
	}
	for _, text := range []string{"", "gpt", "gpt 3", "gpt-4", "open", "opena", "open  ai", "chat gpt", "pt", "o", "gp", "ſgpt", "open-a", "open "} {
		require.False(t, hasKeyword(text), text)
	}
}

// TestProcessorErrors checks that errors name the field.
func TestProcessorErrors(t *testing.T) {
	record := Record{At: Position{File: "f", Line: 9}, Fields: []Field{{Key: "a", Text: "x"}, {Key: "n", Text: "null", JSON: true}, {Key: "t", Text: "AQA"}, {Key: "b", Text: "/////w=="}}}
	for fields, field := range map[string]string{
		"a,zz": "zz", "n": "n", "a,": "", "{t}": "t", "{zz}": "zz", "{b}": "b", "<|-1|>": "", "<|32000|>": "", "[a+n]": "n",
	} {
		p, err := NewProcessor(byteEncoder{}, &ProcessorOptions{Fields: fields, Generation: Gen2024})
		require.NoError(t, err, fields)
		err = p.AppendExample(new(Example), &record)
		var e *Error
		require.ErrorAs(t, err, &e, fields)
		require.Equal(t, "f", e.File)
		require.EqualValues(t, 9, e.Line)
		require.Equal(t, field, e.Field, "%s: %v", fields, err)
	}
	for _, fields := range []string{"<|x|>", "a,<|99999|>"} { // in the list of the record
		p, err := NewProcessor(byteEncoder{}, &ProcessorOptions{Generation: Gen2024})
		require.NoError(t, err)
		r := Record{At: record.At, Fields: append(record.Fields[:1:1], Field{Key: "fields", Text: fields})}
		var e *Error
		require.ErrorAs(t, p.AppendExample(new(Example), &r), &e, fields)
		require.Equal(t, []any{"f", int64(9), "fields"}, []any{e.File, e.Line, e.Field})
	}
}

// TestErrorsEnd checks that the result of every step ends after its first
// error.
func TestErrorsEnd(t *testing.T) {
	boom := errors.New("boom")
	records := func(yield func(Record, error) bool) {
		for i := range 100 {
			if !yield(Record{Fields: []Field{{Key: "human_0", Text: strings.Repeat("x", i)}}}, nil) {
				return
			}
		}
		yield(Record{}, boom)
	}
	for name, seq := range map[string]func(func(Record, error) bool){
		"dedup":   Dedup(t.Context(), records, nil),
		"filter":  Filter(records, "x", func(*Record) bool { return true }, nil),
		"leaks":   WithoutLeaks(t.Context(), records, []string{"a b c d e"}, nil),
		"shuffle": Shuffle(t.Context(), records, nil),
	} {
		var last error
		for _, err := range seq {
			require.NoError(t, last, name)
			last = err
		}
		require.ErrorIs(t, last, boom, name)
	}
}
