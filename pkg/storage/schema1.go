package storage

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
)

// errNoSignature is wrapped where a schema 1 manifest has no signature that
// says what was signed.
var errNoSignature = errors.New("no signature")

// SignedPayload gives the part of a signed schema 1 manifest that its digest
// is of: the body without the signatures, with the tail as it was before they
// were put in.
//
// The format is libtrust's JSON signature: each signature's protected header
// has the length and the tail of the original.
func SignedPayload(content []byte) ([]byte, error) {
	var signed struct {
		SchemaVersion int `json:"schemaVersion"`
		Signatures    []struct {
			Protected string `json:"protected"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(content, &signed); err != nil {
		return nil, fmt.Errorf("parsing signatures: %w", err)
	}
	if signed.SchemaVersion != 1 || len(signed.Signatures) == 0 {
		return nil, errNoSignature
	}
	header, err := base64.RawURLEncoding.DecodeString(signed.Signatures[0].Protected)
	if err != nil {
		return nil, fmt.Errorf("decoding protected header: %w", err)
	}
	var protected struct {
		FormatLength int    `json:"formatLength"`
		FormatTail   string `json:"formatTail"`
	}
	if err := json.Unmarshal(header, &protected); err != nil {
		return nil, fmt.Errorf("parsing protected header: %w", err)
	}
	tail, err := base64.RawURLEncoding.DecodeString(protected.FormatTail)
	if err != nil {
		return nil, fmt.Errorf("decoding tail: %w", err)
	}
	if protected.FormatLength <= 0 || protected.FormatLength > len(content) {
		return nil, fmt.Errorf("protected header says %d bytes of %d", protected.FormatLength, len(content))
	}
	return append(content[:protected.FormatLength:protected.FormatLength], tail...), nil
}

// HasDigest tells whether content is what a digest names: by its hash or, for
// a signed schema 1 manifest, by the hash of what was signed.
func HasDigest(content []byte, d digest.Digest) bool {
	if d.Algorithm().FromBytes(content) == d {
		return true
	}
	payload, err := SignedPayload(content)
	return err == nil && d.Algorithm().FromBytes(payload) == d
}
