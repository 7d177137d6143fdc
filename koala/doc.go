// Package koala holds conversations with Koala: the one import of a bot.
//
//	chat, err := koala.New(nil)
//	ending, err := chat.Ask(ctx, server, "Hello!", os.Stdout)
//
// where server is a [Completer]: a client of llama.cpp, vLLM, Ollama or EasyLM
// from package backend, a model in this process, or a function. Without one, the parts of Ask serve
// as well: [Chat.User] adds what the user said, [Chat.Request] is what a server
// needs, [Chat.Reply] takes the stream that comes back, and the chat is one
// turn longer.
//
// # Tokens
//
// What a server gets is tokens, if it takes them. [AppendIDs] makes them as
// Koala's training did: each query with its marks, each reply and each end of
// a reply is encoded on its own and joined as ids. A text of the FastChat
// dialect gives the same ids where a server splits it at </s> and puts its
// prefix before each piece, an empty reply apart, and other ids where it does
// not.
//
// BOS is an option, and off. Koala's training code (EasyLM at 0e8e52d, April
// 2023) put none before an example, but fed each row of the packed examples
// behind one; EasyLM's server put one before each prompt from 4 May 2023 on.
// llama.cpp, vLLM, Ollama and Hugging Face's tokenizers put one before a text,
// and none before ids. So turn it on to match them when you send ids. It is
// never doubled, for no text makes a control token.
//
// # Budgets
//
// A chat with a budget sends as many of its last exchanges as fit, always with
// the header and never a part of a turn, and says what it left out. All turns
// stay in its history. Each turn is encoded once.
//
// # Moderation
//
// A chat with a [Moderator] asks it about each query and each reply. What it
// flags is withheld: [Chat.Ask] returns a [FlaggedError], and the history is as
// it was.
package koala
