package tokenizer

import (
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// TestFieldsLikeProtowire compares the fields of random messages, most of them
// damaged, with those that package protowire finds.
func TestFieldsLikeProtowire(t *testing.T) {
	r := rand.New(rand.NewPCG(*seed, 10))
	for range rounds(t) {
		m := randomMessage(r)
		want, wantErr := fieldsByProtowire(m)
		var got []field
		err := fields(m, 1000, func(x field) error {
			got = append(got, x)
			return nil
		})
		require.Equal(t, want, got, "%x", m)
		switch {
		case wantErr == nil:
			require.NoError(t, err, "%x", m)
		case errors.Is(wantErr, io.ErrUnexpectedEOF):
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%x", m)
		default:
			require.ErrorIs(t, err, ErrMalformed, "%x", m)
		}
	}
}

// fieldsByProtowire returns the fields of a message at offset 1000, and the
// error of the field after them. Groups are errors.
func fieldsByProtowire(m []byte) (list []field, err error) {
	for at := 0; at < len(m); {
		number, wire, n := protowire.ConsumeTag(m[at:])
		if n < 0 {
			return list, protowire.ParseError(n)
		}
		at += n
		x := field{number: int32(number), wire: wireType(wire), at: 1000 + int64(at)}
		switch wire {
		case protowire.VarintType:
			x.value, n = protowire.ConsumeVarint(m[at:])
		case protowire.Fixed32Type:
			var value uint32
			value, n = protowire.ConsumeFixed32(m[at:])
			x.value = uint64(value)
		case protowire.Fixed64Type:
			x.value, n = protowire.ConsumeFixed64(m[at:])
		case protowire.BytesType:
			x.bytes, n = protowire.ConsumeBytes(m[at:])
			x.at += int64(n - len(x.bytes))
		default:
			return list, errors.New("a group or an unknown wire type")
		}
		if n < 0 {
			return list, protowire.ParseError(n)
		}
		at += n
		list = append(list, x)
	}
	return list, nil
}

// randomMessage returns some valid fields, of which a few bytes are changed or
// cut off in half of the messages.
func randomMessage(r *rand.Rand) []byte {
	var m []byte
	for range r.IntN(5) {
		number := protowire.Number(1 + r.IntN(1<<(1+r.IntN(28))))
		value := r.Uint64() >> r.IntN(64)
		switch r.IntN(4) {
		case 0:
			m = protowire.AppendVarint(protowire.AppendTag(m, number, protowire.VarintType), value)
		case 1:
			m = protowire.AppendFixed32(protowire.AppendTag(m, number, protowire.Fixed32Type), uint32(value))
		case 2:
			m = protowire.AppendFixed64(protowire.AppendTag(m, number, protowire.Fixed64Type), value)
		case 3:
			m = protowire.AppendBytes(protowire.AppendTag(m, number, protowire.BytesType), make([]byte, r.IntN(200)))
		}
	}
	if r.IntN(2) == 0 {
		return m
	}
	for i := range m {
		if r.IntN(8) == 0 {
			m[i] = byte(r.UintN(256)) | byte(r.UintN(2)*0x80)
		}
	}
	return m[:r.IntN(len(m)+1)]
}
