package dataset

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/tokenizer"
)

// byteEncoder is the tokenizer of the golden files: a byte becomes its value plus
// 3.
type byteEncoder struct{}

func (byteEncoder) AppendEncode(dst []tokenizer.Token, text string, _ *tokenizer.Options) []tokenizer.Token {
	for _, c := range []byte(text) {
		dst = append(dst, tokenizer.Token(c)+3)
	}
	return dst
}
func (byteEncoder) BOS() tokenizer.Token { return 1 }
func (byteEncoder) EOS() tokenizer.Token { return 2 }
func (byteEncoder) Len() int             { return 259 }

// goldenConfig is the configuration of EasyLM's TextProcessor.
type goldenConfig struct {
	FieldsFromExample string  `json:"fields_from_example"`
	Fields            string  `json:"fields"`
	PrependText       string  `json:"prepend_text"`
	Separator         *string `json:"subfield_separator"`
	BOS               *bool   `json:"add_bos_token"`
	EOS               *bool   `json:"add_eos_token"`
	Base64Type        string  `json:"base64_token_dtype"`
}

func (c *goldenConfig) options(gen Generation) *ProcessorOptions {
	o := &ProcessorOptions{
		FieldsFromExample: c.FieldsFromExample, Fields: c.Fields, PrependText: c.PrependText, NoPrepend: c.PrependText == "",
		Base64Type: c.Base64Type, Generation: gen, EOS: true, Compat: true,
	}
	if c.Separator != nil {
		o.Separator = *c.Separator
	}
	if c.BOS != nil {
		if o.BOS = BOSNo; *c.BOS {
			o.BOS = BOSYes
		}
	}
	if c.EOS != nil {
		o.EOS = *c.EOS
	}
	return o
}

var generations = map[Generation]string{Gen2023: "2023", Gen2024: "2024"}

// TestGoldenTextProcessor compares tokens and masks with EasyLM's.
func TestGoldenTextProcessor(t *testing.T) {
	for gen, year := range generations {
		for _, row := range rows[struct {
			Case    string
			Config  goldenConfig
			Example json.RawMessage
			OK      bool
			Tokens  []tokenizer.Token
			Mask    []float64 `json:"loss_mask"`
		}](t, "textprocessor_"+year+".jsonl") {
			name := year + " " + row.Case
			var got Example
			p, err := NewProcessor(byteEncoder{}, row.Config.options(gen))
			if err == nil {
				var fields []Field
				fields, err = parseRecord(row.Example)
				require.NoError(t, err)
				err = p.AppendExample(&got, &Record{Fields: fields})
			}
			if !row.OK {
				require.Error(t, err, name)
				continue
			}
			require.NoError(t, err, name)
			require.Equal(t, row.Tokens, got.Tokens, name)
			mask := make([]float64, len(got.Masks))
			for i, m := range got.Masks {
				mask[i] = float64(m)
			}
			require.Equal(t, row.Mask, mask, name)
		}
	}
}

// table cuts a list of a batch into rows.
func table[T any](list []T, width int) (t [][]T) {
	for ; len(list) > 0; list = list[width:] {
		t = append(t, list[:width])
	}
	return t
}

// TestGoldenPacking compares batches with EasyLM's, which reads its file without
// end.
func TestGoldenPacking(t *testing.T) {
	for gen, year := range generations {
		for _, row := range rows[struct {
			Case   string
			Config struct {
				SeqLength int  `json:"seq_length"`
				Batch     int  `json:"batch_size"`
				BOS       bool `json:"always_start_with_bos"`
			} `json:"dataset_config"`
			Processor goldenConfig `json:"text_processor_config"`
			File      string
			Batches   []struct {
				Tokens  [][]tokenizer.Token
				Inputs  [][]tokenizer.Token `json:"input_tokens"`
				Targets [][]tokenizer.Token `json:"target_tokens"`
				Train   [][]tokenizer.Token `json:"train_inputs"`
				Masks   [][]float64         `json:"loss_masks"`
				Metrics *struct {
					Loc    int64 `json:"dataset_file_loc"`
					Index  int64 `json:"dataset_example_index"`
					Tokens int64 `json:"dataset_total_tokens"`
				}
			}
		}](t, "packing_"+year+".jsonl") {
			name := year + " " + row.Case
			p, err := NewProcessor(byteEncoder{}, row.Processor.options(gen))
			require.NoError(t, err)
			records := Read(t.Context(), []Input{Text("input", row.File)}, &ReadOptions{Epochs: -1, SkipBadJSON: true})
			examples := Tokenize(t.Context(), records, p, 2)
			n := 0
			for b, err := range Pack(examples, &PackOptions{SeqLength: row.Config.SeqLength, Batch: row.Config.Batch, Generation: gen, StartWithBOS: row.Config.BOS}) {
				require.NoError(t, err, name)
				want := row.Batches[n]
				targets, inputs := want.Targets, want.Inputs
				if gen == Gen2023 {
					targets, inputs = want.Tokens, want.Train
				}
				require.Equal(t, targets, table(b.Targets, row.Config.SeqLength), "%s %d", name, n)
				require.Equal(t, inputs, table(b.Inputs, row.Config.SeqLength), "%s %d", name, n)
				var masks []float64
				for _, m := range b.Masks {
					masks = append(masks, float64(m))
				}
				require.Equal(t, want.Masks, table(masks, row.Config.SeqLength), "%s %d", name, n)
				if m := want.Metrics; m != nil {
					require.Equal(t, *m, struct {
						Loc    int64 `json:"dataset_file_loc"`
						Index  int64 `json:"dataset_example_index"`
						Tokens int64 `json:"dataset_total_tokens"`
					}{b.FileLoc, b.Index, b.Tokens}, "%s %d", name, n)
				}
				if n++; n == len(row.Batches) {
					break
				}
			}
			require.Equal(t, len(row.Batches), n, name)
		}
	}
}

// corpus returns records of about the length of a batch, with bad lines between
// them.
func corpus(records int) string {
	text := ""
	for i := range records {
		text += fmt.Sprintf("{\"text\": %q}\n", fmt.Sprintf("%d:%.*s", i, i*7%61, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnop"))
		if i%13 == 5 {
			text += "not json\n\n"
		}
	}
	return text
}

// pack returns all batches of inputs.
func pack(t *testing.T, in []Input, o PackOptions, start *Checkpoint, epochs, workers int) (list []Batch) {
	t.Helper()
	p, err := NewProcessor(byteEncoder{}, &ProcessorOptions{Fields: "text", EOS: true, BOS: BOSYes, NoPrepend: true})
	require.NoError(t, err)
	r := ReadOptions{Epochs: epochs, SkipBadJSON: true, Workers: workers}
	if o.Start = start; start != nil {
		r.Start = start.Start
	}
	for b, err := range Pack(Tokenize(t.Context(), Read(t.Context(), in, &r), p, workers), &o) {
		require.NoError(t, err)
		list = append(list, b)
	}
	return list
}

// TestResume resumes at every checkpoint, in both generations, with two files,
// two epochs and several numbers of workers.
func TestResume(t *testing.T) {
	in := []Input{Text("a", corpus(90)), Text("b", corpus(41))}
	for gen := range generations {
		for _, size := range [][2]int{{7, 1}, {16, 2}, {64, 3}} {
			o := PackOptions{SeqLength: size[0], Batch: size[1], Generation: gen, Flush: true}
			all := pack(t, in, o, nil, 2, 1)
			require.Greater(t, len(all), 20)
			require.Equal(t, all, pack(t, in, o, nil, 2, 3))
			for i := range all {
				if i%(1+len(all)/40) == 0 && i+1 < len(all) {
					require.Equal(t, all[i+1:], pack(t, in, o, &all[i].Next, 2, 2), "%v after %d", size, i)
				}
			}
		}
	}
}

// TestResumeWithinRecord resumes at every place in a raw record that makes two
// examples.
func TestResumeWithinRecord(t *testing.T) {
	line := `{"chosen":"Human: abc Assistant: defgh","rejected":"Human: ijk Assistant: lm"}` + "\n"
	in := []Input{Text("a", line+line+line)}
	run := func(start *Checkpoint) (list []Batch) {
		p, err := NewProcessor(byteEncoder{}, nil)
		require.NoError(t, err)
		r := ReadOptions{Source: HH}
		if start != nil {
			r.Start = start.Start
		}
		for b, err := range Pack(Tokenize(t.Context(), Read(t.Context(), in, &r), p, 1), &PackOptions{SeqLength: 5, Batch: 1, Generation: Gen2023, Start: start}) {
			require.NoError(t, err)
			list = append(list, b)
		}
		return list
	}
	all := run(nil)
	require.Greater(t, len(all), 20)
	for i := range all {
		require.Equal(t, all[i+1:], append([]Batch{}, run(&all[i].Next)...), i)
	}
}

// TestFlush checks that the last batch has all remaining tokens, and padding that
// is excluded from the loss.
func TestFlush(t *testing.T) {
	for gen := range generations {
		for n := range 30 {
			in := []Input{Text("a", fmt.Sprintf("{\"text\": %q}\n", fmt.Sprintf("%0*d", n+1, 0)))}
			o := PackOptions{SeqLength: 4, Batch: 2, Generation: gen, Flush: true, Pad: 77, Report: new(Report)}
			var targets []tokenizer.Token
			for _, b := range pack(t, in, o, nil, 1, 1) {
				require.Len(t, b.Targets, 8)
				for i, id := range b.Targets {
					if id == 77 {
						require.Zero(t, b.Masks[i])
						continue
					}
					targets = append(targets, id)
				}
			}
			require.Len(t, targets, n+3-map[Generation]int{Gen2023: 0, Gen2024: 1}[gen])
			require.Zero(t, o.Report.Counts().Left)
		}
	}
}
