package tokenizer

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/koala-go/sdk/internal/refusal"
)

// This file reads and writes the part of the protobuf wire format that a
// SentencePiece model needs (protobuf.dev/programming-guides/encoding). The
// package protowire would do the same, but it links five more packages into
// every program that encodes text. The tests compare with it.

// wireType is how the value of a field is encoded.
type wireType uint8

// The wire types, without those of groups.
const (
	wireVarint  wireType = 0
	wireFixed64 wireType = 1
	wireBytes   wireType = 2
	wireFixed32 wireType = 5
)

// field is one field of a protobuf message.
type field struct {
	number int32
	wire   wireType
	bytes  []byte // the content of a string, bytes or message
	value  uint64 // the value of a number
	at     int64  // offset in the file of the content or the number
}

// fields calls f for each field of a message that begins at offset at of the
// file.
func fields(b []byte, at int64, f func(field) error) error {
	for len(b) > 0 {
		x, size, err := parseField(b, at)
		if err != nil {
			return err
		}
		if err := f(x); err != nil {
			return err
		}
		b, at = b[size:], at+int64(size)
	}
	return nil
}

// parseField returns the field that b begins with and its length in bytes. Its
// offset in the file is at.
func parseField(b []byte, at int64) (x field, size int, err error) {
	tag, n, err := parseVarint(b, at)
	if err != nil {
		return x, 0, err
	}
	if tag>>3 == 0 || tag>>3 > math.MaxInt32 {
		return x, 0, refusal.Malformed(at, "", "the field number %d is out of range", tag>>3)
	}
	x = field{number: int32(tag >> 3), wire: wireType(tag & 7), at: at + int64(n)}
	b = b[n:]
	switch x.wire {
	case wireVarint:
		x.value, size, err = parseVarint(b, x.at)
	case wireFixed32:
		if size = 4; size <= len(b) {
			x.value = uint64(binary.LittleEndian.Uint32(b))
		}
	case wireFixed64:
		if size = 8; size <= len(b) {
			x.value = binary.LittleEndian.Uint64(b)
		}
	case wireBytes:
		var length uint64
		if length, size, err = parseVarint(b, x.at); err != nil {
			return x, 0, err
		}
		// Compare before adding: the sum of hostile numbers may overflow.
		if length > uint64(len(b)-size) {
			return x, 0, fieldTruncated(x.at)
		}
		x.bytes = b[size : size+int(length)]
		x.at += int64(size)
		size += int(length)
	default:
		err = refusal.Malformed(at, "", "field %d is a group or has an unknown wire type", x.number)
	}
	if err == nil && size > len(b) {
		err = fieldTruncated(x.at)
	}
	return x, n + size, err
}

// parseVarint returns the number that b begins with and its length in bytes.
// Its offset in the file is at.
func parseVarint(b []byte, at int64) (value uint64, size int, err error) {
	value, size = binary.Uvarint(b)
	switch {
	case size < 0 || size == 0 && len(b) >= binary.MaxVarintLen64:
		return 0, 0, refusal.Malformed(at, "", "a number has more than 64 bits")
	case size == 0:
		return 0, 0, fieldTruncated(at)
	}
	return value, size, nil
}

// fieldTruncated returns the error for a field that the end of its message cuts
// off.
func fieldTruncated(at int64) error {
	return refusal.Truncated(at, "", "a field extends beyond the end")
}

// expect checks the wire type of the field.
func (x *field) expect(wire wireType) error {
	if x.wire != wire {
		return refusal.Malformed(x.at, "", "field %d has the wire type %d, want %d", x.number, x.wire, wire)
	}
	return nil
}

// readBool sets *p to the value of a bool field.
func (x *field) readBool(p *bool) error {
	*p = x.value != 0
	return x.expect(wireVarint)
}

// readString sets *p to the value of a string field.
func (x *field) readString(p *string) error {
	if *p = string(x.bytes); !utf8.ValidString(*p) {
		return refusal.Malformed(x.at, "", "field %d is not UTF-8", x.number)
	}
	return x.expect(wireBytes)
}

// appendTag appends the number and the wire type of a field to a message.
func appendTag(m []byte, number int32, wire wireType) []byte {
	return binary.AppendUvarint(m, uint64(number)<<3|uint64(wire))
}

// appendNumber appends a varint field to a message.
func appendNumber(m []byte, number int32, n uint64) []byte {
	return binary.AppendUvarint(appendTag(m, number, wireVarint), n)
}

// appendFloat appends a float field to a message.
func appendFloat(m []byte, number int32, f float32) []byte {
	return binary.LittleEndian.AppendUint32(appendTag(m, number, wireFixed32), math.Float32bits(f))
}

// appendText appends a string or message field to a message.
func appendText(m []byte, number int32, text string) []byte {
	m = binary.AppendUvarint(appendTag(m, number, wireBytes), uint64(len(text)))
	return append(m, text...)
}
