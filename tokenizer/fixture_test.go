package tokenizer

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/fixture"
)

// TestDefaultIsLLaMA compares the embedded vocabulary with LLaMA's
// tokenizer.model, piece by piece, and the given halves with those that build
// finds.
func TestDefaultIsLLaMA(t *testing.T) {
	model, err := Open(t.Context(), fixture.Path(t, "llama", "tokenizer.model"), nil)
	require.NoError(t, err)
	tok := Default()
	require.Equal(t, model.Len(), tok.Len())
	for id := range model.v.pieces {
		require.Equal(t, model.v.pieces[id], tok.v.pieces[id], "piece %d", id)
	}
	require.Equal(t, []any{model.UNK(), model.BOS(), model.EOS(), model.PAD()}, []any{tok.UNK(), tok.BOS(), tok.EOS(), tok.PAD()})
	require.Equal(t, []any{model.v.byteFallback, model.v.prefix, model.v.trim, model.v.suffix, model.v.unkSurface},
		[]any{tok.v.byteFallback, tok.v.prefix, tok.v.trim, tok.v.suffix, tok.v.unkSurface})
	require.True(t, model.isLinear)
	require.Equal(t, model.runs, tok.runs)
	require.Equal(t, llamaNodes, countNodes(textsOf(tok.v)))
	want, got := halvesOf(model), halvesOf(tok)
	require.Len(t, got, len(want))
	for text, halves := range want {
		require.Equal(t, halves, got[text], "halves of %q", text)
	}
}

// textsOf returns the texts of the normal pieces.
func textsOf(v *vocabulary) []string {
	var texts []string
	for _, p := range v.pieces {
		if p.typ == Normal {
			texts = append(texts, p.text)
		}
	}
	return texts
}

// halvesOf returns the texts of the halves of each symbol, by its text.
func halvesOf(t *Tokenizer) map[string][2]string {
	m := map[string][2]string{}
	for s, text := range t.texts {
		m[text] = [2]string{t.texts[t.left[s]], t.texts[t.right[s]]}
	}
	return m
}

// same checks the tokens of a text.
func same(t *testing.T, text string, want []Token, opts *Options) {
	t.Helper()
	got := Default().Encode(text, opts)
	if len(want) > 0 || len(got) > 0 {
		require.Equal(t, want, got, "%q", text)
	}
}

func TestVectorsOfLlamaCpp(t *testing.T) {
	in := fixture.Read(t, "vectors", "llama.cpp", "ggml-vocab-llama-spm.gguf.inp")
	out := fixture.Read(t, "vectors", "llama.cpp", "ggml-vocab-llama-spm.gguf.out")
	texts := strings.Split(string(in), "\n__ggml_vocab_test__\n")
	lines := bufio.NewScanner(bytes.NewReader(out))
	for _, text := range texts {
		if !lines.Scan() {
			break
		}
		var want []Token
		for _, word := range strings.Fields(lines.Text()) {
			id, err := strconv.Atoi(word)
			require.NoError(t, err)
			want = append(want, Token(id))
		}
		same(t, text, want, nil)
	}
	require.False(t, lines.Scan(), "the file has more lines than texts")
}

// withBOS is a row of vectors whose ids include BOS.
type withBOS struct {
	Input   string
	IDs     []Token  `json:"ids_with_bos"`
	Offsets [][2]int `json:"offsets_utf16_in_normalized_string_index_length"`
}

func TestVectorsOfLlamaTokenizerJS(t *testing.T) {
	var rows []withBOS
	fixture.JSON(t, &rows, "vectors", "llama-tokenizer-js", "tests.json")
	for _, row := range rows {
		same(t, row.Input, row.IDs, &Options{BOS: true})
	}
}

func TestVectorsOfTransformers(t *testing.T) {
	var all struct {
		Plain   []withBOS
		Special []struct {
			Input  *string
			IDs    []Token
			Pieces []string
			Decode []Token
			Text   string
			Note   string
		}
	}
	fixture.JSON(t, &all, "vectors", "transformers", "llama_tests.json")
	for _, row := range all.Plain {
		same(t, row.Input, row.IDs, &Options{BOS: true})
	}
	for _, row := range all.Special {
		switch {
		case row.Decode != nil:
			text, err := Default().Decode(row.Decode)
			require.NoError(t, err)
			require.Equal(t, row.Text, text)
		case row.IDs != nil && strings.Contains(row.Note, "add_prefix_space=False"):
			bare := *Default().v
			bare.prefix, bare.halves = prefixNever, nil
			tok, err := newTokenizer(&bare)
			require.NoError(t, err)
			require.Equal(t, row.IDs, tok.Encode(*row.Input, &Options{BOS: row.IDs[0] == 1}), row.Note)
		case row.IDs != nil:
			same(t, *row.Input, row.IDs, &Options{Specials: SpecialsHF, BOS: strings.Contains(row.Note, "add_special_tokens, ")})
		case strings.Contains(row.Note, "special parsed"):
			require.Equal(t, row.Pieces, piecesOf(Default().Encode(*row.Input, &Options{Specials: SpecialsHF})))
		default:
			require.Equal(t, row.Pieces, piecesOf(Default().Encode(*row.Input, nil)))
		}
	}
}

// piecesOf returns the pieces of ids.
func piecesOf(ids []Token) []string {
	var pieces []string
	for _, id := range ids {
		pieces = append(pieces, Default().Piece(id))
	}
	return pieces
}

func TestVectorsOfKoala(t *testing.T) {
	var k struct {
		P1, P2 string
		P1IDs  []Token `json:"p1_ids"`
		Raw    []Token `json:"p2_raw_spm_no_special_parse"`
		Legacy []Token `json:"p2_hf_legacy_special_parsed"`
	}
	fixture.JSON(t, &k, "vectors", "koala.json")
	same(t, k.P1, k.P1IDs, nil)
	same(t, k.P2, k.Raw, nil)
	same(t, k.P2, k.Legacy, &Options{Specials: SpecialsHFLegacy})
	same(t, k.P2, k.Legacy, &Options{Specials: SpecialsLlamaCpp})
}

func fromHex(t *testing.T, s string) string {
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return string(b)
}

func TestVectorsOfOracle(t *testing.T) {
	var traps []struct {
		Input   string `json:"input_hex"`
		IDs     []Token
		Decoded string `json:"decoded_hex"`
	}
	fixture.JSON(t, &traps, "vectors", "oracle", "traps_spm0.2.1.json")
	for _, row := range traps {
		same(t, fromHex(t, row.Input), row.IDs, nil)
		requireDecoded(t, row.IDs, fromHex(t, row.Decoded))
	}
	var decode []struct {
		IDs  []Token
		Text string `json:"text_hex"`
	}
	fixture.JSON(t, &decode, "vectors", "oracle", "decode_spm0.2.1.json")
	for _, row := range decode {
		requireDecoded(t, row.IDs, fromHex(t, row.Text))
	}
	n := 0
	for line := range bytes.Lines(fixture.Read(t, "vectors", "oracle", "fuzz_spm0.2.1.ndjson")) {
		var row struct {
			Hex string
			IDs []Token
		}
		require.NoError(t, json.Unmarshal(line, &row))
		same(t, fromHex(t, row.Hex), row.IDs, nil)
		n++
	}
	require.Greater(t, n, 1000)
}

func requireDecoded(t *testing.T, ids []Token, want string) {
	t.Helper()
	got, err := Default().Decode(ids)
	require.NoError(t, err)
	require.Equal(t, want, got, "%v", ids)
}

// TestHuggingFaceIsLLaMA compares the tokenizer.json of LLaMA with the
// reference.
func TestHuggingFaceIsLLaMA(t *testing.T) {
	tok, err := Open(t.Context(), fixture.Path(t, "llama", "hf-tokenizer.json"), nil)
	require.NoError(t, err)
	require.True(t, tok.isLinear)
	require.Equal(t, Default().Len(), tok.Len())
	for id := range tok.v.pieces {
		require.Equal(t, Default().v.pieces[id].text, tok.v.pieces[id].text)
		require.Equal(t, Default().v.pieces[id].typ, tok.v.pieces[id].typ)
	}
	scores := *Default().v
	requireLike(t, tok, reference(&scores), rounds(t)/4)
}

// TestGGUFWithoutTokenizer reads a GGUF file without a vocabulary.
func TestGGUFWithoutTokenizer(t *testing.T) {
	_, err := Open(t.Context(), fixture.Path(t, "fixtures", "S", "recovered", "recovered-bf16.gguf"), nil)
	var bad *ModelError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, KindGGUF, bad.Kind)
	require.ErrorIs(t, err, ErrUnsupported)
}

// TestVectorsOfMLNET compares spans with those of ML.NET, which counts UTF-16
// code units of the normalized text and maps each byte token to its whole
// character.
func TestVectorsOfMLNET(t *testing.T) {
	var rows []withBOS
	fixture.JSON(t, &rows, "vectors", "ml.net", "llama_tests.json")
	for _, row := range rows {
		opts := &Options{BOS: true}
		same(t, row.Input, row.IDs, opts)
		ids, spans := Default().AppendEncodeSpans(nil, nil, row.Input, opts)
		var got [][2]int
		for i := range ids {
			begin, end := spans[i].Begin, spans[i].End
			if Default().Type(ids[i]) == Byte {
				for end = begin; !utf8.RuneStart(row.Input[begin]); end = begin {
					begin--
				}
				if end == spans[i].Begin {
					_, size := utf8.DecodeRuneInString(row.Input[begin:])
					end = begin + size
				}
			}
			got = append(got, [2]int{normalizedUTF16(row.Input, begin, ids[i] == 1 || i == 1), normalizedUTF16(row.Input, end, ids[i] == 1)})
			got[i][1] -= got[i][0]
		}
		require.Equal(t, row.Offsets, got, "%q", row.Input)
	}
}

// normalizedUTF16 returns the number of UTF-16 code units before offset at of a
// text. It counts the ▁ that encoding puts before the text, unless before is
// true.
func normalizedUTF16(text string, at int, before bool) int {
	n := len(utf16.Encode([]rune(text[:at])))
	if !before {
		n++
	}
	return n
}
