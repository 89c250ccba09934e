package main

import "github.com/spf13/cobra"

func newDemo(std stdio) *cobra.Command { return &cobra.Command{Use: "demo"} }
