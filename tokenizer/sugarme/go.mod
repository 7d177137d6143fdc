module github.com/koala-go/sdk/tokenizer/sugarme

go 1.26.0

require (
	github.com/koala-go/sdk v0.0.0
	github.com/stretchr/testify v1.12.1
	github.com/sugarme/tokenizer v0.3.0
)

require (
	github.com/mitchellh/colorstring v0.0.0-20190213212951-d06e56a500db // indirect
	github.com/rivo/uniseg v0.4.7 // indirect
	github.com/schollz/progressbar/v2 v2.15.0 // indirect
	github.com/sugarme/regexpset v0.0.0-20200920021344-4d4ec8eaf93c // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.25.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace github.com/koala-go/sdk => ../..
