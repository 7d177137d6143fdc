package weights_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/tensor"
)

// TestUnknownFiles opens files of no known format, and of known formats that
// are not read.
func TestUnknownFiles(t *testing.T) {
	for _, c := range []struct {
		name, content string
		kind          error
		says, todo    string
	}{
		{"empty", "", io.ErrUnexpectedEOF, "empty", "fetch it again"},
		{"torch zip, cut", "PK\x03\x04\x00\x00\x08\x08\x00\x00", io.ErrUnexpectedEOF, "without an end record", "fetch it again"},
		{"zip of nothing", "PK\x05\x06" + strings.Repeat("\x00", 18), weights.ErrMalformed, "has no members", "fetch it again"},
		{"pickle", "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", weights.ErrUnsupported, "from before version 1.6", "save it again with a current torch"},
		{"GGUF, cut", "GGUF\x03\x00\x00\x00", io.ErrUnexpectedEOF, "only 0 are left", "fetch it again"},
		{"GGUF of version 1", "GGUF\x01\x00\x00\x00" + strings.Repeat("\x00", 16), weights.ErrUnsupported, "version 1", "convert it"},
		{"gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", weights.ErrUnsupported, "gzip", "unpack it"},
		{"zstd", "\x28\xb5\x2f\xfd\x04\x00", weights.ErrUnsupported, "zstd", "unpack it"},
		{"Git LFS", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", weights.ErrUnsupported, "Git LFS pointer", "git lfs pull"},
		{"text", "Not a model.\n", weights.ErrUnsupported, "4e6f742061206d6f are of no known format", "give safetensors"},
		{"web page", "<!DOCTYPE html><html></html>", weights.ErrUnsupported, "no known format", "give safetensors"},
		{"JSON", `{"weight_map":{}}`, weights.ErrUnsupported, "no known format", "give safetensors"},
		{"one byte", "x", weights.ErrUnsupported, "no known format", "give safetensors"},
		{"zeros", strings.Repeat("\x00", 64), weights.ErrUnsupported, "no known format", "give safetensors"},
		{"seven bytes of safetensors", "\x40\x00\x00\x00\x00\x00\x00", weights.ErrUnsupported, "no known format", "give safetensors"},
		{"safetensors, header cut", "\x40\x00\x00\x00\x00\x00\x00\x00{", io.ErrUnexpectedEOF, "64 bytes is announced", "fetch it again"},
		{"safetensors, huge header", "\xff\xff\xff\xff\xff\xff\xff\xff{}", weights.ErrMalformed, "exceeds the format's limit", "fetch it again"},
		{"EasyLM, one byte", "\x92", io.ErrUnexpectedEOF, "", "fetch it again"},
		{"EasyLM, cut", "\x92\x92\xabtransformer", io.ErrUnexpectedEOF, "", "fetch it again"},
		{"EasyLM, 4 GiB announced", "\x92\x91\xa1x\xc6\xff\xff\xff\xff", io.ErrUnexpectedEOF, "", "fetch it again"},
		{"EasyLM, a list of 2^32", "\x92\xdd\xff\xff\xff\xff", io.ErrUnexpectedEOF, "", "fetch it again"},
		{"flax, cut", "\x81\xa6params", io.ErrUnexpectedEOF, "", "fetch it again"},
		{"flax, a map of 2^32", "\xdf\xff\xff\xff\xff", io.ErrUnexpectedEOF, "", "fetch it again"},
		{"flax, and more", "\x80\x00", weights.ErrMalformed, "1 unexpected bytes follow", "fetch it again"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			text(t, dir, "file", c.content)
			before := openFiles()
			_, err := weights.Open(t.Context(), filepath.Join(dir, "file"), nil)
			requireFormatError(t, err, c.kind, filepath.Join(dir, "file"))
			require.ErrorContains(t, err, c.says)
			last := err.Error()[strings.LastIndex(err.Error(), ": "):]
			require.Contains(t, last, c.todo)
			require.Equal(t, before, openFiles(), "the file is left open")
		})
	}
}

// TestMagicOfOthers opens safetensors files whose header length begins with the
// magic bytes of another format: lengths of 0x280 and 0x8b1f are valid.
func TestMagicOfOthers(t *testing.T) {
	for _, length := range []int{0x280, 0x10280, 0x8b1f} {
		path := filepath.Join(t.TempDir(), "file")
		b := binary.LittleEndian.AppendUint64(nil, uint64(length))
		b = append(b, `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`...)
		b = append(b, bytes.Repeat([]byte{' '}, length+8-len(b))...)
		require.NoError(t, os.WriteFile(path, append(b, 0), 0o644))
		c, err := weights.Open(t.Context(), path, nil)
		require.NoError(t, err, "header of %#x bytes", length)
		require.NoError(t, c.Close())
	}
}

// TestAbsent opens paths that do not exist.
func TestAbsent(t *testing.T) {
	_, err := weights.Open(t.Context(), filepath.Join(t.TempDir(), "absent"), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = weights.Open(t.Context(), "", nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestOffsets checks the offsets that errors state.
func TestOffsets(t *testing.T) {
	path := model(t, &modeltest.Options{Format: weights.FormatEasyLM, DType: dtype.F16})
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, info.Size()-1))
	_, err = weights.Open(t.Context(), path, nil)
	e := requireFormatError(t, err, io.ErrUnexpectedEOF, path)
	require.Equal(t, weights.FormatEasyLM, e.Format)
	require.Equal(t, "transformer/wte/embedding", e.Tensor, "the last record's")
	require.Greater(t, e.Offset, info.Size()-20_000, "in the last record")

	dir := t.TempDir()
	put(t, filepath.Join(dir, single), []tensor.Tensor{array("first", "F16", 3), array("second", "F32", 5)})
	b, err := os.ReadFile(filepath.Join(dir, single))
	require.NoError(t, err)
	at := bytes.Index(b, []byte(`[3]`))
	require.NoError(t, os.WriteFile(filepath.Join(dir, single), bytes.Replace(b, []byte("[3]"), []byte("[4]"), 1), 0o644))
	_, err = weights.Open(t.Context(), dir, nil)
	e = requireFormatError(t, err, weights.ErrMalformed, filepath.Join(dir, single))
	require.Equal(t, "first", e.Tensor)
	require.InDelta(t, at, e.Offset, 40, "near the wrong shape")
	require.Equal(t, weights.FormatSafetensors, e.Format)
}

// TestOneWeightTwice opens a file with two names of one weight: EasyLM's train
// states put params/params before the keys.
func TestOneWeightTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	var b []byte
	for _, prefix := range []string{"", "params", "params/params"} {
		b = append(b, record(filepath.ToSlash(filepath.Join(prefix, "lm_head/kernel")))...)
	}
	require.NoError(t, os.WriteFile(path, b, 0o644))
	_, err := weights.Open(t.Context(), path, nil)
	e := requireFormatError(t, err, weights.ErrMalformed, path)
	require.Equal(t, "params/lm_head/kernel", e.Tensor)
	require.ErrorContains(t, err, `the same weight as "lm_head/kernel"`)

	require.NoError(t, os.WriteFile(path, append(record("step"), record("opt_state/1/0/mu/params/lm_head/kernel")...), 0o644))
	c := open(t, path, nil)
	require.Nil(t, c.Layout, "moments are no weights")
	requireModelError(t, c.Complete(), path)
}

// record returns a record of an EasyLM stream: an fp16 array of shape [1, 1].
func record(name string) []byte {
	keys := strings.Split(name, "/")
	b := []byte{0x92, 0x90 | byte(len(keys))}
	for _, k := range keys {
		b = append(append(b, 0xa0|byte(len(k))), k...)
	}
	array := append([]byte("\x93\x92\x01\x01\xa7float16"), 0xc4, 2, 0, 0x3c)
	return append(append(b, 0xc4, byte(3+len(array)), 0xc7, byte(len(array)), 1), array...)
}

// TestWellFormedOthers opens well-formed files that are not LLaMA models, as
// Complete reports.
func TestWellFormedOthers(t *testing.T) {
	const q = "model.layers.%s.self_attn.q_proj.weight"
	for name, tensors := range map[string][]tensor.Tensor{
		"no tensors":            nil,
		"another model":         {array("h.0.attn.c_attn.weight", "F32", 4, 12), array("wte.weight", "F32", 10, 4)},
		"every dtype":           {array("a", "I64", 2), array("b", "BOOL", 3), array("c", "F8_E4M3", 1), array("d", "C64", 1), array("e", "F4", 2)},
		"a scalar":              {array("scale", "F32")},
		"no elements":           {array("nothing", "F32", 0, 5)},
		"many dimensions":       {array("deep", "F16", 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)},
		"norm is a scalar":      {array("model.norm.weight", "F16")},
		"norm is a matrix":      {array("model.norm.weight", "F16", 4, 4)},
		"embedding is a vector": {array("model.embed_tokens.weight", "F16", 4)},
		"q is a cube":           {array("model.layers.0.self_attn.q_proj.weight", "F16", 2, 2, 2)},
		"output is a scalar":    {array("lm_head.weight", "F16")},
		"huge and empty":        {array("model.embed_tokens.weight", "F16", 1<<60, 0), array("model.layers.0.self_attn.k_proj.weight", "F16", 1<<60, 0)},
		"layer 999999999":       {array(fmt.Sprintf(q, "999999999"), "F16", 4, 4)},
		"layer 2^63-1":          {array(fmt.Sprintf(q, "9223372036854775807"), "F16", 4, 4)},
		"layer 2^63":            {array(fmt.Sprintf(q, "9223372036854775808"), "F16", 4, 4)},
		"layer -1":              {array(fmt.Sprintf(q, "-1"), "F16", 4, 4)},
		"layer 00":              {array(fmt.Sprintf(q, "00"), "F16", 4, 4)},
		"layer without number":  {array(fmt.Sprintf(q, ""), "F16", 4, 4)},
		"layer %d":              {array(fmt.Sprintf(q, "%d"), "F16", 4, 4)},
		"nonsense names":        {array("", "F16", 1), array(".", "F16", 1), array("../../etc/passwd", "F16", 1), array("%d%s%!", "F16", 1), array("\x00\n\u2028", "F16", 1), array(strings.Repeat("model.", 1000), "F16", 1)},
		"names of two layouts":  {array("lm_head.weight", "F16", 4, 4), array("output.weight", "F16", 4, 4), array("token_embd.weight", "F16", 4, 4)},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			put(t, path, tensors)
			c := open(t, path, nil)
			require.Len(t, c.Tensors, len(tensors))
			err := c.Complete()
			requireModelError(t, err, path)
			require.Less(t, len(err.Error()), 10_000)
			for _, p := range c.Params() { // nothing here may panic
				if v, err := c.View(p, weights.EasyLM); err == nil {
					require.Len(t, v.Shape, len(c.Tensor(p).Shape))
				}
			}
			if _, err := weights.Open(t.Context(), path, &weights.OpenOptions{Heads: 2}); err != nil {
				requireModelError(t, err, path)
			}
		})
	}
}
