module github.com/understudy-net/understudy/board/tinygo

go 1.26.0

require (
	github.com/understudy-net/understudy v0.0.0
	tinygo.org/x/drivers v0.37.0
)

require golang.org/x/net v0.62.0 // indirect

replace github.com/understudy-net/understudy => ../..
