package backend

import "slices"

// Kind is the interface that a server speaks.
type Kind string

// The kinds.
const (
	LlamaCPP   Kind = "llamacpp"    // llama.cpp's /completion, which takes ids
	OpenAI     Kind = "openai"      // the /v1/completions of vLLM, llama.cpp and others, which takes ids
	Ollama     Kind = "ollama"      // Ollama's /api/generate in raw mode, which takes text
	EasyLM     Kind = "easylm"      // EasyLM's /generate, which takes text and sends the whole reply at once
	EasyLMChat Kind = "easylm-chat" // EasyLM's /chat, which makes the prompt itself
)

// kinds has one row for each kind of server. To add a kind, add a row and a
// file with its protocol.
var kinds = []kindRow{
	{LlamaCPP, "http://localhost:8080", true, false, &llamaCPP},
	{OpenAI, "http://localhost:8000", true, false, &openAI},
	{Ollama, "http://localhost:11434", false, true, &ollama},
	{EasyLM, "http://localhost:5009", false, false, &easyLM},
	{EasyLMChat, "http://localhost:5009", false, false, &easyLMChat},
}

// kindRow describes a kind of server.
type kindRow struct {
	kind       Kind
	defaultURL string // where such a server listens unless it is configured otherwise
	takesIDs   bool   // it accepts the ids of a prompt
	needsModel bool   // it refuses requests that do not name a model
	protocol   *protocol
}

// row returns the row of k, or nil if there is none.
func (k Kind) row() *kindRow {
	i := slices.IndexFunc(kinds, func(r kindRow) bool { return r.kind == k })
	if i < 0 {
		return nil
	}
	return &kinds[i]
}

// Kinds returns all kinds.
func Kinds() []Kind {
	all := make([]Kind, len(kinds))
	for i := range kinds {
		all[i] = kinds[i].kind
	}
	return all
}

// TakesIDs reports whether servers of kind k accept the tokens of a prompt. It
// is false for an unknown kind.
func (k Kind) TakesIDs() bool {
	row := k.row()
	return row != nil && row.takesIDs
}

// DefaultURL returns the URL at which such a server listens on this machine
// unless it is configured otherwise. It is "" for an unknown kind.
func (k Kind) DefaultURL() string {
	if row := k.row(); row != nil {
		return row.defaultURL
	}
	return ""
}
