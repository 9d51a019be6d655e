package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// cutManifests rewrites the "manifests" of an index: keep says of each child
// what becomes of it, nil for gone. All other bytes stay as they are.
func cutManifests(index []byte, keep func(digest.Digest) *ocispec.Descriptor) ([]byte, error) {
	from, to, err := valueOf(index, "manifests")
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(index[from:to]))
	if open, err := dec.Token(); err != nil || open != json.Delim('[') {
		return nil, errors.Join(errors.New("its manifests are no list"), err)
	}
	out := append([]byte{}, index[:from+1]...)
	var lead []byte // blanks before the first child
	end, children, left := from+1, 0, 0
	for ; dec.More(); children++ {
		var element json.RawMessage
		if err := dec.Decode(&element); err != nil {
			return nil, err
		}
		before := index[end : from+int(dec.InputOffset())-len(element)] // comma and blanks
		end = from + int(dec.InputOffset())
		if children == 0 {
			lead = before
		}
		kept, err := cutElement(element, keep)
		if err != nil {
			return nil, err
		}
		if kept == nil {
			continue
		}
		if left++; left == 1 {
			before = lead
		}
		out = append(append(out, before...), kept...)
	}
	return append(out, index[end:]...), nil
}

// cutElement gives the descriptor of a child as it is to be, or nil.
func cutElement(element []byte, keep func(digest.Digest) *ocispec.Descriptor) ([]byte, error) {
	var was ocispec.Descriptor
	if err := json.Unmarshal(element, &was); err != nil {
		return nil, err
	}
	is := keep(was.Digest)
	switch {
	case is == nil:
		return nil, nil
	case is.Digest == was.Digest:
		return element, nil
	case was.Data != nil:
		return nil, errors.New("a descriptor holds the content of an index to be cut")
	}
	element, err := setValue(element, "digest", is.Digest)
	if err != nil {
		return nil, err
	}
	return setValue(element, "size", is.Size)
}

// setValue puts another value in the place of a key's.
func setValue(object []byte, key string, value any) ([]byte, error) {
	from, to, err := valueOf(object, key)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return slices.Concat(object[:from], text, object[to:]), nil
}

// valueOf finds where the value of a key of a JSON object stands.
func valueOf(object []byte, key string) (from, to int, err error) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if _, err := dec.Token(); err != nil {
		return 0, 0, err
	}
	found := false
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return 0, 0, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return 0, 0, err
		}
		if name == key { // the last one counts, as when decoding
			to, found = int(dec.InputOffset()), true
			from = to - len(value)
		}
	}
	if !found {
		return 0, 0, fmt.Errorf("no %q in it", key)
	}
	return from, to, nil
}
