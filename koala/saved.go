package koala

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/strictjson"
	"github.com/koala-go/sdk/prompt"
)

// savedVersion is the version of a saved chat.
const savedVersion = 1

// saved is a chat in JSON. It does not contain the tokenizer.
type saved struct {
	Version  int          `json:"version"`
	Dialect  savedDialect `json:"dialect"`
	BOS      bool         `json:"bos"`
	Budget   int          `json:"budget"`
	Overflow string       `json:"overflow"`
	Next     string       `json:"next"`
	Control  bool         `json:"allow_control"`
	Forged   bool         `json:"reject_forged"`
	UTF8     string       `json:"invalid_utf8"`
	Longest  int          `json:"max_content"`
	Sampling Sampling     `json:"sampling"`
	Messages []message    `json:"messages"`
}

type savedDialect struct {
	Name        string `json:"name"`
	Header      string `json:"header"`
	User        string `json:"user"`
	Helpful     string `json:"helpful"`
	Unhelpful   string `json:"unhelpful"`
	BeforeReply string `json:"before_reply"`
	End         string `json:"end"`
	AfterReply  string `json:"after_reply"`
}

var utf8Names = []string{"refuse", "replace"}

// MarshalJSON returns the chat as JSON: its turns, and its options except for the
// tokenizer and the moderator.
func (c *Chat) MarshalJSON() ([]byte, error) {
	c.lock()
	defer c.mu.Unlock()
	d, r := c.s.Dialect, &c.s.Render
	s := c.s.sampling()
	for _, f := range []float64{s.Temperature, s.TopP} {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("sampling: temperature or top_p is %v: use a finite number", f)
		}
	}
	return appendJSON(nil, saved{
		savedVersion,
		savedDialect{d.Name, d.Header, d.Markers.User, d.Markers.Helpful, d.Markers.Unhelpful, d.BeforeReply, d.End, d.AfterReply},
		c.s.BOS, c.s.Budget, c.s.Overflow.String(), r.Next.String(), r.AllowControl, r.RejectForged,
		utf8Names[min(int(r.InvalidUTF8), 1)], r.MaxContent, s, messages(c.h.turns),
	})
}

// Load returns a saved chat. The tokenizer and the moderator, which are not saved,
// are those of o. All other options are those that were saved. The errors are
// those of New and UnmarshalJSON.
func Load(data []byte, o *Options) (*Chat, error) {
	c, err := New(o)
	if err != nil {
		return nil, err
	}
	if err := c.UnmarshalJSON(data); err != nil {
		return nil, err
	}
	return c, nil
}

// UnmarshalJSON replaces the chat by a saved one. Only the tokenizer and the
// moderator stay. The errors are those of ParseConversation, ErrUnsupported for a
// newer version, and ErrOptions for options that cannot be used. If there is an
// error, the chat is unchanged.
func (c *Chat) UnmarshalJSON(data []byte) error {
	c.lock()
	defer c.mu.Unlock()
	l := loader{reader: reader{json: strictjson.New(data, 0), turn: -1}}
	l.o.Tokenizer = c.s.Tokenizer
	l.o.Moderator, l.o.ModerateStep = c.s.Moderator, c.s.ModerateStep
	l.o.Dialect = new(prompt.Dialect)
	l.sampling = DefaultSampling()
	l.o.Sampling = &l.sampling
	err := l.chat()
	if err == nil {
		l.turn = -1
		err = l.json.End()
	}
	if err != nil {
		return l.locate(err)
	}
	fresh, err := New(&l.o)
	if err != nil {
		return err
	}
	if len(l.turns) > 0 {
		if err := l.turns.Check(); err != nil {
			return err
		}
	}
	for _, t := range l.turns {
		if err := fresh.add(t); err != nil {
			return err
		}
	}
	c.s, c.h = fresh.s, fresh.h
	return nil
}

// loader reads a saved chat.
type loader struct {
	reader
	o        Options
	sampling Sampling
	turns    prompt.Conversation
}

// members reads an object. Each of its members must have a reader, and each
// reader a member, except for those named in optional.
func (l *loader) members(readers map[string]func() error, optional ...string) error {
	start := l.json.Offset()
	required, found := len(readers)-len(optional), 0
	err := l.json.Object(func(name string) error {
		read, known := readers[name]
		if !known {
			return l.unknownField(name)
		}
		if !slices.Contains(optional, name) {
			found++
		}
		return read()
	})
	if err == nil && found != required {
		err = refusal.Malformed(start, "", "%d of %d fields are missing", required-found, len(readers))
	}
	return err
}

func (l *loader) chat() error {
	r := &l.o.Render
	return l.members(map[string]func() error{
		"version":       l.version,
		"dialect":       l.dialect,
		"bos":           l.flag(&l.o.BOS),
		"budget":        l.whole(&l.o.Budget),
		"overflow":      func() (err error) { l.o.Overflow, err = indexOf[Overflow](l.json, overflowNames); return err },
		"next":          func() (err error) { r.Next, err = parseName(l.json, prompt.ParseQuality); return err },
		"allow_control": l.flag(&r.AllowControl),
		"reject_forged": l.flag(&r.RejectForged),
		"invalid_utf8":  func() (err error) { r.InvalidUTF8, err = indexOf[prompt.UTF8Policy](l.json, utf8Names); return err },
		"max_content":   l.whole(&r.MaxContent),
		"sampling":      l.readSampling,
		"messages": func() error {
			err := l.array(func() error { return l.message(&l.turns) })
			if err == nil {
				l.turn = -1
			}
			return err
		},
	})
}

func (l *loader) version() error {
	at := l.json.Offset()
	n, err := l.json.Uint()
	if err == nil && n != savedVersion {
		err = refusal.Unsupported(at, "", "saved chat of version %d, want %d: update this program", n, savedVersion)
	}
	return err
}

func (l *loader) dialect() error {
	d := l.o.Dialect
	return l.members(map[string]func() error{
		"name": l.text(&d.Name), "header": l.text(&d.Header), "user": l.text(&d.Markers.User),
		"helpful": l.text(&d.Markers.Helpful), "unhelpful": l.text(&d.Markers.Unhelpful),
		"before_reply": l.text(&d.BeforeReply), "end": l.text(&d.End), "after_reply": l.text(&d.AfterReply),
	})
}

func (l *loader) readSampling() error {
	s := &l.sampling
	return l.members(map[string]func() error{
		"temperature": l.number(&s.Temperature), "top_k": l.whole(&s.TopK), "top_p": l.number(&s.TopP),
		"max_tokens": l.whole(&s.MaxTokens),
		"seed": func() error {
			seed, err := l.integer()
			s.Seed = &seed
			return err
		},
		"stops": func() error {
			return l.json.Array(func() error {
				stop, err := l.json.String()
				s.Stops = append(s.Stops, stop)
				return err
			})
		},
	}, "seed", "stops")
}

// The functions below return readers of single values.

func (l *loader) text(target *string) func() error {
	return func() (err error) { *target, err = l.json.String(); return err }
}

func (l *loader) flag(target *bool) func() error {
	return func() error {
		v, err := l.json.Value()
		if err == nil && v.Kind != 't' && v.Kind != 'f' {
			err = refusal.Malformed(v.Offset, "", "neither true nor false")
		}
		*target = v.True()
		return err
	}
}

func (l *loader) whole(target *int) func() error {
	return func() error {
		n, err := l.integer()
		*target = int(n)
		if err == nil && int64(*target) != n {
			err = refusal.Malformed(l.json.Offset(), "", "number %d is out of range", n)
		}
		return err
	}
}

func (l *loader) integer() (int64, error) {
	v, err := l.json.Value()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(v.Text, 10, 64)
	if v.Kind != '0' || err != nil {
		return 0, refusal.Malformed(v.Offset, "", "not a whole number")
	}
	return n, nil
}

func (l *loader) number(target *float64) func() error {
	return func() error {
		v, err := l.json.Value()
		if err != nil {
			return err
		}
		f, err := strconv.ParseFloat(v.Text, 64)
		if v.Kind != '0' || err != nil {
			return refusal.Malformed(v.Offset, "", "not a number")
		}
		*target = f
		return nil
	}
}

// indexOf reads one of names and returns its index.
func indexOf[T ~uint8](j *strictjson.Reader, names []string) (T, error) {
	return parseName(j, func(name string) (T, error) {
		i := slices.Index(names, name)
		if i < 0 {
			return 0, refusal.Reason(refusal.ErrMalformed, "%.40q is not one of %q", name, names)
		}
		return T(i), nil
	})
}
