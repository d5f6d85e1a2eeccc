package main

type sample struct{ cpu float64; stack []string }
type share struct{ Name string; Share float64 }
func partOf(s sample) string { return "" }
func workOf(s sample) string { return "" }
func shares(s []sample, of func(sample) string) []share { return nil }
func parseTraces(t string) ([]sample, error) { return nil, nil }
