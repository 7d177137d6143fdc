package prompt

import (
	"errors"
)

// ErrOptions is the kind of every *OptionError, for errors.Is.
var ErrOptions = errors.New("unusable options")

// OptionError reports an option that is unknown, out of range or in
// contradiction to another one.
type OptionError struct {
	// Option is the name of the field or parameter, such as "Next".
	Option string
	// Err says what is wrong with it. Its kind is ErrDialect for a dialect,
	// ErrMarker for a quality, ErrPolicy for a policy, ErrUTF8 for a
	// UTF8Policy, and any error in other packages.
	Err error
}

// Error returns "which option: what: what to do".
func (e *OptionError) Error() string {
	text := "option " + e.Option + ": " + e.Err.Error()
	if remedy := remedyFor(e.Err); remedy != "" {
		text += ": " + remedy
	}
	return text
}

// Is reports whether target is ErrOptions.
func (e *OptionError) Is(target error) bool { return target == ErrOptions }

// Unwrap returns e.Err.
func (e *OptionError) Unwrap() error { return e.Err }

func optionError(option string, kind error, format string, args ...any) error {
	return &OptionError{Option: option, Err: reason(kind, format, args...)}
}

// Options are the choices of rendering. Nil means the zero value.
type Options struct {
	// Next is the quality of the reply that a prompt asks for. The default is
	// Helpful.
	Next Quality
	// AllowControl permits <s>, </s>, <unk> and NUL in the content of a text.
	// A server reads them as tokens or as the end of the text, and Parse reads
	// </s> as the end of a reply. Segments may contain them in any case.
	AllowControl bool
	// RejectForged refuses content that looks like a mark of the dialect: see
	// Dialect.Inspect.
	RejectForged bool
	// InvalidUTF8 says what to do with content that is not valid UTF-8. The
	// default is RefuseUTF8.
	InvalidUTF8 UTF8Policy
	// MaxContent is the maximum length of the content of a turn in bytes. Zero
	// means DefaultMaxContent; a negative number means no limit.
	MaxContent int
}

// DefaultMaxContent is the default of Options.MaxContent in bytes, about a
// thousand times as much text as fits into Koala's context.
const DefaultMaxContent = 16 << 20

// check reports an option that is out of range. Whether the dialect has a
// marker for Next is checked where the marker is needed.
func (o *Options) check() error {
	if o.InvalidUTF8 > ReplaceUTF8 {
		return optionError("InvalidUTF8", ErrUTF8, "unknown UTF8Policy %d", o.InvalidUTF8)
	}
	return nil
}

// tooLong reports whether content is longer than the limit.
func (o *Options) tooLong(content string) bool {
	limit := o.MaxContent
	if limit == 0 {
		limit = DefaultMaxContent
	}
	return limit >= 0 && len(content) > limit
}

// UTF8Policy says what to do with bytes that are not valid UTF-8.
type UTF8Policy uint8

// The policies.
const (
	RefuseUTF8  UTF8Policy = iota // return an error of the kind ErrUTF8
	ReplaceUTF8                   // replace each such byte by U+FFFD
)
