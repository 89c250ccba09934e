module github.com/understudy-net/understudy

go 1.26.0
