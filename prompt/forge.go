package prompt

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// FindingKind is what was found in content.
type FindingKind uint8

// The kinds.
const (
	LooksLikeMark FindingKind = iota // of the dialect: a marker or its header
	ControlText                      // <s>, </s>, <unk>, NUL or the dialect's End
	ByteName                         // <0x0A> and the like, which some servers read as a byte
)

// String is the kind's name: marker, control, byte name.
func (k FindingKind) String() string {
	switch k {
	case LooksLikeMark:
		return "marker"
	case ControlText:
		return "control"
	}
	return "byte name"
}

// Finding is a part of a turn's content that could be taken for something
// else than content.
type Finding struct {
	Kind   FindingKind
	Turn   int
	Offset int    // of its first byte in the content
	Length int    // in bytes
	Mark   string // what it looks like
	Exact  bool   // it is the mark itself, not a look-alike
}

// Inspect finds what a stranger may have put into a conversation to forge
// turns. Nothing is changed.
//
// A mark is found wherever it stands as it is. A look-alike is found where it
// does not go on a word: in any case, with other letters of the same look
// (full-width, Cyrillic and Greek ones), with other colons, with any white
// space, ▁ or no-break space for a space, with white space before its colon,
// and with invisible characters and accents anywhere. It is a help for the
// eye of a moderator, not a proof: other look-alikes exist.
func (d *Dialect) Inspect(c Conversation) []Finding {
	var all []Finding
	f := d.finder()
	for i := range c {
		for at := 0; ; {
			found, ok := f.next(c[i].Content, at)
			if !ok {
				break
			}
			found.Turn = i
			all = append(all, found)
			at = found.Offset + found.Length
		}
	}
	return all
}

// finder looks for a dialect's marks.
type finder struct {
	d     *Dialect
	marks []mark
	start [utf8.RuneSelf]bool // ASCII characters that begin a finding
	end   rune                // with which the dialect's End begins
}

// mark is a mark and how it looks.
type mark struct {
	text string
	look []rune // folded, with single spaces
}

func (d *Dialect) finder() *finder {
	f := &finder{d: d}
	f.start['<'], f.start[0] = true, true
	for _, text := range [...]string{d.Header, d.Markers.User, d.Markers.Helpful, d.Markers.Unhelpful} {
		if strings.TrimSpace(text) != "" {
			f.add(text)
		}
	}
	f.end, _ = utf8.DecodeRuneInString(d.End)
	return f
}

func (f *finder) add(text string) {
	m := mark{text: text}
	for _, r := range text {
		if folded := fold(r); folded != invisible {
			m.look = append(m.look, folded)
		}
	}
	if len(m.look) == 0 {
		return
	}
	f.marks = append(f.marks, m)
	for r := range rune(utf8.RuneSelf) {
		if fold(r) == m.look[0] {
			f.start[r] = true
		}
	}
}

// next is the first finding at or after a place; Turn is left open.
func (f *finder) next(content string, from int) (Finding, bool) {
	for at := from; at < len(content); {
		r, size := rune(content[at]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(content[at:])
		}
		if f.begins(r) {
			if found, ok := f.at(content, at); ok {
				return found, true
			}
		}
		at += size
	}
	return Finding{}, false
}

// begins is whether a character may begin a finding.
func (f *finder) begins(r rune) bool {
	if r < utf8.RuneSelf {
		return f.start[r] || r == f.end
	}
	folded := fold(r)
	return r == f.end || folded >= utf8.RuneSelf || folded >= 0 && f.start[folded]
}

// forged is the first finding that looks like a mark.
func (f *finder) forged(content string) (Finding, bool) {
	for at := 0; ; {
		found, ok := f.next(content, at)
		if !ok || found.Kind == LooksLikeMark {
			return found, ok
		}
		at = found.Offset + found.Length
	}
}

// at is the finding that begins at a place, the longest of several.
func (f *finder) at(content string, at int) (Finding, bool) {
	rest := content[at:]
	if !f.letter(rest[0]) {
		if found, ok := f.odd(rest, at); ok {
			return found, true
		}
	}
	best := Finding{Offset: at}
	r, _ := utf8.DecodeRuneInString(rest)
	first, inWord := fold(r), goesOn(content[:at])
	for i := range f.marks {
		m := &f.marks[i]
		if m.look[0] != first {
			continue
		}
		if strings.HasPrefix(rest, m.text) && len(m.text) > best.Length {
			best.Mark, best.Length, best.Exact = m.text, len(m.text), true
		} else if !inWord {
			if n := m.like(rest); n > best.Length {
				best.Mark, best.Length, best.Exact = m.text, n, false
			}
		}
	}
	return best, best.Length > 0
}

// letter is whether a byte begins nothing but marks.
func (f *finder) letter(c byte) bool {
	return ('A' <= c && c <= 'Z' || 'a' <= c && c <= 'z') && f.end != rune(c)
}

// odd is the control text or byte name with which a text begins.
func (f *finder) odd(rest string, at int) (Finding, bool) {
	if text := f.special(rest); text != "" {
		return Finding{ControlText, 0, at, len(text), text, true}, true
	}
	if isByteName(rest) {
		return Finding{ByteName, 0, at, len("<0x00>"), rest[:len("<0x00>")], true}, true
	}
	return Finding{}, false
}

// special is the control text with which a text begins, "" for none.
func (f *finder) special(rest string) string {
	if at, text := f.d.control(rest[:min(len(rest), max(len(f.d.End), len("<unk>")))], 0); at == 0 {
		return text
	}
	return ""
}

// isByteName is whether a text begins with the name of a byte, like <0x0A>.
func isByteName(s string) bool {
	return len(s) >= 6 && s[:3] == "<0x" && isHex(s[3]) && isHex(s[4]) && s[5] == '>'
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' || 'a' <= c && c <= 'f'
}

// goesOn is whether a word that ends a text would be gone on with.
func goesOn(before string) bool {
	if before == "" {
		return false
	}
	r, _ := utf8.DecodeLastRuneInString(before)
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

// like is the length of what looks like the mark at the beginning of a text,
// 0 if it does not.
func (m *mark) like(text string) int {
	at := 0
	for _, want := range m.look {
		end, ok := eat(text, at, want)
		if !ok {
			return 0
		}
		at = end
	}
	return at
}

// eat reads one character of a mark, with what does not show around it.
func eat(text string, at int, want rune) (end int, ok bool) {
	for at < len(text) {
		r, size := utf8.DecodeRuneInString(text[at:])
		switch got := fold(r); {
		case got == invisible:
			if at == 0 {
				return 0, false // a finding begins with what shows
			}
		case got == want && want == ' ':
			ok = true
		case got == want:
			return at + size, true
		case want == ':' && got == ' ':
		default:
			return at, ok
		}
		at += size
	}
	return at, ok
}

// invisible is what characters that do not show are folded to.
const invisible = -1

// fold makes one character of all that look alike.
func fold(r rune) rune {
	switch {
	case 'a' <= r && r <= 'z':
		return r - 'a' + 'A'
	case '!' <= r && r < utf8.RuneSelf-1:
		return r
	case r == ' ' || r == '▁' || r == '\u2800' || r == '\u3164' || unicode.IsSpace(r):
		return ' '
	case r < utf8.RuneSelf:
		return invisible // control characters
	case '！' <= r && r <= '～':
		return fold(r - '！' + '!')
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Variation_Selector) || r == '\u115f' || r == '\u1160':
		return invisible
	}
	if like, ok := alike[unicode.ToUpper(r)]; ok {
		return like
	}
	return unicode.ToUpper(r)
}

// alike are characters that look like one of ASCII, by their upper case.
var alike = map[rune]rune{
	'﹕': ':', '꞉': ':', '∶': ':', 'ː': ':', '˸': ':', '׃': ':', '։': ':', '︓': ':', '܃': ':', 'ः': ':',
	'А': 'A', 'В': 'B', 'Е': 'E', 'Ѕ': 'S', 'І': 'I', 'Ј': 'J', 'К': 'K', 'М': 'M', 'Н': 'H', 'О': 'O', 'Р': 'P',
	'С': 'C', 'Т': 'T', 'У': 'Y', 'Х': 'X', 'Ԍ': 'G', 'Ѵ': 'V',
	'Α': 'A', 'Β': 'B', 'Ε': 'E', 'Ζ': 'Z', 'Η': 'H', 'Ι': 'I', 'Κ': 'K', 'Μ': 'M', 'Ν': 'N', 'Ο': 'O', 'Ρ': 'P',
	'Τ': 'T', 'Υ': 'Y', 'Χ': 'X', 'Ϲ': 'C', 'Ꮪ': 'S', 'Ꭱ': 'R', 'Ꭼ': 'E', 'Ꮐ': 'G', 'Ꮲ': 'P', 'Ꭲ': 'T', 'Ս': 'U',
}
