package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/measure"
	"github.com/seed-5b48bd9d/drydock/scripts/internal/bench/wire"
)

func TestTable(t *testing.T) {
	var out bytes.Buffer
	b := &table{out: &out}
	b.section("push", "what it is")
	b.group("L, 2 tags")
	b.add(row{name: "requests alone", usage: measure.Usage{Seconds: 2, Memory: 15e6}, wire: &wire.Counts{Requests: 100, Uploaded: 1e6, Connections: 8}})
	b.add(row{name: "×", usage: measure.Usage{Seconds: 2.5}, wire: &wire.Counts{Requests: 110, Uploaded: 1e6, Connections: 9}, note: "1 of 2 tags"})
	b.goal("time", 1.25, 1.15)
	b.goal("requests", 1.1, 1.1)
	b.group("another")
	b.add(row{name: "alone", usage: measure.Usage{Seconds: 1}})
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	want := `
== push: what it is

L, 2 tags
                     s     ×  peak MB  requests     ×  sent MB  conns
  requests alone  2.00  1.00       15       100  1.00      1.0      8
  ×               2.50  1.25                110  1.10      1.0      9  1 of 2 tags
  time: 1.25, at most 1.15: NOT MET
  requests: 1.10, at most 1.1: met

another
            s     ×
  alone  1.00  1.00

`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestChoose(t *testing.T) {
	all, err := choose(nil)
	if err != nil || len(all) != len(sections) {
		t.Errorf("%d of %d sections: %v", len(all), len(sections), err)
	}
	two, err := choose([]string{"push", "scan"})
	if err != nil || len(two) != 2 || two[0].name != "scan" || two[1].name != "push" {
		t.Errorf("not in their order: %v, %v", two, err)
	}
	if _, err := choose([]string{"scan", "speed"}); err == nil {
		t.Error("no error for a section that is not there")
	}
}
