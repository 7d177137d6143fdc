module github.com/koala-go/sdk/dataset/lang

go 1.26.0

replace github.com/koala-go/sdk => ../../

require (
	github.com/abadojack/whatlanggo v1.0.1
	github.com/koala-go/sdk v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/klauspost/compress v1.20.3 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.49.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
