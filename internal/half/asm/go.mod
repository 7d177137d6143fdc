module github.com/koala-go/sdk/internal/half/asm

go 1.26.0

require github.com/mmcloughlin/avo v0.6.0

require (
	github.com/google/go-cmp v0.7.0 // indirect
	golang.org/x/mod v0.43.0 // indirect
	golang.org/x/sync v0.25.0 // indirect
	golang.org/x/tools v0.52.1-0.20261106145633-d407941a339a // indirect
)
