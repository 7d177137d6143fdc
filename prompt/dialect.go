package prompt

import (
	"strings"
	"unicode/utf8"
)

// Header is H, which begins every conversation.
const Header = "BEGINNING OF CONVERSATION:"

// EndText is how servers write the token that ends a reply.
const EndText = "</s>"

// Markers name who speaks, and how well.
type Markers struct {
	User      string // "" for none: a query stands alone then
	Helpful   string
	Unhelpful string // "" when the system has no negative marker
}

// The markers of published systems. Others are made by writing them down.
var (
	// KoalaMarkers are in koala_data_pipeline's create_hf_data_v2.py.
	KoalaMarkers = Markers{"USER:", "GPT:", "An Unhelpful Answer:"}
	// HindsightMarkers are those of Chain of Hindsight (Liu et al. 2023).
	HindsightMarkers = Markers{"User:", "A helpful answer:", "An unhelpful answer:"}
	// KorbakMarkers are those of the code of Korbak et al. 2023, which has
	// no users.
	KorbakMarkers = Markers{"", "<|aligned|>", "<|misaligned|>"}
	// BeaverMarkers are those of PKU's Safe-RLHF family.
	BeaverMarkers = Markers{"USER:", "ASSISTANT:", ""}
)

// reply is the marker of a reply, "" for none.
func (m *Markers) reply(q Quality) string {
	switch q {
	case Helpful:
		return m.Helpful
	case Unhelpful:
		return m.Unhelpful
	}
	return ""
}

// Dialect is a way to write a conversation down:
//
//	Header+" "+User+" "+query+" "+marker+BeforeReply+reply+End+AfterReply+User+…
//
// A prompt, to which a reply is due, ends with the marker alone. A Header of
// "" leaves out its space too, and so does a user marker of "".
type Dialect struct {
	Name        string
	Header      string
	Markers     Markers
	BeforeReply string
	End         string
	AfterReply  string // only where another turn follows
}

// The dialects in use.
var (
	// FastChat is koala_v1 of FastChat, which makes the tokens of the
	// training. It is the default.
	FastChat = Dialect{"fastchat", Header, KoalaMarkers, " ", EndText, ""}
	// EasyLM is that of EasyLM's documentation and server.
	EasyLM = Dialect{"easylm", Header, KoalaMarkers, "", EndText, ""}
	// Eval is that of koala_data_pipeline's evaluation export.
	Eval = Dialect{"eval", Header, KoalaMarkers, " ", EndText, " "}
	// Beaver is that of PKU's Safe-RLHF family, which has one reply marker.
	// Its queries are documented; its replies stand as EasyLM's do.
	Beaver = Dialect{"beaver", Header, BeaverMarkers, "", EndText, ""}
	// EasyLMContext is the context that EasyLM's /chat hands out: EasyLM
	// without its header.
	EasyLMContext = Dialect{"easylm-context", "", KoalaMarkers, "", EndText, ""}
)

// Dialects are the dialects in use, in the order in which Parse tries them.
func Dialects() []*Dialect {
	return []*Dialect{&FastChat, &Eval, &EasyLM, &Beaver, &EasyLMContext}
}

// DialectNamed finds one of Dialects by its name. The error is of the kind
// ErrDialect.
func DialectNamed(name string) (*Dialect, error) {
	for _, d := range Dialects() {
		if d.Name == name {
			return d, nil
		}
	}
	return nil, optionError("dialect", ErrDialect, "unknown dialect %.40q", name)
}

// Check says why texts of a dialect could not be told apart: an empty End or
// helpful marker, equal markers, an End with white space or one that could be
// seen where it was not written. The error is a *TurnError of the kind
// ErrDialect. All that renders or parses checks it.
func (d *Dialect) Check() error {
	if why := d.fault(); why != "" {
		return optionError("Dialect", ErrDialect, "dialect %.40q: %s", d.Name, why)
	}
	return nil
}

// fault is what is wrong with a dialect, "" for nothing.
func (d *Dialect) fault() string {
	m := &d.Markers
	switch {
	case d.End == "":
		return "End is empty"
	case m.Helpful == "":
		return "the helpful marker is empty"
	case m.Helpful == m.Unhelpful:
		return "both reply markers are the same"
	case strings.ContainsAny(d.End, " \t\r\n"):
		return "End has white space in it"
	case overlaps(d.End, d.End):
		return "End overlaps with itself"
	}
	for _, s := range [...]string{d.Header, m.User, m.Helpful, m.Unhelpful, d.BeforeReply, d.AfterReply, d.End} {
		if !utf8.ValidString(s) {
			return "a mark is not UTF-8"
		}
		if s != d.End && (strings.Contains(s, d.End) || overlaps(s, d.End)) {
			return "a mark holds End or a beginning of it at its end"
		}
	}
	return ""
}

// overlaps is whether a proper end of a is a beginning of b.
func overlaps(a, b string) bool {
	for n := 1; n < len(b) && n <= len(a); n++ {
		if n < len(a) || a != b {
			if strings.HasSuffix(a, b[:n]) {
				return true
			}
		}
	}
	return false
}

// checkMarker returns an error of the kind ErrMarker if the dialect has no
// marker for replies of a quality.
func (d *Dialect) checkMarker(q Quality) error {
	if d.Markers.reply(q) != "" {
		return nil
	}
	return reason(ErrMarker, "dialect %.40q has no marker for replies of quality %s", d.Name, q)
}
