package main

import "regexp"

type sizeRow struct{}

func runSizes(rep *report, only *regexp.Regexp, list, solo, asJSON bool) error { return nil }
