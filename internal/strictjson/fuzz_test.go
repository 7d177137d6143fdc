package strictjson_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/strictjson"
)

// FuzzJSON checks that Skip accepts what encoding/json accepts, except for the
// documented differences, and that strings and numbers have the same values.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{
		``, `{}`, `[1,2.5e-3,"x",true,false,null]`, `{"a":{"b":[]},"c":"\ud83d\ude00\n"}`, `"\ud800"`, `{"a":1,"a":2}`,
		`[[[[[[[[]]]]]]]]`, "\"\xff\"", `-0.0E+1`, `[{"":0},{"":0}]`, `"\u00e9é"`, `9223372036854775807`,
		`{"0":0,"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0}`,
	} {
		f.Add([]byte(text))
	}
	for _, name := range []string{"hf-safetensors/config.json", "hf-bin-sharded/pytorch_model.bin.index.json"} {
		f.Add(refusaltest.Seed(f, "fixtures", "S", "base", name))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		_ = refusaltest.Lawful(t, len(text), func() error { return skipAll(string(text)) })
		requireLikeStandard(t, text)
		requireStringLikeStandard(t, text)
		requireUintLikeStandard(t, text)
		requireMapLikeStandard(t, text)
	})
}

func requireStringLikeStandard(t *testing.T, text []byte) {
	j := strictjson.New(text, 0)
	got, err := j.String()
	if err != nil || j.End() != nil {
		return
	}
	var want string
	require.NoError(t, json.Unmarshal(text, &want))
	require.Equal(t, want, got)
	require.True(t, utf8.ValidString(got))
}

func requireUintLikeStandard(t *testing.T, text []byte) {
	j := strictjson.New(text, 0)
	got, err := j.Uint()
	if err != nil || j.End() != nil {
		return
	}
	var want int64
	require.NoError(t, json.Unmarshal(text, &want))
	require.Equal(t, want, got)
	require.GreaterOrEqual(t, got, int64(0))
}

func requireMapLikeStandard(t *testing.T, text []byte) {
	var got map[string]string
	err := refusaltest.Lawful(t, len(text), func() (err error) {
		j := strictjson.New(text, 0)
		if got, err = j.StringMap(); err != nil {
			return err
		}
		return j.End()
	})
	if err != nil {
		return
	}
	want := map[string]string{}
	require.NoError(t, json.Unmarshal(text, &want))
	require.Equal(t, want, got)
}
