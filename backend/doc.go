// Package backend has clients of servers that run Koala: llama.cpp, vLLM and
// others with OpenAI's completions, Ollama, and EasyLM, which first served Koala.
//
// Begin with [New] and pass the [Client] to koala.Chat.Ask:
//
//	server, err := backend.New(backend.LlamaCPP, &backend.Options{URL: "http://localhost:8080"})
//	ending, err := chat.Ask(ctx, server, "Hello!", os.Stdout)
//
// # Ids and text
//
// llama.cpp and vLLM take the tokens of the prompt. The client sends them the ids
// of the request, which are those of Koala's training: without BOS unless the
// chat's options ask for one. Ollama and EasyLM take only text. The client sends
// them the text of the request. They put a BOS before it (EasyLM only if there is
// room), and read </s> in it as the end of a reply. Therefore content with such
// text is an error of the kind prompt.ErrControl, unless the chat's options allow
// it.
//
// # Errors
//
// Errors are *[Error] values with a kind and the server's own words. A stream that
// ends without its end mark is an error, whatever text came before. The client
// sends a request again only if nothing can have been generated: it could not make
// a connection, or the server answered that it is busy. If the context ends, the
// error is the cause of that.
//
// # Moderation
//
// [Moderation] and [WordList] are moderators for koala.Options.
package backend
