package storagetest

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// Parse reads a tree from lines, one call of a Builder each, in lower case and
// with its arguments separated by blanks:
//
//	# comment
//	blob NAME [TEXT]                  random NAME SIZE
//	image NAME PLATFORM LAYER…        docker NAME PLATFORM LAYER…
//	index NAME CHILD…                 list NAME CHILD…
//	artifact NAME TYPE SUBJECT LAYER… (SUBJECT may be -)
//	helm NAME CHART                   schema1 NAME LAYER…
//	large NAME SIZE LAYER…
//	attestation NAME OF               manifest NAME TYPE TEMPLATE
//	tag REPOSITORY TAG NAME           push REPOSITORY NAME
//	remove PLACE                      move PLACE TO
//	write PLACE [TEXT]                truncate PLACE SIZE
//	corrupt PLACE                     mkdir PLACE
//	mkfifo PLACE                      symlink PLACE TARGET
//	chmod PLACE OCTAL                 touch PLACE TIME
//
// An argument in double quotes is a Go string. A manifest's template is the
// rest of the line. Places are those of Builder.Path.
func Parse(text string) (*Builder, error) {
	b := New()
	for n, line := range strings.Split(text, "\n") {
		if err := b.line(strings.TrimSpace(line)); err != nil {
			return nil, fmt.Errorf("parsing tree, line %d: %w", n+1, err)
		}
	}
	return b, nil
}

// verb is what a line begins with.
type verb struct {
	least, most int // arguments; most 0 means any number
	do          func(b *Builder, args []string) error
}

var verbs = map[string]verb{
	"blob": {1, 2, func(b *Builder, a []string) error {
		b.Blob(a[0], optional(a, 1, "the bytes of "+a[0]+"\n"))
		return nil
	}},
	"random":      {2, 2, withSize(func(b *Builder, name string, size int64) { b.Random(name, int(size)) })},
	"image":       {2, 0, func(b *Builder, a []string) error { b.Image(a[0], a[1], a[2:]...); return nil }},
	"docker":      {2, 0, func(b *Builder, a []string) error { b.Docker(a[0], a[1], a[2:]...); return nil }},
	"index":       {1, 0, func(b *Builder, a []string) error { b.Index(a[0], a[1:]...); return nil }},
	"list":        {1, 0, func(b *Builder, a []string) error { b.List(a[0], a[1:]...); return nil }},
	"artifact":    {3, 0, artifact},
	"helm":        {2, 2, two((*Builder).Helm)},
	"large":       {2, 0, large},
	"schema1":     {1, 0, func(b *Builder, a []string) error { b.Schema1(a[0], a[1:]...); return nil }},
	"attestation": {2, 2, two((*Builder).Attestation)},
	"manifest":    {3, 3, three((*Builder).Manifest)},
	"tag":         {3, 3, three((*Builder).Tag)},
	"push":        {2, 2, two((*Builder).Push)},
	"remove":      {1, 1, one((*Builder).Remove)},
	"move":        {2, 2, two((*Builder).Move)},
	"write":       {1, 2, func(b *Builder, a []string) error { b.Write(a[0], optional(a, 1, "")); return nil }},
	"truncate":    {2, 2, withSize((*Builder).Truncate)},
	"corrupt":     {1, 1, one((*Builder).Corrupt)},
	"mkdir":       {1, 1, one((*Builder).Mkdir)},
	"mkfifo":      {1, 1, one((*Builder).Mkfifo)},
	"symlink":     {2, 2, two((*Builder).Symlink)},
	"chmod":       {2, 2, chmod},
	"touch":       {2, 2, touch},
}

func (b *Builder) line(line string) error {
	if line == "" || line[0] == '#' {
		return nil
	}
	name, rest, _ := strings.Cut(line, " ")
	v, ok := verbs[name]
	if !ok {
		return fmt.Errorf("%q is no verb", name)
	}
	args, err := fields(rest, name == "manifest")
	if err != nil {
		return err
	}
	if len(args) < v.least || (v.most > 0 && len(args) > v.most) {
		return fmt.Errorf("%s has %d arguments", name, len(args))
	}
	if err := v.do(b, args); err != nil {
		return err
	}
	return b.err
}

// fields splits arguments; with raw, the third is all that is left.
func fields(s string, raw bool) ([]string, error) {
	var args []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		if raw && len(args) == 2 {
			return append(args, s), nil
		}
		if s[0] != '"' {
			arg, rest, _ := strings.Cut(s, " ")
			args, s = append(args, arg), rest
			continue
		}
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return nil, fmt.Errorf("quoting %s: %w", s, err)
		}
		arg, _ := strconv.Unquote(quoted)
		args, s = append(args, arg), s[len(quoted):]
	}
	return args, nil
}

func optional(args []string, n int, otherwise string) string {
	if n < len(args) {
		return args[n]
	}
	return otherwise
}

func one(f func(*Builder, string)) func(*Builder, []string) error {
	return func(b *Builder, a []string) error { f(b, a[0]); return nil }
}

func two(f func(*Builder, string, string)) func(*Builder, []string) error {
	return func(b *Builder, a []string) error { f(b, a[0], a[1]); return nil }
}

func three(f func(*Builder, string, string, string)) func(*Builder, []string) error {
	return func(b *Builder, a []string) error { f(b, a[0], a[1], a[2]); return nil }
}

func withSize(f func(*Builder, string, int64)) func(*Builder, []string) error {
	return func(b *Builder, a []string) error {
		size, err := strconv.ParseInt(a[1], 10, 64)
		if err == nil {
			f(b, a[0], size)
		}
		return err
	}
}

func artifact(b *Builder, a []string) error {
	if a[2] == "-" {
		a[2] = ""
	}
	b.Artifact(a[0], a[1], a[2], a[3:]...)
	return nil
}

func large(b *Builder, a []string) error {
	size, err := strconv.Atoi(a[1])
	if err == nil {
		b.Large(a[0], size, a[2:]...)
	}
	return err
}

func chmod(b *Builder, a []string) error {
	mode, err := strconv.ParseUint(a[1], 8, 32)
	if err == nil {
		b.Chmod(a[0], fs.FileMode(mode))
	}
	return err
}

func touch(b *Builder, a []string) error {
	at, err := time.Parse(time.RFC3339, a[1])
	if err == nil {
		b.Touch(a[0], at)
	}
	return err
}
