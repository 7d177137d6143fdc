// Package backend talks to servers that run Koala: llama.cpp, vLLM and others
// with OpenAI's completions, Ollama, and EasyLM, which served Koala first.
//
//	server, err := backend.New(backend.LlamaCPP, &backend.Options{URL: "http://localhost:8080"})
//
// A [Client] is a koala.Completer: pass it to Chat.Ask.
//
// # Ids and text
//
// llama.cpp and vLLM take the tokens of the prompt, so they get them: the same
// as in Koala's training, no BOS unless the request has one. Ollama and EasyLM
// take only text. They get the request's text, put a BOS before it (EasyLM only
// where there is room), and read </s> in it as the end of a reply. Content that
// holds such text is refused as prompt.ErrControl, unless the request's Render
// allows it.
//
// # What can go wrong
//
// Errors are *[Error], of one of the kinds below it, with the server's own words.
// A stream that ends without its end mark is an error, whatever it has sent.
// Requests are sent again only when nothing can have been generated: the
// connection could not be made, or the server answered that it is busy. The
// error of a context that has ended is the context's.
//
// [Moderation] and [WordList] tell which texts shall not be shown.
package backend
