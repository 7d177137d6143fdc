package strictjson_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/strictjson"
)

// skipAll reads one whole JSON text.
func skipAll(text string) error {
	j := strictjson.New([]byte(text), 0)
	if err := j.Skip(); err != nil {
		return err
	}
	return j.End()
}

func TestJSONSkipsValid(t *testing.T) {
	for _, text := range []string{
		`{}`, `[]`, `""`, `0`, `-0`, `-0.0e-0`, `1E+9`, `12.50`, `true`, `false`, `null`,
		" \t\r\n[ 1 , 2 ] \n", `{"a":{"b":[1,"x",null]}}`, `{ "a" : 1 , "b" : 2 }`,
		`"\"\\\/\b\f\n\r\t"`, `"\u00e9\u20ac\ud83d\ude00"`, "\"\u007f\u2028é€😀\"", `"\u0000"`,
		`{"":0,"a":1,"A":2}`, `{"a":{"a":1},"b":{"a":1}}`,
		strings.Repeat("[", 64) + strings.Repeat("]", 64),
		strings.Repeat("[", 64) + "1" + strings.Repeat("]", 64),
		strings.Repeat(`{"a":`, 64) + `"x"` + strings.Repeat("}", 64),
		"[" + strings.Repeat(`{"a":{}},`, 1000) + "0]",
	} {
		require.True(t, json.Valid([]byte(text)), text)
		require.NoError(t, skipAll(text), text)
	}
}

// mark marks the offset of the expected error in the text of a test.
const mark = "¦"

func TestJSONRefuses(t *testing.T) {
	for _, text := range []string{
		``, ` ¦`, `¦,`, `¦]`, `¦x`, `¦'a'`, "¦\ufeff{}", "¦\x00", `¦tru`, `¦True`, `¦nul`, `¦NaN`, `¦+1`, `¦.5`,
		`-¦`, `¦-x`, `01¦`, `-00¦`, `1.¦`, `1.¦e5`, `1e¦`, `1e+¦`, `1 ¦2`, `{}¦{}`, `[]¦,`, `[]¦//c`, `1¦x`, "1¦\x00",
		`[¦`, `[1¦`, `[1,¦`, `[1,¦]`, `[¦,1]`, `[1 ¦2]`, `[1¦}`, `[1¦;2]`, `[¦/*c*/1]`,
		`{¦`, `{"a"¦`, `{"a":¦`, `{"a":1¦`, `{"a":1,¦`, `{"a":1,¦}`, `{¦a:1}`, `{¦1:1}`, `{"a" ¦1}`, `{"a"¦=1}`, `{"a":1¦]`, `{"a":1¦"b":2}`,
		`"¦`, `"abc¦`, `"a\n¦`, "\"a¦\nb\"", "\"a¦\x1f\"", "\"\\n¦\x01\"", "\"¦a\xff\"", "\"¦\\n\xc3\"", "\"¦\xed\xa0\x80\"", "\"¦\xc0\x80\"",
		`"a¦\`, `"a¦\x41"`, `"¦\u12"`, `"¦\u12`, `"¦\u00g0"`, `"¦\u+123"`, `"¦\u"`, `"¦\ud800"`, `"¦\udc00"`, `"¦\ud800\ud800"`, `"¦\ud800x"`, `"¦\ud800\n"`, `"¦\ud800\u0041"`, `"\n¦\ud800"`, `"¦\ud800\u00`,
		`{"a":1,¦"a":2}`, `{"a":1, ¦"\u0061":2}`, `[{"b":{},¦"b":{}}]`, `{"0":0,"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0,¦"0":0}`,
		`{"0":0,"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0,¦"9":0}`,
		strings.Repeat("[", 64) + "¦[]" + strings.Repeat("]", 64),
		strings.Repeat("[", 64) + "¦" + strings.Repeat("[", 100_000),
		strings.Repeat(`{"a":`, 64) + "¦" + strings.Repeat(`{"a":`, 100_000),
	} {
		t.Run(text[:min(len(text), 40)], func(t *testing.T) {
			clean := strings.Replace(text, mark, "", 1)
			err := refusaltest.Lawful(t, len(clean), func() error { return skipAll(clean) })
			e := refusaltest.Refused(t, err, refusal.ErrMalformed)
			require.EqualValues(t, max(strings.Index(text, mark), 0), e.Offset, err)
		})
	}
}

func TestJSONOffsetsCountFromTheBase(t *testing.T) {
	j := strictjson.New([]byte(`[1,x]`), 1000)
	require.EqualValues(t, 1000, j.Offset())
	require.EqualValues(t, 1003, refusaltest.Refused(t, j.Skip(), refusal.ErrMalformed).Offset)
	j = strictjson.New([]byte("\"\xff\""), 1000)
	_, err := j.String()
	require.EqualValues(t, 1001, refusaltest.Refused(t, err, refusal.ErrMalformed).Offset)
}

func TestJSONUint(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "7": 7, " 42 ": 42, "9223372036854775807": 1<<63 - 1, "10,": 10, "3]": 3,
	} {
		n, err := strictjson.New([]byte(text), 0).Uint()
		require.NoError(t, err, text)
		require.Equal(t, want, n, text)
	}
	for _, text := range []string{
		"¦", "¦-1", "¦-0", "¦+1", "¦x", `¦"1"`, "¦true", "¦null", "¦[1]", "1¦.0", "1¦.", "1¦e0", "1¦E5", "0¦.5",
		"¦01", "¦00", "¦9223372036854775808", "¦18446744073709551616", " ¦" + strings.Repeat("9", 1000),
	} {
		clean := strings.Replace(text, mark, "", 1)
		n, err := strictjson.New([]byte(clean), 0).Uint()
		e := refusaltest.Refused(t, err, refusal.ErrMalformed)
		require.EqualValues(t, strings.Index(text, mark), e.Offset, text)
		require.Zero(t, n)
		require.Less(t, len(err.Error()), 200, "the error does not quote a long number whole")
	}
}

func TestJSONString(t *testing.T) {
	for _, text := range []string{
		`""`, `"abc"`, `"\"\\\/\b\f\n\r\t"`, `"a\u0000b"`, `"\u00e9\u20AC\uD83D\ude00!"`, "\"é\\n€\"", `"😀\\"`,
	} {
		var want string
		require.NoError(t, json.Unmarshal([]byte(text), &want))
		got, err := strictjson.New([]byte(text), 0).String()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestJSONObjectAndArray(t *testing.T) {
	j := strictjson.New([]byte(` { "b" : [ 3 , 4 ] , "a\n" : [ ] } `), 0)
	var names []string
	var numbers []int64
	require.NoError(t, j.Object(func(name string) error {
		names = append(names, name)
		return j.Array(func() error {
			n, err := j.Uint()
			numbers = append(numbers, n)
			return err
		})
	}))
	require.NoError(t, j.End())
	require.Equal(t, []string{"b", "a\n"}, names)
	require.Equal(t, []int64{3, 4}, numbers)

	broken := errors.New("broken")
	j = strictjson.New([]byte(`{"a":[1]}`), 0)
	require.Equal(t, broken, j.Object(func(string) error { return j.Array(func() error { return broken }) }))
}

// stricter reports whether an error is one of the documented differences from
// encoding/json.
func stricter(err error) bool {
	for _, reason := range []string{"duplicate name", "not UTF-8", "lone surrogate", "nested deeper than"} {
		if strings.Contains(err.Error(), reason) {
			return true
		}
	}
	return false
}

// requireLikeStandard compares Skip with encoding/json.
func requireLikeStandard(t *testing.T, text []byte) {
	t.Helper()
	err := skipAll(string(text))
	switch {
	case json.Valid(text) && err != nil:
		require.True(t, stricter(err), "%q is valid, but: %v", text, err)
		if utf8.Valid(text) {
			require.NotContains(t, err.Error(), "not UTF-8", "%q", text)
		}
	case !json.Valid(text):
		require.Error(t, err, "%q is not valid", text)
	}
	if err != nil {
		refusaltest.Refused(t, err, refusal.ErrMalformed)
	}
}

func TestJSONSkipLikeStandard(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	seeds := []string{
		`{"__metadata__":{"format":"pt"},"a.b":{"dtype":"F16","shape":[1,23],"data_offsets":[0,46]}}`,
		`[0,-1,2.5,-0.0e+10,1E-5,true,false,null,"",{"x":[]}]`,
		`{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é😀","b":{"c":{"d":[[[]]]}}}`,
	}
	const alphabet = "{}[]\",:\\/ \t\n01eE+-.truefalsnbdc89AF\x00\x1f\x7f\x80\xc3\xed\xff"
	for range 100_000 {
		text := []byte(seeds[rng.IntN(len(seeds))])
		for range 1 + rng.IntN(3) {
			text = mutate(rng, text, alphabet)
		}
		requireLikeStandard(t, text)
	}
}

// mutate replaces, inserts, removes or doubles a few bytes of text.
func mutate(rng *rand.Rand, text []byte, alphabet string) []byte {
	if len(text) == 0 {
		return text
	}
	i := rng.IntN(len(text))
	c := alphabet[rng.IntN(len(alphabet))]
	head, tail := text[:i:i], text[i+1:]
	switch rng.IntN(5) {
	case 0:
		return append(append(head, c), tail...)
	case 1:
		return append(append(head, c, text[i]), tail...)
	case 2:
		return append(head, tail...)
	case 3:
		return head
	}
	j := i + rng.IntN(min(8, len(text)-i)) + 1
	return append(append(append(head, text[i:j]...), text[i:j]...), text[j:]...)
}

func TestJSONStringMap(t *testing.T) {
	j := strictjson.New([]byte(` {"b":"1", "\u0061":"\n"} `), 0)
	m, err := j.StringMap()
	require.NoError(t, err)
	require.NoError(t, j.End())
	require.Equal(t, map[string]string{"a": "\n", "b": "1"}, m)
	for _, text := range []string{
		`¦[]`, `¦null`, `{"a":¦1}`, `{"a":¦null}`, `{"a":¦{}}`, `{"a":"1",¦"a":"1"}`, `{"a":"1",¦"\u0061":"2"}`, `{"a":"1"¦`,
	} {
		clean := strings.Replace(text, mark, "", 1)
		_, err := strictjson.New([]byte(clean), 0).StringMap()
		e := refusaltest.Refused(t, err, refusal.ErrMalformed)
		require.EqualValues(t, strings.Index(text, mark), e.Offset, text)
	}
}

// TestJSONAllocation reads the texts that need the most memory per byte: many
// small objects, and one object with many names.
func TestJSONAllocation(t *testing.T) {
	for name, text := range map[string]string{
		"objects": "[" + strings.Repeat(`{"":0},`, 100_000) + "0]",
		"pairs":   "[" + strings.Repeat(`{"":0,"a":0},`, 100_000) + "0]",
		"nines":   "[" + strings.Repeat(`{"":0,"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0},`, 20_000) + "0]",
		"names":   wideObject(117_000, "0"),
		"escapes": "[" + strings.Repeat(`"\n",`, 100_000) + "0]",
		"long":    `"` + strings.Repeat(`\n`, 1_000_000) + `"`,
	} {
		require.NoError(t, refusaltest.Lawful(t, len(text), func() error { return skipAll(text) }), name)
	}
	for n := 1000; n < 200_000; n += n / 16 {
		text := wideObject(n, `""`)
		require.NoError(t, refusaltest.Lawful(t, len(text), func() error {
			_, err := strictjson.New([]byte(text), 0).StringMap()
			return err
		}), "%d names", n)
	}
}

// wideObject returns an object of n members with names of three letters.
func wideObject(n int, value string) string {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-"
	text := []byte("{")
	for i := range n {
		text = append(text, '"', letters[i>>12&63], letters[i>>6&63], letters[i&63], '"', ':')
		text = append(append(text, value...), ',')
	}
	return string(append(text[:len(text)-1], '}'))
}
