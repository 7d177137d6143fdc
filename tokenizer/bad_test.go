package tokenizer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/koala-go/sdk/internal/fixture"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
)

// The functions below write models.

// msg is a message or string field.
func msg(field protowire.Number, parts ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), bytes.Join(parts, nil))
}

// num is a varint field.
func num(field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), n)
}

// float is a score.
func float(f float32) []byte {
	return protowire.AppendFixed32(protowire.AppendTag(nil, spmScore, protowire.Fixed32Type), math.Float32bits(f))
}

// spmPiece is a piece.
func spmPiece(text string, score float32, typ PieceType) []byte {
	return msg(spmPieces, msg(spmText, []byte(text)), float(score), num(spmType, uint64(typ)))
}

var (
	unkPiece = spmPiece("<unk>", 0, Unknown)
	bpe      = msg(spmTrainer, num(spmModelType, spmBPE))
	aPiece   = spmPiece("a", -1, Normal)
)

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// bytePieces are the first n of the 256 byte pieces.
func bytePieces(n int) []byte {
	var b []byte
	for i := range n {
		b = append(b, spmPiece(byteText(byte(i)), 0, Byte)...)
	}
	return b
}

// hf is a small tokenizer.json. changes are pairs of old and new substrings.
func hf(changes ...string) []byte {
	text := `{"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},` +
		`"pre_tokenizer":null,"added_tokens":[{"id":0,"content":"<unk>","special":true}],` +
		`"model":{"type":"BPE","unk_token":"<unk>","vocab":{"<unk>":0,"a":1,"b":2,"ab":3,"▁":4,"▁ab":5},"merges":["a b","▁ ab"]}}`
	return []byte(strings.NewReplacer(changes...).Replace(text))
}

// badModel is an input that must be rejected.
type badModel struct {
	name   string
	bytes  []byte
	kind   error
	offset int // -1 for an error about the whole file
}

var deepList = strings.Repeat("[", 100) + strings.Repeat("]", 100)

var badSPM = []badModel{
	{"empty", nil, io.ErrUnexpectedEOF, -1},
	{"text", []byte("Hello, this is no model"), ErrMalformed, 2},
	{"10 MB of a", bytes.Repeat([]byte("a"), 10e6), io.ErrUnexpectedEOF, 10000000},
	{"long varint", cat([]byte{8}, bytes.Repeat([]byte{0xff}, 11)), ErrMalformed, 1},
	{"length beyond the end", []byte{0x0a, 0xff, 0x01}, io.ErrUnexpectedEOF, 1},
	{"truncated tag", []byte{0x0a, 0x00, 0x80}, io.ErrUnexpectedEOF, 2},
	{"group", []byte{0x0b, 0x0c}, ErrMalformed, 0},
	{"pieces as numbers", num(spmPieces, 3), ErrMalformed, 1},
	{"group in a piece", msg(spmPieces, []byte{0x0b}), ErrMalformed, 2},
	{"text as a number", msg(spmPieces, num(spmText, 3)), ErrMalformed, 3},
	{"text not UTF-8", cat(unkPiece, bpe, msg(spmPieces, msg(spmText, []byte("\xff")))), ErrMalformed, len(unkPiece) + len(bpe) + 4},
	{"NaN score", msg(spmPieces, msg(spmText, []byte("a")), float(float32(math.NaN()))), ErrMalformed, 2},
	{"infinite score", msg(spmPieces, msg(spmText, []byte("a")), float(float32(math.Inf(-1)))), ErrMalformed, 2},
	{"empty piece", msg(spmPieces, float(1)), ErrMalformed, 2},
	{"unknown type", msg(spmPieces, msg(spmText, []byte("a")), num(spmType, 7)), ErrMalformed, 6},
	{"type 0", msg(spmPieces, msg(spmText, []byte("a")), num(spmType, 0)), ErrMalformed, 2},
	{"no pieces", bpe, ErrMalformed, -1},
	{"no unk", cat(aPiece, bpe), ErrMalformed, -1},
	{"two unk", cat(unkPiece, spmPiece("x", 0, Unknown), bpe), ErrMalformed, -1},
	{"duplicate piece", cat(unkPiece, aPiece, aPiece, bpe), ErrMalformed, -1},
	{"control piece equal to a normal one", cat(unkPiece, aPiece, spmPiece("a", 0, Control), bpe), ErrMalformed, -1},
	{"byte without byte_fallback", cat(unkPiece, bytePieces(256), bpe), ErrMalformed, -1},
	{"255 bytes", cat(unkPiece, bytePieces(255), msg(spmTrainer, num(spmModelType, spmBPE), num(spmByteFallback, 1))), ErrMalformed, -1},
	{"byte piece that is not a byte", cat(unkPiece, spmPiece("<0xG0>", 0, Byte), msg(spmTrainer, num(spmModelType, spmBPE), num(spmByteFallback, 1))), ErrMalformed, -1},
	{"special id out of range", cat(unkPiece, msg(spmTrainer, num(spmModelType, spmBPE), num(spmBOSID, 1))), ErrMalformed, len(unkPiece) + 6},
	{"special id of -2", cat(unkPiece, msg(spmTrainer, num(spmModelType, spmBPE), num(spmUnkID, math.MaxUint64-1))), ErrMalformed, len(unkPiece) + 6},
	{"unigram", cat(unkPiece, msg(spmTrainer, num(spmModelType, spmUnigram))), ErrUnsupported, len(unkPiece) + 3},
	{"no model type", unkPiece, ErrUnsupported, 0},
	{"normalizer", cat(unkPiece, bpe, msg(spmNormalizer, msg(spmCharsmap, []byte("map")))), ErrUnsupported, len(unkPiece) + len(bpe) + 4},
	{"denormalizer", cat(unkPiece, bpe, msg(spmDenormalizer, msg(spmCharsmap, []byte("map")))), ErrUnsupported, len(unkPiece) + len(bpe) + 4},
	{"spaces not escaped", cat(unkPiece, bpe, msg(spmNormalizer, num(spmEscape, 0))), ErrUnsupported, len(unkPiece) + len(bpe) + 3},
}

var badHF = []badModel{
	{"truncated JSON", hf()[:100], ErrMalformed, 100},
	{"JSON is empty", []byte("{}"), ErrMalformed, 2},
	{"data after JSON", cat(hf(), []byte("x")), ErrMalformed, len(hf())},
	{"duplicate JSON name", hf(`"pre_tokenizer":null`, `"normalizer":null`), ErrMalformed, 145},
	{"deeply nested JSON", hf(`"pre_tokenizer":null`, `"x":`+deepList), ErrMalformed, 213},
	{"no merges", hf(`,"merges":["a b","▁ ab"]`, ``), ErrMalformed, len(hf()) - len(`,"merges":["a b","▁ ab"]`)},
	{"no vocab", hf(`"vocab":{"<unk>":0,"a":1,"b":2,"ab":3,"▁":4,"▁ab":5},`, ``), ErrMalformed, 294},
	{"unknown model", hf(`"BPE"`, `"WordPiece"`), ErrUnsupported, 241},
	{"dropout", hf(`"type":"BPE"`, `"type":"BPE","dropout":0.1`), ErrUnsupported, 257},
	{"word prefix", hf(`"type":"BPE"`, `"type":"BPE","continuing_subword_prefix":"##"`), ErrUnsupported, 275},
	{"ignore_merges", hf(`"type":"BPE"`, `"type":"BPE","ignore_merges":true`), ErrUnsupported, 263},
	{"no unk_token", hf(`"unk_token":"<unk>",`, ``), ErrUnsupported, 255},
	{"duplicate id", hf(`"b":2`, `"b":1`), ErrMalformed, 275},
	{"id out of range", hf(`"b":2`, `"b":7`), ErrMalformed, 275},
	{"negative id", hf(`"b":2`, `"b":-2`), ErrMalformed, 296},
	{"id in quotes", hf(`"b":2`, `"b":"2"`), ErrMalformed, 296},
	{"huge id", hf(`"b":2`, `"b":99999999999`), ErrMalformed, 296},
	{"merge of an unknown piece", hf(`"a b"`, `"a x"`), ErrMalformed, 334},
	{"merge of one piece", hf(`"a b"`, `"ab"`), ErrMalformed, 334},
	{"merge of three pieces", hf(`"a b"`, `["a","b","c"]`), ErrMalformed, 334},
	{"merge into an unknown piece", hf(`"a b"`, `"b a"`), ErrMalformed, 334},
	{"duplicate merge", hf(`"a b"`, `"a b","a b"`), ErrMalformed, 340},
	{"merge of a special piece", hf(`"ab":3`, `"ab":3,"<unk>a":6`, `"a b"`, `"<unk> a"`), ErrUnsupported, 345},
	{"added token without id", hf(`"id":0,`, ``), ErrMalformed, 182},
	{"added token with another id", hf(`"id":0,`, `"id":3,`), ErrMalformed, 182},
	{"added token not special", hf(`"special":true`, `"special":false`), ErrUnsupported, 182},
	{"lowercase", hf(`"Replace"`, `"Lowercase"`), ErrUnsupported, 83},
	{"sequence without its list", hf(`"normalizers"`, `"normalizerz"`), ErrMalformed, 14},
	{"sequence whose list is a string", hf(`"normalizers":[`, `"normalizers":"x","x":[`), ErrMalformed, 14},
	{"spaces not replaced", hf(`"normalizer":{`, `"x":{`), ErrUnsupported, len(hf()) - 9},
	{"byte level", hf(`"pre_tokenizer":null`, `"pre_tokenizer":{"type":"ByteLevel"}`), ErrUnsupported, 161},
}

var badGGUF = []badModel{
	{"truncated GGUF", []byte("GGUF\x03\x00\x00\x00"), io.ErrUnexpectedEOF, 8},
	{"GGUF of version 1", cat([]byte("GGUF\x01\x00\x00\x00"), make([]byte, 16)), ErrUnsupported, 4},
	{"GGUF without tokenizer", cat([]byte("GGUF\x03\x00\x00\x00"), make([]byte, 16)), ErrUnsupported, 24},
}

// TestBad checks the kind and the offset of the error for each bad model, and
// that reading it takes little memory.
func TestBad(t *testing.T) {
	for _, row := range slices.Concat(badSPM, badHF, badGGUF) {
		t.Run(row.name, func(t *testing.T) {
			err := rejected(t, row.bytes)
			var bad *ModelError
			require.ErrorAs(t, err, &bad)
			for _, kind := range []error{ErrMalformed, ErrUnsupported, io.ErrUnexpectedEOF} {
				require.Equal(t, kind == row.kind, errors.Is(err, kind), "%v matches %v", err, kind)
			}
			require.Equal(t, row.offset, int(bad.Offset), "%v", err)
		})
	}
}

// rejected reads a model, which must fail within the memory limit, and returns
// the error.
func rejected(t *testing.T, b []byte) error {
	tok, err := loadWithinMemory(t, b)
	require.Error(t, err)
	require.Nil(t, tok)
	return err
}

// loadWithinMemory reads a model and checks that doing so allocates at most 1
// MiB and 32 times the length of the model. Other goroutines allocate too, so
// the least of three tries counts.
func loadWithinMemory(t testing.TB, b []byte) (tok *Tokenizer, err error) {
	limit := uint64(1<<20 + 32*len(b))
	load := func() { tok, err = NewReader(bytes.NewReader(b), int64(len(b))) }
	least := refusaltest.Allocated(load)
	for try := 0; least > limit && try < 2; try++ {
		least = min(least, refusaltest.Allocated(load))
	}
	require.LessOrEqual(t, least, limit, "bytes allocated for a model of %d", len(b))
	return tok, err
}

// TestGood reads models that look odd and are valid.
func TestGood(t *testing.T) {
	nul := cat(unkPiece, spmPiece("\x00", -1, Normal), spmPiece(" ", -2, Normal), bpe, msg(99, []byte("an unknown field")))
	for name, b := range map[string][]byte{
		"nul": nul, "unk alone": cat(unkPiece, bpe), "hf": hf(), "hf merges as lists": hf(`"a b"`, `["a","b"]`),
		"no bos": cat(unkPiece, aPiece, msg(spmTrainer, num(spmModelType, spmBPE), num(spmBOSID, math.MaxUint64))),
	} {
		t.Run(name, func(t *testing.T) {
			tok, err := loadWithinMemory(t, b)
			require.NoError(t, err)
			for _, text := range []string{"", "a", "ab ab", "a\x00b", " ", "\xff"} {
				requireLaws(t, tok, text)
			}
		})
	}
	tok, err := NewReader(bytes.NewReader(hf()), int64(len(hf())))
	require.NoError(t, err)
	require.Equal(t, []Token{5, 4, 5, 0}, tok.Encode("ab  abxyz", nil)[:4])
}

// TestMemory reads models that need much memory for their length.
func TestMemory(t *testing.T) {
	var long, wide, near []byte
	for n := range 600 {
		long = append(long, spmPiece(strings.Repeat("a", n+1), float32(-n), Normal)...)
	}
	for n := range 8000 {
		wide = append(wide, spmPiece(string(rune(0x20000+n*32)), float32(-n), Normal)...)
	}
	for n := range 9000 {
		near = append(near, spmPiece(fmt.Sprintf("%c%c", 0x4e00+n, 0x4e00+n*7%9000), 0, Normal)...)
	}
	for name, pieces := range map[string][]byte{"long": long, "wide": wide, "equal scores": near} {
		t.Run(name, func(t *testing.T) {
			_, err := loadWithinMemory(t, cat(unkPiece, pieces, bpe))
			require.NoError(t, err)
		})
	}
	for _, name := range []string{"tokenizer.model", "hf-tokenizer.json"} {
		_, err := loadWithinMemory(t, fixture.Read(t, "llama", name))
		require.NoError(t, err)
	}
}

// TestOpenErrors checks the errors for files that are absent, not regular or bad.
func TestOpenErrors(t *testing.T) {
	_, err := Open(t.Context(), filepath.Join(t.TempDir(), "none"), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Open(t.Context(), t.TempDir(), nil)
	require.ErrorIs(t, err, ErrUnsupported)
	path := filepath.Join(t.TempDir(), "a.model")
	require.NoError(t, os.WriteFile(path, []byte{0x0a, 0x09}, 0o600))
	_, err = Open(t.Context(), path, &OpenOptions{})
	require.EqualError(t, err, "a field extends beyond the end: "+path+", sentencepiece, byte 1: the file is cut short; download it again and compare its checksum")
}

// FuzzNewReader checks that reading any bytes does not panic, takes little
// memory and fails with one kind of error, and that encoding holds its laws with
// what was read.
func FuzzNewReader(f *testing.F) {
	f.Add(cat(unkPiece, aPiece, spmPiece("ab", -2, Normal), spmPiece("▁", -3, Normal), bpe), "a b")
	f.Add(cat(unkPiece, aPiece, spmPiece("aa", -2, Unused), spmPiece("x", 0, UserDefined), bpe, msg(spmNormalizer, num(spmTrim, 0))), "aaax a")
	f.Add(cat(unkPiece, bytePieces(256), aPiece, msg(spmTrainer, num(spmModelType, spmBPE), num(spmByteFallback, 1))), "a\xff")
	f.Add(hf(), "ab b")
	f.Add(hf(`["a b",`, `[["a","b"],`), " ab")
	f.Add([]byte("GGUF\x03\x00\x00\x00"), "")
	f.Fuzz(func(t *testing.T, b []byte, text string) {
		tok, err := loadWithinMemory(t, b)
		if err == nil {
			requireLaws(t, tok, text)
			return
		}
		var bad *ModelError
		require.ErrorAs(t, err, &bad)
		kinds := 0
		for _, kind := range []error{ErrMalformed, ErrUnsupported, io.ErrUnexpectedEOF} {
			if errors.Is(err, kind) {
				kinds++
			}
		}
		require.Equal(t, 1, kinds, "%v", err)
		require.LessOrEqual(t, bad.Offset, int64(len(b)))
	})
}

// FuzzEncode checks the laws of encoding and compares the tokens with those of
// the reference.
func FuzzEncode(f *testing.F) {
	want := reference(Default().v)
	for _, text := range []string{"Hello  world", "a\xffb ▁\n🦙", strings.Repeat(" ", 40) + "x", "<s></s>", "é\r\n", "aaaaaaa"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		requireLaws(t, Default(), text)
		if len(text) < 1000 {
			equal(t, want(text), Default().Encode(text, nil), text)
		}
	})
}

// FuzzDecode decodes any ids, all at once and one by one.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{3, 0, 0, 1, 200, 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		var ids []Token
		for ; len(b) > 1; b = b[2:] {
			ids = append(ids, (Token(b[0])<<8|Token(b[1]))%32000)
		}
		text, err := Default().Decode(ids)
		require.NoError(t, err)
		requireStreamed(t, Default(), ids, text)
	})
}
